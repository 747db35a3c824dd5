r"""Three-dimensional convolutional GANs of the CLIC calorimeter: 3DGAN in its published forms.

============  ========================================================================================================
``fixed``     electrons at a fixed angle, 25×25×25 cells: Carminati et al., J. Phys. Conf. Ser. 1085 (2018) 032016;
              Khattak et al., ICMLA 2019; code svalleco/3Dgan, ``EcalEnergyGan.py``
``rehm``      F. Rehm's, of the same showers: transposed convolutions, no activation at the end; ``TF_2/Models_V1_4.py``
``angle``     variable angle, 51×51×25 cells: Khattak et al., Eur. Phys. J. C 82 (2022) 386; ``AngleArch3dGAN_tf2.py``
============  ========================================================================================================

Training and losses: `caloforge.models.auxiliary_gan`. The images have the axes (row, column, layer), as published;
sizes along the way follow from the kernels and paddings of that code:

============  ==================================================================  =====================  =============
version       generator                                                           its trainable          of the
                                                                                  parameters             discriminator
============  ==================================================================  =====================  =============
``fixed``     7×7×8 → 14×14×16 → 13×14×9 → 26×28×27 → 26³ → 25³                   872 808                73 402
``rehm``      5³ → 15³ → 30³ → 27³ → 25³                                          629 449                270 818
``angle``     9×9×8 → 54×54×48 → 49×49×41 → 50×50×38 → … → 52×52×26 → 51×51×25    1 364 983              87 354
============  ==================================================================  =====================  =============

These are the trainable ones; with running means and variances of the batch normalisation Keras would say 872 948,
629 705, 1 365 047, and 73 450, 270 946, 87 402. One thing differs: the TF2 code of ``rehm`` normalises over the last
axis of images whose channels come first, that is over a coordinate; here, as its number of parameters was derived,
over channels.
"""

from math import prod
from typing import Literal

from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.auxiliary_gan import AuxiliaryGAN, Verdict
from caloforge.models.base import Shapes, require_positive
from caloforge.models.gan_settings import GANSettings
from caloforge.models.keras_layers import batch_norm, conv, conv_transpose, dense, leaky_relu, pad

__all__ = ["GAN3D"]

Version = Literal["fixed", "rehm", "angle"]
RECIPES = {
    "fixed": GANSettings(),
    "rehm": GANSettings(output="linear"),
    "angle": GANSettings(weights=(3.0, 0.1, 0.1, 25.0), latent="concatenated"),
}
GRIDS = {"fixed": (25, 25, 25), "rehm": (25, 25, 25), "angle": (51, 51, 25)}
N_LATENT = {"fixed": 200, "rehm": 200, "angle": 256}


class GAN3D(AuxiliaryGAN):
    """3DGAN with three-dimensional convolutions; every option that is not given has its published value.

    Parameters
    ----------
    version : ``fixed``, ``rehm`` (25×25×25 cells) or ``angle`` (51×51×25 cells, conditions energy and theta).
    width : the numbers of channels are multiplied by it.
    n_latent : size of the generator's input.
    power : x are cell energies to this power (transform `CellPower`); sums and angles are of energies.
    weights, flip, label, generator_steps, learning_rates, linear_until : of `GANSettings`.
    bf16 : generate in half precision: several times as fast on processors that have units for it.
    """

    def __init__(
        self,
        version: Version = "fixed",
        width: float = 1.0,
        n_latent: int | None = None,
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
        size = n_latent or N_LATENT[version]
        super().__init__(RECIPES[version], given, size, power, bf16)
        require_positive(width=width)
        self.version, self.width, self.n_latent = version, width, n_latent

    def networks(self, shapes: Shapes, condition_names: tuple[str, ...]) -> tuple[nn.Module, nn.Module]:
        rows, columns, layers = GRIDS[self.version]
        if shapes != ((rows, columns),) * layers:
            raise InputError(f"3DGAN {self.version!r} is for {layers} layers of {rows} x {columns} cells, no other.")
        if self.version == "angle" and "theta" not in condition_names:
            raise InputError("the 3DGAN 'angle' needs the condition theta: conditions: [energy, theta].")
        make = {"fixed": _fixed, "rehm": _rehm, "angle": _angle}[self.version]
        generator, features, n = make(self.n_input, self.width)
        return Generator(generator), Discriminator(features, n, GRIDS[self.version])


class Generator(nn.Module):
    """From images (N, 1, rows, columns, layers) to cells (N, n_cells), layer slowest."""

    def __init__(self, image: nn.Sequential) -> None:
        super().__init__()
        self.image = image

    def forward(self, latent: Tensor, c: Tensor) -> Tensor:
        """Shape (N, n_input) → (N, n_cells)."""
        return self.image(latent).squeeze(1).permute(0, 3, 1, 2).flatten(1)  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Verdict on cells (N, n_cells): the logit of being real, and the primary energy."""

    def __init__(self, features: nn.Sequential, n: int, grid: tuple[int, int, int]) -> None:
        super().__init__()
        self.features, self.grid = features, grid
        self.real, self.energy = dense(n, 1), dense(n, 1)

    def forward(self, x: Tensor, c: Tensor) -> Verdict:
        """Each of shape (N,)."""
        rows, columns, layers = self.grid
        image = x.reshape(-1, layers, rows, columns).permute(0, 2, 3, 1).unsqueeze(1)
        h = self.features(image)
        return Verdict(self.real(h).squeeze(1), self.energy(h).squeeze(1))


def _block(n_in: int, n_out: int, kernel: tuple[int, ...], *, same: bool = False, bias: bool = True,
           normed: bool = True) -> list[nn.Module]:  # fmt: skip
    """Convolution, LeakyReLU, batch normalisation."""
    layers = [conv(n_in, n_out, kernel, same=same, bias=bias), leaky_relu()]
    return [*layers, batch_norm(n_out, 3)] if normed else layers


def _fixed(n_latent: int, width: float) -> tuple[nn.Sequential, nn.Sequential, int]:
    a, b, c = (_scaled(width, n) for n in (8, 64, 6))
    generator = nn.Sequential(
        dense(n_latent, 7 * 7 * 8 * a),
        nn.Unflatten(1, (a, 7, 7, 8)),
        *_block(a, b, (6, 6, 8), same=True),
        nn.Upsample(scale_factor=2),
        pad([2, 2, 0]),
        *_block(b, c, (6, 5, 8)),
        nn.Upsample(scale_factor=(2, 2, 3)),
        pad([1, 0, 3]),
        *_block(c, c, (3, 3, 8), normed=False),
        conv(c, 1, (2, 2, 2), bias=False, start="glorot"),
    )
    return generator, *_discriminator((32, 8, 8, 8), (5, 5, 5), ((2, 2, 2), (2, 2, 2), (1, 1, 1)), (11, 11, 11), width)


def _rehm(n_latent: int, width: float) -> tuple[nn.Sequential, nn.Sequential, int]:
    a, b, c, d = (_scaled(width, n) for n in (5, 64, 32, 16))
    generator = nn.Sequential(
        dense(n_latent, 125 * a),
        nn.Unflatten(1, (a, 5, 5, 5)),
        *_block(a, b, (5, 5, 5), same=True, bias=False),
        conv_transpose(b, c, 5, 3, 3),
        leaky_relu(),
        *_block(c, d, (5, 5, 5), same=True, bias=False),
        conv_transpose(d, c, 5, 2, 3),
        leaky_relu(),
        *_block(c, c, (4, 4, 4), bias=False),
        *_block(c, d, (3, 3, 3)),
        conv(d, 1, (2, 2, 2), same=True, bias=False, start="glorot"),
    )
    pads = ((2, 2, 2), (2, 2, 2), (1, 1, 1))
    return generator, *_discriminator((32, 32, 16, 16), (5, 5, 5), pads, (11, 11, 11), width)


def _angle(n_latent: int, width: float) -> tuple[nn.Sequential, nn.Sequential, int]:
    a, b = _scaled(width, 8), _scaled(width, 6)
    layers: list[nn.Module] = [dense(n_latent, 9 * 9 * 8 * a), nn.Unflatten(1, (a, 9, 9, 8))]
    layers.append(nn.Upsample(scale_factor=6))
    layers += [conv(a, a, (6, 6, 8)), nn.ReLU(), batch_norm(a, 3, eps=1e-6)]
    for number in range(3):
        layers += [pad([2, 2, 1]), conv(b if number else a, b, (4, 4, 6)), nn.ReLU(), batch_norm(b, 3, eps=1e-6)]
    layers += [pad([1, 1, 0]), conv(b, b, (3, 3, 5)), nn.ReLU(), batch_norm(b, 3, eps=1e-6)]
    layers += [pad([1, 1, 0]), conv(b, b, (3, 3, 3)), nn.ReLU(), conv(b, 1, (2, 2, 2), start="glorot")]
    pads = ((0, 0, 1), (0, 0, 1), (0, 0, 0))
    return nn.Sequential(*layers), *_discriminator((16, 8, 8, 8), (5, 6, 6), pads, (19, 18, 7), width)


def _discriminator(
    channels: tuple[int, ...],
    kernel: tuple[int, int, int],
    pads: tuple[tuple[int, int, int], ...],
    pooled: tuple[int, int, int],
    width: float,
) -> tuple[nn.Sequential, int]:
    """Four convolutions with dropout, the first not normalised, then means over 2×2×2 cells; number of features."""
    first, *others = (_scaled(width, n) for n in channels)
    layers: list[nn.Module] = [conv(1, first, kernel, same=True, start="glorot"), leaky_relu(), nn.Dropout(0.2)]
    n = first
    for n_out, amounts in zip(others, pads, strict=True):
        layers += [pad(amounts), conv(n, n_out, kernel, start="glorot"), leaky_relu()]
        layers += [batch_norm(n_out, 3), nn.Dropout(0.2)]
        n = n_out
    return nn.Sequential(*layers, nn.AvgPool3d(2), nn.Flatten()), n * prod(pooled)


def _scaled(width: float, n: int) -> int:
    return max(1, round(width * n))
