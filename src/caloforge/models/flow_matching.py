r"""Conditional flow matching (Lipman et al., arXiv 2210.02747; as rectified flow, Liu et al., arXiv 2209.03003).

A velocity field :math:`v(x, t, c)` carries noise :math:`x_0 \sim \mathcal N(0, 1)` at time 0 to data :math:`x_1` at
time 1 along the ordinary differential equation

.. math::  \frac{dx}{dt} = v(x, t, c)

The field that does so is a mean over straight lines. Draw a pair :math:`(x_0, x_1)` independently and a time
:math:`t` uniformly, put

.. math::  x_t = (1 - t)\,x_0 + t\,x_1, \qquad \dot x_t = x_1 - x_0

Then :math:`v(x, t, c) = \mathbb E[\dot x_t \mid x_t = x, c]` transports the one distribution into the other, and it is
the minimum of the simple regression

.. math::  L = \mathbb E_{t, x_0, x_1}\; w\,\| v(x_t, t, c) - (x_1 - x_0) \|^2

Nothing adversarial is left: training is stable, at the price of several evaluations of the network per shower. Sampling
solves the equation with a method of second order in the step :math:`h = 1/n`. With :math:`v_1 = v(x, t)`,

=========  ==========================================================================
midpoint   :math:`x(t + h) = x + h\,v(x + \tfrac h2 v_1,\ t + \tfrac h2)`
Heun       :math:`x(t + h) = x + \tfrac h2\,[v_1 + v(x + h\,v_1,\ t + h)]`
=========  ==========================================================================

both with two evaluations per step. The loop is unrolled, so that ``forward`` is a plain graph of fixed length.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from caloforge.models.base import Backward, Batch, Latent, Model, Optimizers, Shapes, require_positive
from caloforge.models.nn import ResidualMLP, StandardizedConditions, fourier_features

__all__ = ["FlowMatching", "integrate"]

Method = Literal["heun", "midpoint"]


class FlowMatching(Model):
    """Conditional flow matching with a residual network, for data of zero mean and unit variance (`Standardize`).

    Parameters
    ----------
    width, blocks : of the residual network.
    n_time : number of sines and cosines that time enters by.
    learning_rate : of Adam.
    sampler, n_steps : how the equation is solved in `forward`; two evaluations of the network per step.
    """

    def __init__(
        self,
        width: int = 256,
        blocks: int = 3,
        n_time: int = 32,
        learning_rate: float = 1e-3,
        sampler: Method = "midpoint",
        n_steps: int = 8,
    ) -> None:
        super().__init__()
        require_positive(width=width, blocks=blocks, n_time=n_time, learning_rate=learning_rate, n_steps=n_steps)
        self.width, self.blocks, self.n_time = width, blocks, n_time
        self.learning_rate, self.sampler, self.n_steps = learning_rate, sampler, n_steps

    def build(self, shapes: Shapes, condition_names: tuple[str, ...]) -> None:
        self.n_cells = sum(rows * columns for rows, columns in shapes)
        self.conditioning = StandardizedConditions(condition_names)
        self.network = ResidualMLP(self.n_cells, self.n_time + len(condition_names), self.width, self.blocks)

    @property
    def latent(self) -> Latent:
        return Latent(self.n_cells)

    @property
    def exported(self) -> nn.Module:
        return self.network

    def velocity(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        """v(x, t, c), shape (N, n_cells); t has shape (N,)."""
        embedding = torch.cat([fourier_features(t, self.n_time), c], dim=1)
        return self.network(x, embedding)  # type: ignore[no-any-return]

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        def velocity(x: Tensor, t: float) -> Tensor:
            return self.velocity(x, torch.full_like(x[:, 0], t), c)

        return integrate(velocity, z, self.n_steps, self.sampler)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"network": torch.optim.Adam(self.network.parameters(), lr=self.learning_rate, fused=True)}

    def step(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """One update on the regression of the velocity."""
        loss = self.loss(batch, rng)
        backward(loss, optimizers["network"])
        optimizers["network"].step()
        return {"loss": loss.detach()}

    def loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Mean squared error of the velocity, per cell; times are spread evenly over the batch from a random start."""
        x_1, c, w = batch
        x_0 = torch.randn(x_1.shape, generator=rng, device=x_1.device)
        start = torch.rand(1, generator=rng, device=x_1.device)
        t = (start + torch.arange(len(x_1), device=x_1.device) / len(x_1)) % 1
        x_t = torch.lerp(x_0, x_1, t[:, None])
        return (w * (self.velocity(x_t, t, c) - (x_1 - x_0)).square().mean(1)).mean()


def integrate(velocity: Callable[[Tensor, float], Tensor], x: Tensor, n_steps: int, method: Method) -> Tensor:
    """Solve dx/dt = velocity(x, t) from t = 0 to 1 in `n_steps` equal steps of second order."""
    h = 1 / n_steps
    for i in range(n_steps):
        t, v = i * h, velocity(x, i * h)
        if method == "midpoint":
            x = x + h * velocity(x + h / 2 * v, t + h / 2)
        else:
            x = x + h / 2 * (v + velocity(x + h * v, t + h))
    return x
