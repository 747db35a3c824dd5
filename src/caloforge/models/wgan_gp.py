r"""Wasserstein GAN with gradient penalty, as P. Klein used it for photons in the ATLAS LAr calorimeter (2017).

A generator :math:`G(z, c)` maps noise :math:`z \sim \mathcal N(0, 1)^{100}` and the condition :math:`c` to the
fractions of the deposited energy in the cells; a softmax at its end makes them positive with sum 1. A critic
:math:`D(x, c)` with Lipschitz constant 1 measures the Wasserstein-1 distance between generated and true fractions by
the Kantorovich-Rubinstein duality (Arjovsky et al., arXiv 1701.07875),

.. math::  W_1 = \max_{\|D\|_L \le 1} \mathbb E_x[D(x, c)] - \mathbb E_z[D(G(z, c), c)]

and the generator is trained to make it small. The Lipschitz condition is imposed softly (Gulrajani et al., arXiv
1704.00028): at points :math:`\hat x` drawn uniformly on the segments between true and generated showers, the norm of
the gradient *of each single shower* should be 1,

.. math::  L_D = \mathbb E[w\,(D(G) - D(x))] + \lambda\,\mathbb E\bigl[(\|\nabla_{\hat x} D(\hat x, c)\|_2 - 1)^2\bigr],
           \qquad L_G = -\mathbb E[w\,D(G)]

Klein's published code takes one norm over the whole mini-batch instead; that is a different, much weaker penalty, and
is not reproduced here. His recipe is the default: three hidden layers of 128 in both networks, LeakyReLU, λ = 10, five
critic updates per generator update, Adam with learning rate 5·10⁻⁵ and β = (0.5, 0.5), mini-batches of 64.

One option departs from it. Fractions span four decades, and a critic that sees them linearly hardly sees the weak
cells; ``critic_sees = "both"`` shows it, beside the fractions, their logarithms, standardised per cell. The penalty
then acts on what the critic sees.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.base import Backward, Batch, Latent, Model, Optimizers, Shapes, require_positive
from caloforge.models.nn import StandardizedConditions, mlp

__all__ = ["WGANGP", "gradient_penalty"]


class WGANGP(Model):
    """Klein's WGAN-GP: x are fractions (transform `Fractions`).

    A training batch is divided among the critic updates: Klein's mini-batches of 64 are ``batch_size: 320``.

    Parameters
    ----------
    n_latent : size of the noise.
    width, depth : of the hidden layers of both networks.
    n_critic : critic updates per generator update.
    penalty : λ.
    learning_rate, betas : of Adam, for both networks.
    critic_sees : the ``fractions``, their standardised logarithms (``log``), or ``both``.
    floor : ε of log(x + ε) in the critic.
    """

    support = "simplex"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        n_latent: int = 100,
        width: int = 128,
        depth: int = 3,
        n_critic: int = 5,
        penalty: float = 10.0,
        learning_rate: float = 5e-5,
        betas: tuple[float, float] = (0.5, 0.5),
        critic_sees: Literal["fractions", "log", "both"] = "fractions",
        floor: float = 1e-4,
    ) -> None:
        super().__init__()
        require_positive(n_latent=n_latent, width=width, depth=depth, n_critic=n_critic, learning_rate=learning_rate)
        require_positive(floor=floor)
        self.n_latent, self.width, self.depth = n_latent, width, depth
        self.n_critic, self.penalty = n_critic, penalty
        self.learning_rate, self.betas = learning_rate, (float(betas[0]), float(betas[1]))
        self.critic_sees, self.floor = critic_sees, floor

    def build(self, shapes: Shapes, condition_names: tuple[str, ...]) -> None:
        n_cells, k = sum(rows * columns for rows, columns in shapes), len(condition_names)
        hidden = [self.width] * self.depth
        self.conditioning = StandardizedConditions(condition_names)
        self.generator = nn.Sequential(*mlp([self.n_latent + k, *hidden, n_cells]), nn.Softmax(dim=1))
        n_seen = n_cells * (2 if self.critic_sees == "both" else 1)
        self.critic = mlp([n_seen + k, *hidden, 1], last_bias=False)  # only differences of D matter
        self.register_buffer("mean", torch.zeros(n_cells))
        self.register_buffer("std", torch.ones(n_cells))

    @property
    def latent(self) -> Latent:
        return Latent(self.n_latent)

    @property
    def exported(self) -> nn.Module:
        return self.generator

    def prepare(self, x: Tensor, c: Tensor) -> None:
        """Set mean and standard deviation of the log-fractions per cell, for the critic."""
        if x.min() < 0 or not torch.allclose(x.sum(1), torch.ones(len(x), device=x.device), atol=1e-3):
            raise InputError("WGANGP learns fractions with sum 1: give it the transforms [Fractions], nothing after.")
        logs = torch.log(x + self.floor)
        self.mean, self.std = logs.mean(0), logs.std(0, correction=0).clamp(min=1e-2)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.generator(torch.cat([z, c], dim=1))  # type: ignore[no-any-return]

    def features(self, x: Tensor) -> Tensor:
        """What the critic sees of fractions x (N, n_cells): shape (N, n_cells) or (N, 2 n_cells)."""
        if self.critic_sees == "fractions":
            return x
        logs = (torch.log(x + self.floor) - self.mean) / self.std
        return logs if self.critic_sees == "log" else torch.cat([x, logs], dim=1)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        networks = {"critic": self.critic, "generator": self.generator}
        return {
            name: torch.optim.Adam(network.parameters(), lr=self.learning_rate, betas=self.betas, fused=True)
            for name, network in networks.items()
        }

    def step(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """`n_critic` updates of the critic, each on its part of the batch, then one of the generator."""
        for x, c, w in zip(*(each.chunk(self.n_critic) for each in batch), strict=True):
            distance, penalty = self.critic_losses(Batch(x, c, w), rng)
            backward(self.penalty * penalty - distance, optimizers["critic"])
            optimizers["critic"].step()
        loss = -(w * self.criticize(self.features(self(self.noise(c, rng), c)), c)).mean()
        backward(loss, optimizers["generator"])
        optimizers["generator"].step()
        return {"distance": distance.detach(), "penalty": penalty.detach(), "generator": loss.detach()}

    def critic_losses(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The critic's estimate of the Wasserstein distance, and the gradient penalty (not yet times λ)."""
        x, c, w = batch
        with torch.no_grad():
            real, fake = self.features(torch.cat([x, self(self.noise(c, rng), c)])).chunk(2)
            share = torch.rand(len(x), 1, generator=rng, device=x.device)
            between = fake + share * (real - fake)
        of_real, of_fake = self.criticize(torch.cat([real, fake]), torch.cat([c, c])).chunk(2)
        penalty = gradient_penalty(lambda h: self.criticize(h, c), between)
        return (w * (of_real - of_fake)).mean(), penalty

    def criticize(self, features: Tensor, c: Tensor) -> Tensor:
        """The critic's verdict, shape (N,)."""
        return self.critic(torch.cat([features, c], dim=1)).squeeze(1)  # type: ignore[no-any-return]

    def noise(self, c: Tensor, rng: torch.Generator) -> Tensor:
        """Latent noise for as many showers as there are conditions."""
        return torch.randn(len(c), self.n_latent, generator=rng, device=c.device)


def gradient_penalty(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    r""":math:`\mathbb E[(\|\nabla D\|_2 - 1)^2]`: the norm is taken for each row of `points` (N, n), then averaged."""
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (gradients.norm(dim=1) - 1).square().mean()  # type: ignore[no-any-return]
