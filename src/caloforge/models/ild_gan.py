r"""The GAN of the ILD line: "Getting High" (Buhmann et al., arXiv 2005.05334).

A generator of transposed convolutions turns noise :math:`z \sim U(-1, 1)^{100}` and the energy beside it into a volume
of 30 layers of 30 × 30 cells; a discriminator of convolutions judges showers together with their energy. With logits
:math:`D`, label 1 for real and 0 for generated showers, weights :math:`w`, and :math:`\mathrm{BCE}(y, D)` the binary
cross entropy, the losses are the non-saturating ones of Goodfellow et al.,

.. math::  L_D = \mathbb E[w\,\mathrm{BCE}(1, D(x, c))] + \mathbb E[w\,\mathrm{BCE}(0, D(G(z, c), c))], \qquad
           L_G = \mathbb E[w\,\mathrm{BCE}(1, D(G(z, c), c))]

=============  ====================================================================  ======================
network        layers                                                                parameters (published)
=============  ====================================================================  ======================
generator      transposed conv. 4³ to 128 channels of 4³; 4³, stride 2, to 64 (8³),  1 516 176 (1.5 M)
               32 (16³), 16 (32³), each with batch normalisation and ReLU; 3³ to
               one channel of 30³, ReLU
discriminator  conv. 3³, stride 2, to 32 (17³), 64 (9³), 128 (5³), 160 (3³), 256     1 970 081 (2.0 M)
               (1³), batch normalisation on the middle three, LeakyReLU 0.2; dense
               257 (with the energy), 128, 1
=============  ====================================================================  ======================

Published are the kinds of layers, latent size, 257 and 128, and the rounded numbers of parameters; channels are those
that come nearest. Learning rate 10⁻⁵, batches of 32. The released code differs in this: it multiplies the noise by the
energy; it draws new energies for generated showers, which here have those of the batch; and its discriminator
normalises real and generated batches apart, which hides how their means differ, so that here they are one batch. In
training a tenth of the gradient passes the last ReLU below zero, which changes no shower: else a cell that is never hit
stays so. Discriminators start as He et al. have them.

**Other volumes.** The generator begins with an eighth of the (n + 2) cells along each axis, rounded up, and what it
makes too many is cut off on both sides; along an axis of one cell nothing grows. So one layer of 30 × 30, the sum along
the beam, is the two-dimensional GAN. Layers of different sizes are padded to the largest.

**Scale.** x are cell energies over the incident energy (transform `PerIncident`), or these to a power (`CellPower`);
networks work in units of the root mean square of the training showers' hit cells.
"""

from collections.abc import Callable
from math import prod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.base import Backward, Batch, Latent, Model, Optimizers, Shapes, require_positive
from caloforge.models.compact_gan import Grid
from caloforge.models.nn import ScaledConditions, adam

__all__ = ["Cells", "ConvGAN", "begin", "convolution", "growing", "hit_rms", "scaled", "started"]

SLOPE = 0.2
LEAK = 0.1  # part of the gradient that passes a generator's ReLU below zero
Sizes = tuple[int, ...]  # of a volume: layers, rows, columns
Norm = Callable[[int, Sizes], nn.Module]


class ConvGAN(Model):
    """The vanilla GAN of Getting High, for layers of any size.

    Parameters
    ----------
    width : the numbers of channels inside the networks are multiplied by it.
    n_latent : size of the noise.
    learning_rate, betas : of Adam, for both networks.
    """

    support = "positive"

    def __init__(
        self,
        width: float = 1.0,
        n_latent: int = 100,
        learning_rate: float = 1e-5,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__()
        require_positive(width=width, n_latent=n_latent, learning_rate=learning_rate)
        self.width, self.n_latent = width, n_latent
        self.learning_rate, self.betas = learning_rate, (float(betas[0]), float(betas[1]))

    def build(self, shapes: Shapes, condition_names: tuple[str, ...]) -> None:
        grid, k = Grid(shapes), len(condition_names)
        self.conditioning = ScaledConditions(condition_names)
        self.generator = Generator(grid, self.n_latent + k, self.width)
        self.discriminator = Discriminator(grid, k, self.width)
        self.eval()

    @property
    def latent(self) -> Latent:
        return Latent(self.n_latent, "uniform")

    @property
    def exported(self) -> nn.Module:
        return self.generator

    @property
    def unit(self) -> Tensor:
        """What x is divided by before the discriminator sees it: a scalar."""
        return self.generator.cells.unit

    def prepare(self, x: Tensor, c: Tensor) -> None:
        """Set the unit of x."""
        self.unit.fill_(hit_rms(x))

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.generator(torch.cat([z, c], dim=1))  # type: ignore[no-any-return]

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate, betas = self.learning_rate, self.betas
        return {"discriminator": adam(self.discriminator, rate, betas), "generator": adam(self.generator, rate, betas)}

    def step(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """One update of the discriminator on real and generated showers, then one of the generator on these showers."""
        x, c, w = batch
        if len(x) < 2:
            raise InputError("a GAN with batch normalisation needs at least 2 showers per step: raise batch_size.")
        self.generator.train()
        self.discriminator.train()
        fake = self(self.latent.draw(len(c), rng), c)
        of_real, of_fake = self.judge_both(x, fake.detach(), c)
        real_loss, fake_loss = cross_entropy(of_real, 1.0, w), cross_entropy(of_fake, 0.0, w)
        backward(real_loss + fake_loss, optimizers["discriminator"])
        optimizers["discriminator"].step()
        loss = cross_entropy(self.judge_both(x, fake, c)[1], 1.0, w)
        backward(loss, optimizers["generator"])
        optimizers["generator"].step()
        return {"generator": loss.detach(), "real": real_loss.detach(), "fake": fake_loss.detach()}

    def judge_both(self, x: Tensor, fake: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and of generated showers at the same conditions, normalised as one batch: each (N,)."""
        of_real, of_fake = self.judge(torch.cat([x, fake]), torch.cat([c, c])).chunk(2)
        return of_real, of_fake

    def judge(self, x: Tensor, c: Tensor) -> Tensor:
        """Logits of being real, shape (N,)."""
        return self.discriminator(x / self.unit, c)  # type: ignore[no-any-return]

    def verdict(self, x: Tensor, c: Tensor) -> Tensor:
        self.discriminator.eval()
        return self.judge(x, c)


def cross_entropy(logits: Tensor, label: float, w: Tensor) -> Tensor:
    """Weighted mean of the binary cross entropy with one label for all, a scalar."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label), w)


def hit_rms(x: Tensor) -> float:
    """Root mean square of the cells that are hit; 1 if none is."""
    if x.min() < 0:
        raise InputError("the GANs of the ILD line learn energies that are not negative; cut or clip them before.")
    hits = int((x > 0).sum())
    return float(x.double().square().sum() / hits) ** 0.5 if hits else 1.0


class Generator(nn.Module):
    """From noise with conditions (N, n_input) to x (N, n_cells)."""

    def __init__(self, grid: Grid, n_input: int, width: float) -> None:
        super().__init__()
        channels = [scaled(width, n) for n in (128, 64, 32, 16)]
        sizes = (grid.layers, grid.rows, grid.columns)
        self.first = nn.ConvTranspose3d(n_input, channels[0], begin(sizes), bias=False)
        self.grown = growing(channels, sizes, lambda n, _: nn.BatchNorm3d(n))
        self.cells = Cells(grid)

    def forward(self, latent: Tensor) -> Tensor:
        """Shape (N, n_input) → (N, n_cells)."""
        return self.cells(self.grown(self.first(latent[:, :, None, None, None])))  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Logit of being real, of x over its unit and conditions."""

    def __init__(self, grid: Grid, k: int, width: float) -> None:
        super().__init__()
        self.grid = grid
        sizes: Sizes = (grid.layers, grid.rows, grid.columns)
        n_in, layers = 1, list[nn.Module]()
        for n, padding in ((32, 3), (64, 1), (128, 1), (160, 1), (256, 0)):
            layer, sizes = convolution(n_in, scaled(width, n), sizes, (3, 3, 3), (2, 2, 2), (padding,) * 3)
            n_in = scaled(width, n)
            layers.append(layer)
            if padding == 1:
                layers.append(nn.BatchNorm3d(n_in))
            if padding:
                layers.append(nn.LeakyReLU(SLOPE))
        hidden = scaled(width, 128)
        self.image = nn.Sequential(*layers, nn.Flatten())
        self.dense = nn.Sequential(nn.Linear(n_in * prod(sizes) + k, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, 1))
        started(self)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes (N, n_cells) and (N, k) → (N,)."""
        features = self.image(self.grid.image(x)[:, None])
        return self.dense(torch.cat([features, c], dim=1)).squeeze(1)  # type: ignore[no-any-return]


class Cells(nn.Module):
    """The end of a generator: the middle of an image (N, 1, layers, rows, columns), not negative, as x (N, n_cells)."""

    unit: Tensor

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.register_buffer("unit", torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        for axis, n in enumerate((self.grid.layers, self.grid.rows, self.grid.columns), start=2):
            image = image.narrow(axis, (image.shape[axis] - n) // 2, n)
        h: Tensor = self.grid.cells(image)[:, 0]
        x = torch.relu(h)
        if self.training:
            below = h.clamp(max=0)
            x = x + LEAK * (below - below.detach())
        return self.unit * x


def started(network: nn.Module) -> None:
    """Start convolutions and dense layers as He et al. (arXiv 1502.01852): a deep network then has a slope near one."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def scaled(width: float, n: int) -> int:
    """A number of channels."""
    return max(1, round(width * n))


def begin(sizes: Sizes) -> tuple[int, int, int]:
    """Sizes of the volume that is doubled three times, loses two cells along each axis, and then covers `sizes`."""
    beginning = tuple(1 if n == 1 else -(-(n + 2) // 8) for n in sizes)
    return cast(tuple[int, int, int], beginning)


def growing(channels: list[int], sizes: Sizes, norm: Norm, n_in: int | None = None) -> nn.Sequential:
    """Transposed convolutions to all channels but the first, each doubles the volume; and a last one to one channel.

    `n_in` are the channels that come in, if not the first of `channels`; ``norm(channels, sizes)`` normalises.
    """
    layers: list[nn.Module] = []
    now, before = begin(sizes), n_in or channels[0]
    for n in channels[1:]:
        layer, now = _transposed(before, n, now, sizes, (4, 2, 1))
        layers += [layer, norm(n, now), nn.ReLU()]
        before = n
    return nn.Sequential(*layers, _transposed(before, 1, now, sizes, (3, 1, 2))[0])


def _transposed(n_in: int, n_out: int, now: Sizes, sizes: Sizes,
                shape: tuple[int, int, int]) -> tuple[nn.ConvTranspose3d, tuple[int, int, int]]:  # fmt: skip
    """A transposed convolution of (kernel, stride, padding) along axes of more than one cell; and sizes after it."""
    kernel, stride, padding = (
        tuple(value if n > 1 else alone for n in sizes) for value, alone in zip(shape, (1, 1, 0), strict=True)
    )
    layer = nn.ConvTranspose3d(n_in, n_out, kernel, stride, padding, bias=False)  # type: ignore[arg-type]
    after = tuple((n - 1) * s - 2 * p + k for n, k, s, p in zip(now, kernel, stride, padding, strict=True))
    return layer, cast(tuple[int, int, int], after)


def convolution(
    n_in: int, n_out: int, sizes: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes
) -> tuple[nn.Conv3d, Sizes]:
    """A convolution without bias, and the sizes of what it makes of `sizes`.

    A kernel is no longer than what it lies on, and of one cell along axes of one cell.
    """
    fitted = [
        (1, 1, 0) if n == 1 else (min(k, n + 2 * p), s, p)
        for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True)
    ]
    k3, s3, p3 = (cast(tuple[int, int, int], each) for each in zip(*fitted, strict=True))
    layer = nn.Conv3d(n_in, n_out, k3, s3, p3, bias=False)
    return layer, tuple((n + 2 * p - k) // s + 1 for n, (k, s, p) in zip(sizes, fitted, strict=True))
