r"""The model's contract: :math:`p(x \mid c)` on tensors, knowing nothing of physics.

A model turns noise :math:`z` into a shower vector :math:`x = G(z, c)`, where :math:`c` are scaled conditions. The
surrogate takes care of units, the training loop of epochs, devices and checkpoints, so that a published method is one
small class: its networks, and one ``step``.

========================  ============================================================================================
``__init__``              hyper-parameters only, each kept as an attribute of the same name
``build``                 makes the networks, given the layer shapes and the names of the conditions
``conditioning``          how physical conditions become the columns of `c`: the model declares it
``latent``                size and distribution of the noise z
``prepare``               optional: look at the training set once, to fix scales
``optimizers``, ``step``  one update in the model's own rhythm (critic steps, auxiliary heads, phases)
``forward``               z, c → x, with no other randomness: the graph that is exported
``exported``              the part of the model that ``forward`` uses; averaging over training (EMA) is for it alone
========================  ============================================================================================
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caloforge.errors import InputError

__all__ = ["BLOCK", "Backward", "Batch", "Conditioning", "Latent", "Model", "Optimizers", "require_positive"]

BLOCK = 1024
Shapes = tuple[tuple[int, int], ...]
Optimizers = Mapping[str, torch.optim.Optimizer]
Backward = Callable[[Tensor, torch.optim.Optimizer], None]


def require_positive(**values: float) -> None:
    """Refuse hyper-parameters that are not above zero."""
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{name} is {value}; expected a number above zero.")


class Batch(NamedTuple):
    """Training data: showers `x` (N, n_cells) in the learning space, scaled conditions `c` (N, k), weights `w` (N,).

    The weights have mean 1 over the training set.
    """

    x: Tensor
    c: Tensor
    w: Tensor


@dataclass(frozen=True)
class Latent:
    """Noise of `size` independent numbers per shower: standard normal, or uniform between −1 and 1."""

    size: int
    distribution: Literal["normal", "uniform"] = "normal"

    def block(self, seed: int, block: int) -> NDArray[np.float32]:
        """The noise of events 1024·block to 1024·(block + 1), shape (1024, size): a function of its arguments alone."""
        if not 0 <= seed < 2**64:
            raise InputError(f"the seed is {seed}; expected a whole number from 0 to 2**64 - 1.")
        rng = np.random.Generator(np.random.Philox(key=np.array([seed, block], dtype=np.uint64)))
        if self.distribution == "normal":
            return rng.standard_normal((BLOCK, self.size), dtype=np.float32)
        return 2 * rng.random((BLOCK, self.size), dtype=np.float32) - 1

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Noise of n showers for training, shape (n, size), from and on the device of `rng`."""
        if self.distribution == "normal":
            return torch.randn(n, self.size, generator=rng, device=rng.device)
        return 2 * torch.rand(n, self.size, generator=rng, device=rng.device) - 1

    def uniform(self, z: Tensor) -> Tensor:
        """Each number's cumulative probability, between 0 and 1."""
        return 0.5 + 0.5 * (torch.erf(z * 0.5**0.5) if self.distribution == "normal" else z)


class Conditioning(nn.Module, ABC):
    """Abstract: physical conditions ``{name: (N,)}`` (MeV, rad) → the columns (N, k) that a model sees."""

    @abstractmethod
    def fit(self, c: Mapping[str, Tensor]) -> None:
        """Set the statistics, which are buffers, from the training conditions."""

    @abstractmethod
    def forward(self, c: Mapping[str, Tensor]) -> Tensor:
        """Scaled conditions, shape (N, k)."""


class Model(nn.Module, ABC):
    """Abstract: a conditional generative model on tensors.

    Attributes
    ----------
    conditioning : set by `build`; the scaling of the conditions.
    support : where x lives: anywhere (``real``), not negative (``positive``), or not negative with sum 1 (``simplex``).
    """

    conditioning: Conditioning
    support: Literal["real", "positive", "simplex"] = "real"

    @abstractmethod
    def build(self, shapes: Shapes, condition_names: tuple[str, ...]) -> None:
        """Make (or make anew) the networks for layers of the given (rows, columns)."""

    @property
    @abstractmethod
    def latent(self) -> Latent:
        """Size and distribution of the noise; known after `build`."""

    @property
    @abstractmethod
    def exported(self) -> nn.Module:
        """What `forward` uses. Encoders, critics and the like live beside it and stay out of the exported graph."""

    def verdict(self, x: Tensor, c: Tensor) -> Tensor:
        """What a discriminator that is part of the model says of showers, shape (N,): more is more like the data."""
        raise InputError(f"{type(self).__name__} has no discriminator of its own: use one that is trained beside it.")

    def prepare(self, x: Tensor, c: Tensor) -> None:
        """Look at (a part of) the training set once before training, to fix scales as buffers."""

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """New optimisers by name, each with the parameters that it owns."""

    @abstractmethod
    def step(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """One update in the model's own rhythm.

        Parameters
        ----------
        batch : showers, conditions and weights; the weights multiply each shower's part of the loss.
        optimizers : as `optimizers` made them.
        backward : ``backward(loss, optimizer)`` puts fresh gradients of `loss` on that optimiser's parameters, the
            mean over all processes; then call ``optimizer.step()``.
        rng : the only source of randomness.
        progress : fraction of the training that is done, from 0 to 1.

        Returns
        -------
        Losses by name as detached scalars, the most telling first.
        """

    @abstractmethod
    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """Showers (N, n_cells) in the learning space from noise (N, latent.size) and scaled conditions (N, k)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As `forward`."""
        return super().__call__(*args, **kwargs)
