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

His recipe is the default: three hidden layers of 128 in both networks, LeakyReLU, λ = 10, five critic updates per
generator update, Adam with learning rate 5·10⁻⁵ and β = (0.5, 0.5), mini-batches of 64. One thing differs: his code
takes one norm of the gradients over the whole mini-batch, which is a different, much weaker penalty
(``penalty_norm = "batch"``).

What he varied, and what others propose instead, are options: weight clipping (Arjovsky et al.) and spectral
normalisation of the critic (Miyato et al., arXiv 1802.05957) beside or in place of the penalty; an L1 term on the
generator's logits, its weights, or its softmax, where it is constant and does nothing; other views of the showers for
the critic (`caloforge.models.views`), in which weak cells are of order one. The penalty acts on what the critic sees.

**True energy.** A softmax gives fractions of a total that must come from elsewhere. With ``total = "learned"`` x are
cell energies over the *incident* energy (transform `PerIncident`): one more output of the softmax takes what is missing
from a capacity, 1.25 times the largest response among the first 20 000 training showers, so that the response is
learned with the rest; no shower that is generated exceeds it.
"""

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from caloforge.errors import InputError
from caloforge.models.base import Backward, Batch, Latent, Model, Optimizers, Shapes, require_positive
from caloforge.models.nn import StandardizedConditions, adam, mlp
from caloforge.models.views import Views

__all__ = ["WGANGP", "clip_", "gradient_penalty"]

MARGIN = 1.25  # capacity over the largest response of the training showers


class WGANGP(Model):
    """Klein's WGAN-GP: x are fractions (transform `Fractions`), or cell energies over the incident energy.

    A training batch is divided among the critic updates: Klein's mini-batches of 64 are ``batch_size: 320``.

    Parameters
    ----------
    n_latent : size of the noise.
    width, depth : of the hidden layers of both networks.
    n_critic : critic updates per generator update.
    penalty : λ; 0 for none.
    penalty_norm : the norm of the gradient is that of each ``shower``, or one of the whole ``batch``.
    clip : the critic's weights are kept within ± this number; 0 for no clipping.
    spectral : the largest singular value of each of the critic's matrices is kept at 1.
    learning_rate, betas : of Adam, for both networks.
    critic_sees : views of the showers (`caloforge.models.views`).
    floor : ε of the views.
    l1, l1_on : weight of the generator's L1 term, and what it is the norm of: its ``logits`` or its ``softmax`` (mean
        over showers of the sum over cells), or its ``weights`` (sum over all matrices).
    total : ``imposed`` (x sums to one) or ``learned`` (x are energies over the incident energy).
    slope : of the LeakyReLU below zero; 0.3 is that of Keras and so Klein's.
    """

    def __init__(
        self,
        n_latent: int = 100,
        width: int = 128,
        depth: int = 3,
        n_critic: int = 5,
        penalty: float = 10.0,
        learning_rate: float = 5e-5,
        betas: tuple[float, float] = (0.5, 0.5),
        critic_sees: Sequence[Literal["fractions", "roots", "log", "shares", "moments"]] = ("fractions",),
        floor: float = 1e-4,
        penalty_norm: Literal["shower", "batch"] = "shower",
        clip: float = 0.0,
        spectral: bool = False,
        l1: float = 0.0,
        l1_on: Literal["logits", "softmax", "weights"] = "logits",
        total: Literal["imposed", "learned"] = "imposed",
        slope: float = 0.3,
    ) -> None:
        super().__init__()
        require_positive(n_latent=n_latent, width=width, depth=depth, n_critic=n_critic, learning_rate=learning_rate)
        require_positive(floor=floor)
        if not min(penalty, clip, l1) >= 0:
            raise InputError(f"penalty, clip and l1 must not be negative, got {penalty}, {clip}, {l1}.")
        self.n_latent, self.width, self.depth = n_latent, width, depth
        self.n_critic, self.penalty, self.penalty_norm = n_critic, penalty, penalty_norm
        self.clip, self.spectral = clip, spectral
        self.learning_rate, self.betas = learning_rate, (float(betas[0]), float(betas[1]))
        self.critic_sees, self.floor = tuple(critic_sees), floor
        self.l1, self.l1_on, self.total, self.slope = l1, l1_on, total, slope
        self.support = "simplex" if total == "imposed" else "positive"

    def build(self, shapes: Shapes, condition_names: tuple[str, ...]) -> None:
        n_cells, k = sum(rows * columns for rows, columns in shapes), len(condition_names)
        hidden = [self.width] * self.depth
        self.conditioning = StandardizedConditions(condition_names)
        learned = self.total == "learned"
        end = Shares() if learned else nn.Softmax(dim=1)
        self.generator = nn.Sequential(*mlp([self.n_latent + k, *hidden, n_cells + learned], slope=self.slope), end)
        self.views = Views(self.critic_sees, shapes, self.floor)
        # The last layer has no bias: only differences of D matter.
        self.critic = mlp([self.views.size + k, *hidden, 1], last_bias=False, slope=self.slope)
        if self.spectral:
            for layer in self.critic:
                if isinstance(layer, nn.Linear):
                    spectral_norm(layer)

    @property
    def latent(self) -> Latent:
        return Latent(self.n_latent)

    @property
    def exported(self) -> nn.Module:
        return self.generator

    def prepare(self, x: Tensor, c: Tensor) -> None:
        """Set the scale of what the critic sees, and the capacity."""
        if x.min() < 0:
            raise InputError("WGANGP learns energies that are not negative; cut or clip them before.")
        if self.total == "learned":
            cast(Shares, self.generator[-1]).capacity.fill_(MARGIN * float(x.sum(1).max()))
        elif not torch.allclose(x.sum(1), torch.ones(len(x), device=x.device), atol=1e-3):
            raise InputError("WGANGP learns fractions with sum 1: give it the transforms [Fractions], nothing after.")
        self.views.fit(x)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.generator(torch.cat([z, c], dim=1))  # type: ignore[no-any-return]

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate, betas = self.learning_rate, self.betas
        return {"critic": adam(self.critic, rate, betas), "generator": adam(self.generator, rate, betas)}

    def step(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """`n_critic` updates of the critic, each on its part of the batch, then one of the generator."""
        for x, c, w in zip(*(each.chunk(self.n_critic) for each in batch), strict=True):
            distance, penalty = self.critic_losses(Batch(x, c, w), rng)
            backward(self.penalty * penalty - distance if self.penalty else -distance, optimizers["critic"])
            optimizers["critic"].step()
            if self.clip:
                clip_(self.critic, self.clip)
        logits = self.generator[:-1](torch.cat([self.latent.draw(len(c), rng), c], dim=1))
        loss = -(w * self.criticize(self.views(self.generator[-1](logits)), c)).mean()
        backward(loss + self.l1 * self.l1_norm(logits) if self.l1 else loss, optimizers["generator"])
        optimizers["generator"].step()
        return {"distance": distance.detach(), "penalty": penalty.detach(), "generator": loss.detach()}

    def critic_losses(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The critic's estimate of the Wasserstein distance, and the gradient penalty (not yet times λ)."""
        x, c, w = batch
        with torch.no_grad():
            real, fake = self.views(torch.cat([x, self(self.latent.draw(len(c), rng), c)])).chunk(2)
            share = torch.rand(len(x), 1, generator=rng, device=x.device)
            between = fake + share * (real - fake)
        of_real, of_fake = self.criticize(torch.cat([real, fake]), torch.cat([c, c])).chunk(2)
        if self.penalty:
            penalty = gradient_penalty(lambda h: self.criticize(h, c), between, self.penalty_norm)
        else:
            penalty = torch.zeros(())
        return (w * (of_real - of_fake)).mean(), penalty

    def l1_norm(self, logits: Tensor) -> Tensor:
        """What `l1_on` says, a scalar."""
        if self.l1_on == "weights":
            weights = [layer.weight.abs().sum() for layer in self.generator if isinstance(layer, nn.Linear)]
            return torch.stack(weights).sum()
        return (logits if self.l1_on == "logits" else torch.softmax(logits, 1)).abs().sum(1).mean()

    def criticize(self, features: Tensor, c: Tensor) -> Tensor:
        """The critic's verdict, shape (N,)."""
        return self.critic(torch.cat([features, c], dim=1)).squeeze(1)  # type: ignore[no-any-return]

    def verdict(self, x: Tensor, c: Tensor) -> Tensor:
        return self.criticize(self.views(x), c)


class Shares(nn.Module):
    """Logits (N, n + 1) → shares (N, n) of a capacity, of which the last output is the part that is missing."""

    capacity: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("capacity", torch.ones(()))

    def forward(self, logits: Tensor) -> Tensor:
        return self.capacity * torch.softmax(logits, dim=1)[:, :-1]


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], points: Tensor, norm: Literal["shower", "batch"] = "shower"
) -> Tensor:
    r""":math:`\mathbb E[(\|\nabla D\|_2 - 1)^2]`: the norm is taken for each row of `points` (N, n), then averaged.

    With ``"batch"`` it is one norm of all rows together, as in Klein's code.
    """
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    norms = gradients.norm(dim=1) if norm == "shower" else gradients.norm()
    return (norms - 1).square().mean()  # type: ignore[no-any-return]


@torch.no_grad()
def clip_(network: nn.Module, limit: float) -> None:
    """Keep weights and biases of all dense layers and convolutions within ± limit, in place.

    As in arXiv 1701.07875, algorithm 1; gains and shifts of normalisations are left alone.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv3d):
            for parameter in layer.parameters():
                parameter.clamp_(-limit, limit)
