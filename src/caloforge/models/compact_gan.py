r"""A compact Conv2D GAN: showers of 15 625 cells by the thousand per second on a processor.

The three-branch generator of `caloforge.models.gan2d` spends its time on wide convolutions at full resolution, and
most of its training on learning where showers are. Both are saved by giving the generator what can be counted. A
cell that is hit in a share of the showers only, and fluctuates when it is, is described by a censored normal number,

.. math::  x_k = a_k(E)\,\mathrm{relu}(h_k - t_k(E)), \qquad h_k \sim \mathcal N(0, 1)

whose amplitude :math:`a_k` and threshold :math:`t_k` follow from the mean and the mean square of the cell's energy
(`caloforge.models.censored`). ``prepare`` tabulates them at some energies, linear in :math:`\sqrt E` between.

Cells that are correlated share numbers: the normal numbers of the training showers are estimated,
:math:`h_k = x_k / a_k + t_k`, or their expectation below the threshold, and their principal components become the
loadings :math:`L_{jk}` of a few global numbers :math:`z_j`. This is the generator at its start: a linear factor model.
A network completes it. From the global numbers and the conditions a dense layer makes maps at a quarter of the
resolution; two convolutions, the last with the layers as channels, bring them to full resolution as a shift
:math:`g_k` and a gain :math:`b_k` of each cell,

.. math::  x_k = a_k\,e^{b_k}\,\mathrm{relu}(h_k + g_k - t_k), \qquad
           h_k = \Bigl(\sigma_k z_k + \sum_j L_{jk}(E)\,z_j\Bigr) \Big/
                 \Bigl(\sigma_k^2 + \sum_j L_{jk}^2(E)\Bigr)^{1/2}

with one independent number :math:`z_k` per cell, so that without shifts and gains each cell keeps its mean and its
hits whatever the correlations are. Loadings (linear in :math:`\sqrt E`), :math:`\sigma_k`, and a shift and a gain
of each cell are trained with the convolutions.

The discriminator sees cells over their root mean square, the image moments of each layer (`Views`), and, unlike the
full one, the conditions. Its losses and the training are those of `caloforge.models.auxiliary_gan`, and one more: the
squared distance of mean features (the discriminator's inputs and their squares, also times :math:`\sqrt E`) between
generated and real showers,

.. math::  L_M = \lambda\,\bigl\langle (\bar\phi_G - \bar\phi)_1\,(\bar\phi_G - \bar\phi)_2 \bigr\rangle

with means over one and the other half of a batch, so that their noise does not add to it.
"""

from typing import cast

import torch
from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.auxiliary_gan import AuxiliaryGAN, Verdict
from caloforge.models.base import Batch, Latent, Shapes, require_positive
from caloforge.models.censored import Table, censored, expected_numbers
from caloforge.models.gan_settings import GANSettings
from caloforge.models.views import Views

__all__ = ["CompactGAN"]

PART = 4000  # showers that the loadings are found from
ALONE = 0.2  # least standard deviation of a cell's own number
FAINT = 0.1  # of the mean, added to the root mean square of a cell
FLOOR = 1e-4  # of a layer's share, for the moments
RECIPE = GANSettings(
    weights=(1.0, 0.01, 0.0, 0.0),
    label=0.9,
    generator_steps=1,
    optimizer="adam",
    learning_rates=(1e-4, 4e-4),
    latent="concatenated",
)


class CompactGAN(AuxiliaryGAN):
    """The compact Conv2D GAN, for layers of any shape; for cell energies per incident energy, to a power.

    Transforms: ``[PerIncident, CellPower(power, scale=1)]``.

    Parameters
    ----------
    width : channels inside the generator; `critic_width` is that of the discriminator.
    n_global : numbers that the whole shower depends on.
    power : x are cell energies to this power (transform `CellPower`).
    matching : λ.
    weights, flip, label, generator_steps, learning_rates : of `GANSettings`.
    bf16 : generate in half precision: faster on processors that have units for it.
    """

    def __init__(
        self,
        width: int = 16,
        critic_width: int = 32,
        n_global: int = 32,
        power: float = 0.5,
        matching: float = 3.0,
        weights: tuple[float, float, float, float] | None = None,
        flip: float | None = None,
        label: float | None = None,
        generator_steps: int | None = None,
        learning_rates: tuple[float, float] | None = None,
        bf16: bool = False,
    ) -> None:
        given = {
            "weights": weights,
            "flip": flip,
            "label": label,
            "generator_steps": generator_steps,
            "learning_rates": learning_rates,
        }
        super().__init__(RECIPE, given, n_global, power, bf16)
        require_positive(width=width, critic_width=critic_width)
        if not matching >= 0:
            raise InputError(f"matching is {matching}; expected a number that is not negative.")
        self.width, self.critic_width, self.n_global, self.matching = width, critic_width, n_global, matching

    def networks(self, shapes: Shapes, condition_names: tuple[str, ...]) -> tuple[nn.Module, nn.Module]:
        energy = condition_names.index("energy") if "energy" in condition_names else None
        grid = Grid(shapes)
        self.views = Views(("moments",), shapes, FLOOR)
        self.scale = Table(grid.n_cells, 1, self.main, energy)
        table = Table(grid.n_cells, 2, self.main, energy)
        k = len(condition_names)
        generator = Generator(grid, table, self.n_global, k, self.width)
        return generator, Discriminator(grid, self.views.size, k, self.critic_width, energy is not None)

    @property
    def latent(self) -> Latent:
        return Latent(self.n_global + self.cells.grid.n_cells)

    @property
    def cells(self) -> "Generator":
        """The generator, by its type."""
        return cast(Generator, self.generator)

    def mixed(self, z: Tensor, c: Tensor) -> Tensor:
        """The noise alone: conditions enter by themselves."""
        return z

    def prepare(self, x: Tensor, c: Tensor) -> None:
        """Tabulate the cells' amplitudes, thresholds and root mean squares; set the scale of the moments."""
        super().prepare(x, c)
        table = self.cells.table
        table.place(c)
        self.scale.place(c)
        mean, square = self.scale.moments(x, c)
        table.values = torch.stack(censored(mean, square), dim=1).flatten(1)
        self.cells.start(x[:PART], c[:PART])
        rms = square.sqrt()
        self.scale.values = rms + FAINT * rms.mean(1, keepdim=True)
        self.views.fit(self.shares(x, c))

    def shares(self, x: Tensor, c: Tensor) -> Tensor:
        """Cell energies over the mean deposited energy at their conditions, shape (N, n_cells)."""
        mean: Tensor = self.mean_total(c)
        return self.energies(x) / mean[:, None]

    def features(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the discriminator sees: scaled cells (N, n_cells), moments (N, 5 n_layers), conditions (N, k)."""
        return x / self.scale(c), self.views(self.shares(x, c)), self.scale.centered(c)

    def judge(self, x: Tensor, c: Tensor) -> Verdict:
        return self.discriminator(*self.features(x, c))  # type: ignore[no-any-return]

    def generator_losses(self, batch: Batch, rng: torch.Generator, progress: float) -> dict[str, Tensor]:
        """As of the line, and the distance of mean features."""
        losses, fake = self.auxiliary_losses(batch, rng, progress)
        if self.matching:
            with torch.no_grad():
                real = self.features(batch.x, batch.c)
            losses["matching"] = self.matching * mean_distance(real, self.features(fake, batch.c), batch.w)
        return losses


class Grid:
    """Layers of any shapes as channels of one image, as large as the largest: for two-dimensional convolutions."""

    def __init__(self, shapes: Shapes) -> None:
        self.layers, self.rows, self.columns = len(shapes), max(r for r, _ in shapes), max(c for _, c in shapes)
        inside = torch.zeros(self.layers, self.rows, self.columns, dtype=torch.bool)
        for layer, (rows, columns) in zip(inside, shapes, strict=True):
            layer[:rows, :columns] = True
        self.index = None if inside.all() else inside.flatten().nonzero()[:, 0]
        self.n_cells = int(inside.sum())

    def cells(self, image: Tensor) -> Tensor:
        """Shape (N, channels, rows, columns) → (N, ..., n_cells), for channels a multiple of the layers."""
        flat = image.reshape(len(image), -1, self.layers * self.rows * self.columns)
        return flat if self.index is None else flat[:, :, self.index.to(flat.device)]

    def image(self, cells: Tensor) -> Tensor:
        """Shape (N, n_cells) → (N, layers, rows, columns), zero where there is no cell."""
        if self.index is None:
            flat = cells
        else:
            flat = cells.new_zeros(len(cells), self.layers * self.rows * self.columns)
            flat[:, self.index.to(flat.device)] = cells
        return flat.reshape(-1, self.layers, self.rows, self.columns)

    def coarse(self, factor: int) -> tuple[int, int]:
        """Rows and columns at a lower resolution."""
        return -(-self.rows // factor), -(-self.columns // factor)


class Generator(nn.Module):
    """Global numbers, one number per cell, and conditions → x before the ReLU."""

    def __init__(self, grid: Grid, table: Table, n_global: int, k: int, width: int) -> None:
        super().__init__()
        self.grid, self.table, self.n_global = grid, table, n_global
        rows, columns = grid.coarse(4)
        self.maps = nn.Sequential(
            nn.Linear(n_global + k, width * rows * columns),
            nn.Unflatten(1, (width, rows, columns)),
            nn.LeakyReLU(0.2),
            nn.Upsample(size=grid.coarse(2)),
            nn.Conv2d(width, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(size=(grid.rows, grid.columns)),
            nn.Conv2d(width, 2 * grid.layers, 3, padding=1),
        )
        with torch.no_grad():  # so that the start is undisturbed, and gradients pass
            self.maps[-1].weight.mul_(0.01)  # type: ignore[operator]
            self.maps[-1].bias.zero_()  # type: ignore[operator]
        self.cells = nn.Parameter(torch.zeros(2, 2, grid.n_cells))
        self.alone = nn.Parameter(torch.ones(grid.n_cells))
        self.loadings = nn.Parameter(torch.zeros(2, n_global, grid.n_cells))

    def forward(self, latent: Tensor, c: Tensor) -> Tensor:
        """Shape (N, n_global + n_cells) → (N, n_cells)."""
        z, own = latent[:, : self.n_global], latent[:, self.n_global :]
        centered = self.table.centered(c)
        u = centered[:, self.table.main, None]
        maps = self.grid.cells(self.maps(torch.cat([z, centered], dim=1)))
        gain = maps[:, 1] + torch.addcmul(self.cells[0, 1], u, self.cells[1, 1])
        shift = maps[:, 0] + torch.addcmul(self.cells[0, 0], u, self.cells[1, 0])
        amplitude, threshold = self.table(c).unflatten(1, (2, -1)).unbind(1)
        x: Tensor = amplitude * torch.exp(gain) * (self.numbers(z, own, u) + shift - threshold)
        return x

    def numbers(self, z: Tensor, own: Tensor, u: Tensor) -> Tensor:
        """The cells' numbers before shifts, shape (N, n_cells): each standard normal, and correlated."""
        (first, slope), alone = self.loadings, self.alone
        shared = torch.cat([z, u * z], dim=1) @ self.loadings.flatten(0, 1)
        variance = torch.addcmul((alone.square() + first.square().sum(0)), u, 2 * (first * slope).sum(0))
        variance = torch.addcmul(variance, u.square(), slope.square().sum(0))
        return torch.addcmul(shared, alone, own) * torch.rsqrt(variance)

    @torch.no_grad()
    def start(self, x: Tensor, c: Tensor) -> None:
        """Set the loadings to the principal components of showers x (N, n_cells) at conditions c."""
        amplitude, threshold = self.table(c).unflatten(1, (2, -1)).unbind(1)
        scores = expected_numbers(x, amplitude, threshold)
        scores -= scores.mean(0)
        k = min(self.n_global, *scores.shape)
        _, values, vectors = torch.svd_lowrank(scores, min(k + 8, *scores.shape), niter=3)
        size = (scores @ vectors[:, :k]).abs()
        u = self.table.centered(c)[:, self.table.main, None]
        growth = (size * u).mean(0) / size.mean(0).clamp(min=1e-12)
        self.loadings.zero_()
        self.loadings[0, :k] = (vectors[:, :k] * values[:k] / len(x) ** 0.5).T
        self.loadings[1] = self.loadings[0]
        self.loadings[1, :k] *= growth[:, None]
        self.alone.copy_((1 - self.loadings[0].square().sum(0)).clamp(min=ALONE**2).sqrt())


class Discriminator(nn.Module):
    """Convolutions on the image, then a dense layer that sees moments and conditions, too."""

    def __init__(self, grid: Grid, n_moments: int, k: int, width: int, energy: bool) -> None:
        super().__init__()
        self.grid = grid
        rows, columns = grid.coarse(8)
        self.image = nn.Sequential(
            nn.Conv2d(grid.layers, width, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        n = 2 * width * rows * columns
        self.hidden = nn.Sequential(nn.Linear(n + n_moments + k, 128), nn.LeakyReLU(0.2))
        self.real = nn.Linear(128 + k, 1)
        self.energy = nn.Linear(128, 1) if energy else None

    def forward(self, cells: Tensor, moments: Tensor, c: Tensor) -> Verdict:
        """Each of shape (N,)."""
        h = self.hidden(torch.cat([self.image(self.grid.image(cells)), moments, c], dim=1))
        energy = None if self.energy is None else self.energy(h).squeeze(1)
        return Verdict(self.real(torch.cat([h, c], dim=1)).squeeze(1), energy)


def mean_distance(real: tuple[Tensor, ...], fake: tuple[Tensor, ...], w: Tensor) -> Tensor:
    """Squared distance of weighted mean features (cells; moments and their squares), without the noise of the means.

    Features are those of `CompactGAN.features`; the last are the conditions, which both have in common.
    """
    u = real[-1]
    by = torch.cat([torch.ones_like(u[:, :1]), u], dim=1) * w[:, None]
    cells, moments = (f - r for f, r in zip(fake[:2], real[:2], strict=True))
    squares = fake[1].square() - real[1].square()
    distance = torch.zeros((), device=u.device)
    for difference in (cells, moments, squares):
        one, other = (h.T @ d / len(d) for h, d in zip(by.chunk(2), difference.chunk(2), strict=True))
        distance = distance + (one * other).mean()
    return distance
