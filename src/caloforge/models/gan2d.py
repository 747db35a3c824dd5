r"""F. Rehm's three-branch GAN of two-dimensional convolutions (arXiv 2103.13698), for showers of 25×25×25 cells.

A convolution in two dimensions takes the third for its channels, which makes it cheaper than one in three, and blind to
shifts along the channels. So there are three branches, each with another axis as channels: a dense layer makes a cube
of 5×5×5, three permuted copies grow to 25×25×25 with

==========================  ==========================================================================
5×5                         Conv 32 (5)
15×15                       transposed Conv 64 (5, stride 3), Conv 64 (5)
30×30                       transposed Conv 64 (5, stride 2), Conv 64 (8)
26×26                       Conv 64 (5, valid), Conv 32 (4), Conv 32 (3)
25×25                       Conv 25 (2, valid)
==========================  ==========================================================================

each convolution with LeakyReLU, batch normalisation and dropout of 0.2; they are turned back, and a last convolution
(3×3) of all 75 channels makes the layers. It has 2 055 324 parameters, 2 053 446 of them trainable; the discriminator,
of three branches as well, 714 114 (F. Rehm's code, ``PTF_m4_1_ReLU.py``). The generator ends with a ReLU from the third
of 30 epochs on, before without. Training and losses: `caloforge.models.auxiliary_gan`.
"""

import torch
from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.auxiliary_gan import AuxiliaryGAN, Verdict
from caloforge.models.base import Shapes, require_positive
from caloforge.models.gan_settings import GANSettings
from caloforge.models.keras_layers import batch_norm, conv, conv_transpose, dense, leaky_relu

__all__ = ["GAN2D"]

N = 25
RECIPE = GANSettings(
    label=0.9,
    flip_generator=True,
    generator_steps=1,
    optimizer="adam",
    learning_rates=(5e-4, 1e-4),
    linear_until=0.1,
)
TURNS = ((0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1))  # axes of the three copies, and how each is turned back:
BACK = ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2))


class GAN2D(AuxiliaryGAN):
    """The three-branch Conv2D GAN; every option that is not given has its published value.

    Parameters
    ----------
    width : the numbers of channels inside the branches are multiplied by it.
    n_latent : size of the generator's input.
    power : x are cell energies to this power (transform `CellPower`); sums are of energies.
    weights, flip, label, generator_steps, learning_rates, linear_until : of `GANSettings`.
    bf16 : generate in half precision: several times as fast on processors that have units for it.
    """

    def __init__(
        self,
        width: float = 1.0,
        n_latent: int = 200,
        power: float = 1.0,
        weights: tuple[float, float, float, float] | None = None,
        flip: float | None = None,
        label: float | None = None,
        generator_steps: int | None = None,
        learning_rates: tuple[float, float] | None = None,
        linear_until: float | None = None,
        bf16: bool = False,
    ) -> None:
        given = {
            "weights": weights,
            "flip": flip,
            "label": label,
            "generator_steps": generator_steps,
            "learning_rates": learning_rates,
            "linear_until": linear_until,
        }
        super().__init__(RECIPE, given, n_latent, power, bf16)
        require_positive(width=width)
        self.width, self.n_latent = width, n_latent

    def networks(self, shapes: Shapes, condition_names: tuple[str, ...]) -> tuple[nn.Module, nn.Module]:
        if shapes != ((N, N),) * N:
            raise InputError(f"the three-branch GAN is for {N} layers of {N} x {N} cells, no other.")
        if "energy" not in condition_names:
            raise InputError("a GAN of this line needs the condition energy.")
        return Generator(self.n_input, self.width), Discriminator(self.width)


class Generator(nn.Module):
    """From the latent vector to the cells (N, 25³), without activation at the end."""

    def __init__(self, n_latent: int, width: float) -> None:
        super().__init__()
        self.cube = nn.Sequential(dense(n_latent, 125), nn.Unflatten(1, (5, 5, 5)))
        self.branches = nn.ModuleList(_growing(width) for _ in TURNS)
        self.last = conv(3 * N, N, (3, 3), same=True, bias=False)

    def forward(self, latent: Tensor, c: Tensor) -> Tensor:
        """Shape (N, n_input) → (N, 25³)."""
        return self.last(_branched(self.branches, self.cube(latent))).flatten(1)  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Verdict on cells (N, 25³)."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_shrinking(width) for _ in TURNS)
        self.features = nn.Sequential(nn.Flatten(), dense(27 * 81, 10), leaky_relu(), batch_norm(10, 1))
        self.real, self.energy = dense(10, 1), dense(10, 1)

    def forward(self, x: Tensor, c: Tensor) -> Verdict:
        """Each of shape (N,)."""
        h = self.features(_branched(self.branches, x.reshape(-1, N, N, N)))
        return Verdict(self.real(h).squeeze(1), self.energy(h).squeeze(1))


def _branched(branches: nn.ModuleList, cube: Tensor) -> Tensor:
    """Each branch on its copy of the cube, turned back, as channels: shape (N, 3 n, n, n)."""
    copies = zip(branches, TURNS, BACK, strict=True)
    return torch.cat([branch(cube.permute(turn).contiguous()).permute(back) for branch, turn, back in copies], dim=1)


def _block(n_in: int, n_out: int, kernel: int, *, same: bool = True) -> list[nn.Module]:
    """Convolution without bias, LeakyReLU, batch normalisation, dropout."""
    layer = conv(n_in, n_out, (kernel, kernel), same=same, bias=False)
    return [layer, leaky_relu(), batch_norm(n_out, 2), nn.Dropout(0.2)]


def _growing(width: float) -> nn.Sequential:
    a, b = (max(1, round(width * n)) for n in (32, 64))
    return nn.Sequential(
        *_block(5, a, 5),
        conv_transpose(a, b, 5, 3, 2),
        *_block(b, b, 5),
        conv_transpose(b, b, 5, 2, 2),
        *_block(b, b, 8),
        *_block(b, b, 5, same=False),
        *_block(b, a, 4),
        *_block(a, a, 3),
        *_block(a, N, 2, same=False),
    )


def _shrinking(width: float) -> nn.Sequential:
    a, b = (max(1, round(width * n)) for n in (32, 64))
    layers = _block(N, b, 8)
    for n_in, n_out, kernel in ((b, a, 6), (a, a, 5), (a, a, 4), (a, a, 3), (a, 9, 3)):
        layers += _block(n_in, n_out, kernel, same=False)
    return nn.Sequential(*layers)
