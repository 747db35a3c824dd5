r"""The WGAN of the ILD line: "Getting High" (Buhmann et al., arXiv 2005.05334), with its energy constrainer.

Losses of critic :math:`D` and generator :math:`G` are those of `caloforge.models.wgan_gp`: a gradient penalty for each
shower, or clipped weights (``penalty: 0, clip: 0.01``, arXiv 1701.07875). A third network, the *constrainer*
:math:`a(x)`, estimates the incident energy :math:`E` from a shower. It learns from Geant4 alone, and its errors on
generated and real showers of the same energies should be alike:

.. math::  L_a = \mathbb E\bigl[w\,|a(x) - E|\bigr], \qquad
           L_G = -\mathbb E[w\,D(G)] + \kappa\,\mathbb E\bigl[w\,\bigl|(a(G) - E)^2 - (a(x) - E)^2\bigr|\bigr]

with E in units of 100 GeV. Without an energy among the conditions, the first condition takes its place.

===========  ==========================================================================  ======================
network      layers                                                                      parameters (published)
===========  ==========================================================================  ======================
generator    noise N(0, 1)¹⁰⁰ and E, each transposed conv. 4³ to 128 channels of 4³,     3 655 520 (3.7 M)
             the 256 of the next: 4³, stride 2, to 128 (8³), 64 (16³), 32 (32³),
             each with LayerNorm and ReLU; 3³ to one channel of 30³, ReLU
critic       conv. (10,2,2), (6,2,2), (4,2,2), (4,2,2) to 32 (21×16²), 64 (16×8²), 128   253 918 (250 k)
             (13×4²), 1 (10×3²), LayerNorm on all but the last; dense 91 (with E), 100,
             200, 100, 75, 1; LeakyReLU 0.2
constrainer  conv. 3³, 3³, 2³ to 16 (14³), 32 (6³), 16 (5³), LayerNorm on the first       224 473 (220 k)
             two; dense 2000, 100, 1; LeakyReLU 0.2
===========  ==========================================================================  ======================

LayerNorm is over the cells of each channel. Adam with β = (0.5, 0.9), and SGD for the constrainer. Learning rates, κ
and the number of critic updates that are the defaults are ours. The constrainer's published end is a ReLU, which may
die; here it is linear. The critic ends without a bias. Clipping leaves gains and shifts of LayerNorm alone.

**What LayerNorm hides.** Critic and constrainer normalise what the first convolution, which has no bias, makes of a
shower: both are blind to its scale, as long as cells are well above the square root of LayerNorm's ε, and little else
holds the total energy. With ``totals`` their dense layers also see the total over its mean; the constrainer, that times
E. Published is without.

**Other volumes**, the scale of x, and how networks start: as in `caloforge.models.ild_gan`. Kernels are cut to the
volume; the critic's last convolution has as many channels as give 90 features; maps of fewer than 8 cells are not
normalised, for little would remain.
"""

from itertools import pairwise
from math import ceil, prod

import torch
from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.base import Backward, Batch, Latent, Model, Optimizers, Shapes, require_positive
from caloforge.models.compact_gan import Grid
from caloforge.models.ild_gan import SLOPE, Cells, Sizes, begin, convolution, growing, hit_rms, scaled, started
from caloforge.models.nn import ScaledConditions, adam
from caloforge.models.wgan_gp import clip_, gradient_penalty

__all__ = ["ConvWGAN"]

FEATURES = 90  # of the critic's convolutions
FEW = 8  # cells: maps of fewer are not normalised


class ConvWGAN(Model):
    """The WGAN of Getting High, for layers of any size; a training batch is divided among the critic updates.

    Parameters
    ----------
    width : the numbers of channels inside the networks are multiplied by it.
    n_latent : size of the noise.
    n_critic : critic (and constrainer) updates per generator update.
    penalty : λ of the gradient penalty; 0 for none.
    clip : the critic's weights are kept within ± this number; 0 for no clipping.
    constraint : κ, the constrainer's weight in the generator's loss; 0 for no constrainer.
    totals : critic and constrainer also see the total.
    power : x are cell energies over the incident energy to this power (transform `CellPower`); for the totals.
    learning_rates : of generator, critic, constrainer.
    betas : of Adam.
    """

    support = "positive"

    def __init__(
        self,
        width: float = 1.0,
        n_latent: int = 100,
        n_critic: int = 5,
        penalty: float = 10.0,
        clip: float = 0.0,
        constraint: float = 10.0,
        totals: bool = False,
        power: float = 1.0,
        learning_rates: tuple[float, float, float] = (1e-4, 1e-4, 1e-2),
        betas: tuple[float, float] = (0.5, 0.9),
    ) -> None:
        super().__init__()
        require_positive(width=width, n_latent=n_latent, n_critic=n_critic, power=power)
        if len(learning_rates) != 3 or not min(learning_rates) > 0:
            raise InputError(f"learning_rates are {learning_rates}; expected three numbers above zero.")
        if not min(penalty, clip, constraint) >= 0:
            raise InputError(f"penalty, clip and constraint must not be negative, got {penalty}, {clip}, {constraint}.")
        self.width, self.n_latent, self.n_critic = width, n_latent, n_critic
        self.penalty, self.clip, self.constraint = penalty, clip, constraint
        self.totals, self.power = totals, power
        self.learning_rates = tuple(float(rate) for rate in learning_rates)
        self.betas = float(betas[0]), float(betas[1])

    def build(self, shapes: Shapes, condition_names: tuple[str, ...]) -> None:
        grid, k = Grid(shapes), len(condition_names)
        self.conditioning = ScaledConditions(condition_names)
        self.main = condition_names.index("energy") if "energy" in condition_names else 0
        self.has_energy = "energy" in condition_names
        self.generator = Generator(grid, self.n_latent, k, self.width)
        self.critic = critic(grid, k + self.totals, self.width)
        self.constrainer = constrainer(grid, int(self.totals), self.width) if self.constraint else None
        self.register_buffer("mean_total", torch.ones(()))

    @property
    def latent(self) -> Latent:
        return Latent(self.n_latent)

    @property
    def exported(self) -> nn.Module:
        return self.generator

    def prepare(self, x: Tensor, c: Tensor) -> None:
        """Set the unit of x, and the mean total."""
        self.generator.cells.unit.fill_(hit_rms(x))
        total = float((x ** (1 / self.power)).sum(1).mean())
        self.get_buffer("mean_total").fill_(total if total > 0 else 1.0)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.generator(z, c)  # type: ignore[no-any-return]

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate_g, rate_d, rate_a = self.learning_rates
        optimizers: dict[str, torch.optim.Optimizer] = {
            "critic": adam(self.critic, rate_d, self.betas),
            "generator": adam(self.generator, rate_g, self.betas),
        }
        if self.constrainer is not None:
            optimizers["constrainer"] = torch.optim.SGD(self.constrainer.parameters(), lr=rate_a)
        return optimizers

    def step(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """`n_critic` updates of critic and constrainer, each on its part of the batch, then one of the generator."""
        logged: dict[str, Tensor] = {}
        for x, c, w in zip(*(each.chunk(self.n_critic) for each in batch), strict=True):
            distance, penalty = self.critic_losses(Batch(x, c, w), rng)
            backward(self.penalty * penalty - distance, optimizers["critic"])
            optimizers["critic"].step()
            if self.clip:
                clip_(self.critic, self.clip)
            logged = {"distance": distance.detach(), "penalty": penalty.detach()}
            if self.constrainer is not None:
                error = (w * (self.estimate(x, c) - c[:, self.main]).abs()).mean()
                backward(error, optimizers["constrainer"])
                optimizers["constrainer"].step()
                logged["constrainer"] = error.detach()
        losses = self.generator_losses(batch, rng)
        backward(torch.stack(list(losses.values())).sum(), optimizers["generator"])
        optimizers["generator"].step()
        return logged | {name: loss.detach() for name, loss in losses.items()}

    def critic_losses(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The critic's estimate of the Wasserstein distance, and the gradient penalty (not yet times λ)."""
        x, c, w = batch
        unit = self.generator.cells.unit
        with torch.no_grad():
            fake = self(self.latent.draw(len(c), rng), c)
        distance = (w * (self.criticize(x / unit, c) - self.criticize(fake / unit, c))).mean()
        if not self.penalty:
            return distance, torch.zeros_like(distance)
        share = torch.rand(len(x), 1, generator=rng, device=x.device)
        between = (fake + share * (x - fake)) / unit
        return distance, gradient_penalty(lambda h: self.criticize(h, c), between)

    def generator_losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Parts of the generator's loss by name, with their weights."""
        x, c, w = batch
        fake = self(self.latent.draw(len(c), rng), c)
        losses = {"generator": -(w * self.verdict(fake, c)).mean()}
        if self.constrainer is not None:
            energy = c[:, self.main]
            with torch.no_grad():
                of_real = (self.estimate(x, c) - energy).square()
            of_fake = (self.estimate(fake, c) - energy).square()
            losses["constraint"] = self.constraint * (w * (of_fake - of_real).abs()).mean()
        return losses

    def criticize(self, cells: Tensor, c: Tensor) -> Tensor:
        """The critic's verdict on x over its unit, shape (N,)."""
        beside = [c, self.total(cells)] if self.totals else [c]
        return self.critic(cells, torch.cat(beside, dim=1))  # type: ignore[no-any-return]

    def verdict(self, x: Tensor, c: Tensor) -> Tensor:
        return self.criticize(x / self.generator.cells.unit, c)

    def estimate(self, x: Tensor, c: Tensor) -> Tensor:
        """The constrainer's estimate of the incident energy, shape (N,)."""
        if self.constrainer is None:
            raise InputError("this ConvWGAN has no constrainer: give it a constraint above zero.")
        cells = x / self.generator.cells.unit
        total = self.total(cells)[:, : int(self.totals)]
        seen = total * c[:, self.main, None] if self.has_energy else total
        return self.constrainer(cells, seen)  # type: ignore[no-any-return]

    def total(self, cells: Tensor) -> Tensor:
        """Sum of the energies over its mean in training, of x over its unit: shape (N, 1)."""
        energies = (cells * self.generator.cells.unit) ** (1 / self.power)
        return energies.sum(1, keepdim=True) / self.get_buffer("mean_total")


class Generator(nn.Module):
    """From noise (N, n_latent) and conditions (N, k) to x (N, n_cells)."""

    def __init__(self, grid: Grid, n_latent: int, k: int, width: float) -> None:
        super().__init__()
        channels = [scaled(width, n) for n in (128, 128, 64, 32)]
        sizes = (grid.layers, grid.rows, grid.columns)
        self.of_noise = nn.ConvTranspose3d(n_latent, channels[0], begin(sizes), bias=False)
        self.of_conditions = nn.ConvTranspose3d(k, channels[0], begin(sizes), bias=False)
        self.grown = growing(channels, sizes, lambda _, now: layer_norm(now), n_in=2 * channels[0])
        self.cells = Cells(grid)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """Shapes (N, n_latent) and (N, k) → (N, n_cells)."""
        z, c = (each[:, :, None, None, None] for each in (z, c))
        both = torch.cat([self.of_conditions(c), self.of_noise(z)], dim=1)
        return self.cells(self.grown(both))  # type: ignore[no-any-return]


class Judge(nn.Module):
    """One number of a shower: convolutions on cells (N, n_cells), then dense layers that see `beside` (N, m), too."""

    def __init__(self, grid: Grid, image: list[nn.Module], sizes: list[int], last_bias: bool = True) -> None:
        super().__init__()
        self.grid = grid
        self.image = nn.Sequential(*image, nn.Flatten())
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(SLOPE)]
        layers[-2:] = [nn.Linear(sizes[-2], sizes[-1], bias=last_bias)]
        self.dense = nn.Sequential(*layers)
        started(self)

    def forward(self, cells: Tensor, beside: Tensor) -> Tensor:
        """Shape (N,)."""
        features = self.image(self.grid.image(cells)[:, None])
        return self.dense(torch.cat([features, beside], dim=1)).squeeze(1)  # type: ignore[no-any-return]


def critic(grid: Grid, n_beside: int, width: float) -> Judge:
    """Four convolutions, five dense layers."""
    now: Sizes = (grid.layers, grid.rows, grid.columns)
    n_in, layers = 1, list[nn.Module]()
    for n, depth, padding in ((32, 10, 1), (64, 6, 0), (128, 4, 0)):
        n_out = scaled(width, n)
        layer, now = convolution(n_in, n_out, now, (depth, 2, 2), (1, 2, 2), (0, padding, padding))
        layers += [layer, layer_norm(now), nn.LeakyReLU(SLOPE)]
        n_in = n_out
    _, end = convolution(n_in, 1, now, (4, 2, 2), (1, 1, 1), (0, 0, 0))
    n_out = ceil(scaled(width, FEATURES) / prod(end))
    layers.append(convolution(n_in, n_out, now, (4, 2, 2), (1, 1, 1), (0, 0, 0))[0])
    hidden = [scaled(width, n) for n in (100, 200, 100, 75)]
    return Judge(grid, layers, [n_out * prod(end) + n_beside, *hidden, 1], last_bias=False)  # only differences matter


def constrainer(grid: Grid, n_beside: int, width: float) -> Judge:
    """Three convolutions, two dense layers."""
    now: Sizes = (grid.layers, grid.rows, grid.columns)
    n_in, layers = 1, list[nn.Module]()
    for n, kernel, stride in ((16, 3, 2), (32, 3, 2), (16, 2, 1)):
        n_out = scaled(width, n)
        layer, now = convolution(n_in, n_out, now, (kernel,) * 3, (stride,) * 3, (0, 0, 0))
        layers.append(layer)
        if stride == 2:
            layers += [layer_norm(now), nn.LeakyReLU(SLOPE)]
        n_in = n_out
    return Judge(grid, layers, [n_in * prod(now) + n_beside, scaled(width, 100), 1])


def layer_norm(sizes: Sizes) -> nn.Module:
    """Over the cells of each channel; none for few cells."""
    return nn.LayerNorm(list(sizes)) if prod(sizes) >= FEW else nn.Identity()
