r"""Invertible maps between physical showers and the space in which a model learns.

A shower is a vector :math:`x` of cell energies in MeV, most of them zero, the others spread over four decades. Models
learn something tamer. With the deposited energy :math:`E = \sum_k x_k`, the usual chain is

.. math::  x \;\to\; f_k = x_k / E \;\to\; u_k = \log(f_k + \epsilon) \;\to\; y_k = (u_k - \mu_k) / \sigma_k

that is ``[Fractions(), Log(floor=ε), Standardize()]``; μ and σ are fitted once and stored with the model. `Fractions`
takes :math:`E` out of the shower, so it must come back as a condition: the transform *requires* ``"deposited"`` and
*imposes* the total energy. It comes from the response model, which is learned; only where the deposited energy of the
reference itself is given does a report mark the total as imposed.

Every transform maps tensors of shape (N, n_cells), given the physical conditions ``{name: (N,)}`` (MeV, rad). All are
invertible, also on an empty shower, a single hit and the largest shower; `Threshold` is idempotent instead.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from caloforge.errors import InputError

__all__ = ["CellPower", "Chain", "Fractions", "Log", "PerIncident", "Standardize", "Threshold", "Transform"]

Conditions = Mapping[str, Tensor]
TINY = 1e-30


class Transform(nn.Module, ABC):
    """Abstract: an invertible map of showers, given their conditions; statistics are buffers.

    Every constructor argument is kept as an attribute of the same name: that is how a run's configuration is written.

    Attributes
    ----------
    requires : conditions that it needs beyond those that users give.
    imposes : observables that are exact in every generated shower because the transform puts them in.
    """

    requires: tuple[str, ...] = ()
    imposes: tuple[str, ...] = ()

    def fit(self, x: Tensor, c: Conditions) -> None:
        """Set the statistics from showers `x`, shape (N, n_cells); most transforms have none."""

    @abstractmethod
    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        """To the learning space, shape (N, n_cells)."""

    @abstractmethod
    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        """Back to the space where `forward` started, shape (N, n_cells)."""


class Chain(Transform):
    """Several transforms, one after the other; an empty chain is the identity."""

    def __init__(self, transforms: Sequence[Transform] = ()) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)
        links = self._links()
        self.requires = tuple(dict.fromkeys(name for link in links for name in link.requires))
        self.imposes = tuple(dict.fromkeys(name for link in links for name in link.imposes))

    def _links(self) -> list[Transform]:
        return [cast(Transform, each) for each in self.transforms]

    def fit(self, x: Tensor, c: Conditions) -> None:
        """Fit each transform to what the ones before it make of `x`."""
        for transform in self._links():
            transform.fit(x, c)
            x = transform(x, c)

    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        for transform in self._links():
            x = transform(x, c)
        return x

    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        for transform in reversed(self._links()):
            x = transform.inverse(x, c)
        return x


class Threshold(Transform):
    """Cells below their threshold become zero, on the way in and on the way out: idempotent.

    Parameters
    ----------
    thresholds : one per cell, in MeV.
    keep_total : on the way out, the energy of the cells that were cut goes to those that stay, in proportion.
        Right when the total is imposed: what a model was trained on had its total counted after the thresholds.
    """

    thresholds: Tensor

    def __init__(self, thresholds: Sequence[float], keep_total: bool = False) -> None:
        super().__init__()
        self.register_buffer("thresholds", torch.tensor([float(t) for t in thresholds], dtype=torch.float32))
        self.keep_total = keep_total

    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        return x * (x >= self.thresholds)

    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        cut = self.forward(x, c)
        if not self.keep_total:
            return cut
        kept = cut.sum(1, keepdim=True)
        return cut * torch.where(kept > 0, x.sum(1, keepdim=True) / kept, 0.0)


class Fractions(Transform):
    """Cell energies over the deposited energy, so that they sum to one; an empty shower stays zero.

    On the way back negative fractions count as zero, and what is left is scaled to the sum ``c["deposited"]``.
    """

    requires = ("deposited",)
    imposes = ("energy_total",)

    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        deposited = c["deposited"].unsqueeze(1)
        return x / torch.where(deposited > 0, deposited, 1.0)

    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        positive = x.clamp(min=0)
        total = positive.sum(1, keepdim=True).clamp(min=TINY)  # where it is zero, so is every cell
        return positive * (c["deposited"].unsqueeze(1) / total)


class PerIncident(Transform):
    """Cell energies over the incident energy: their sum is the response, which the model then has to learn."""

    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        return x / c["energy"].unsqueeze(1)

    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        return x * c["energy"].unsqueeze(1)


class CellPower(Transform):
    r""":math:`(x / s)^p`, which draws strong and weak cells together, as the 3DGAN line does with p = 0.85.

    Parameters
    ----------
    power : p, above zero; 1 for none.
    scale : s, in the unit of x; the default makes GeV of MeV.
    """

    def __init__(self, power: float = 0.85, scale: float = 1000.0) -> None:
        super().__init__()
        if not (power > 0 and scale > 0):
            raise InputError(f"power and scale of CellPower are {power} and {scale}; they must be above zero.")
        self.power, self.scale = float(power), float(scale)

    def fit(self, x: Tensor, c: Conditions) -> None:
        """Refuse showers that have no power."""
        if self.power != 1 and x.numel() and not float(x.min()) >= 0:
            raise InputError(
                f"CellPower has the power {self.power:g}, and there is a cell of {float(x.min()):g}: showers with "
                "noise are learnt above the thresholds (threshold: true)."
            )

    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        return (x / self.scale) ** self.power

    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        return self.scale * x.clamp(min=0) ** (1 / self.power)


class Log(Transform):
    r""":math:`\log(x + \epsilon)`, with the floor ε in the unit of x; what comes back is never negative."""

    def __init__(self, floor: float = 1e-5) -> None:
        super().__init__()
        if not floor > 0:
            raise InputError(f"the floor of Log is {floor}; it must be above zero, as in 1e-5.")
        self.floor = float(floor)

    def fit(self, x: Tensor, c: Conditions) -> None:
        """Refuse showers that have no logarithm."""
        if x.numel() and not float(x.min()) > -self.floor:
            raise InputError(
                f"Log has the floor {self.floor:g}, and there is a cell of {float(x.min()):g}: showers with noise are "
                "learnt above the thresholds (threshold: true), or with a higher floor."
            )

    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        return torch.log(x + self.floor)

    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        return (torch.exp(x) - self.floor).clamp(min=0)


class Standardize(Transform):
    """Zero mean and unit variance in each cell; a cell that never varies is only shifted."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("std", torch.ones(1))

    def fit(self, x: Tensor, c: Conditions) -> None:
        """Set mean and standard deviation of each cell, shape (n_cells,)."""
        self.mean = x.mean(0)
        spread = x.std(0, correction=0)
        # Rounding alone gives a constant cell some spread, which must not become the scale.
        self.std = torch.where(spread > 1e-5 * (1 + self.mean.abs()), spread, 1.0)

    def forward(self, x: Tensor, c: Conditions) -> Tensor:
        return (x - self.mean) / self.std

    def inverse(self, x: Tensor, c: Conditions) -> Tensor:
        return x * self.std + self.mean
