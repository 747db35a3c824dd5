r"""The bricks of the models: multilayer perceptrons, the time embedding, the usual scaling of conditions."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caloforge.models.base import Conditioning

__all__ = ["ResidualMLP", "ScaledConditions", "StandardizedConditions", "adam", "fourier_features", "mlp"]

UNIT = 1e5  # MeV: scaled energies are in units of 100 GeV


def adam(network: nn.Module, learning_rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam for all parameters of a network, in its fast implementation."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, betas=betas, fused=True)


def mlp(sizes: Sequence[int], last_bias: bool = True, slope: float = 0.3) -> nn.Sequential:
    """Linear layers of the given sizes with LeakyReLU between them; the last may do without a bias."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(slope, inplace=True)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], bias=last_bias))


def fourier_features(t: Tensor, size: int) -> Tensor:
    r"""Sines and cosines of a time in [0, 1], shape (N, size), at size/2 frequencies from π/2 to 64π, log-spaced."""
    half = size // 2
    frequencies = 0.5 * pi * torch.exp(torch.arange(half, device=t.device) * (log(128.0) / max(half - 1, 1)))
    phases = t[:, None] * frequencies
    return torch.cat([torch.sin(phases), torch.cos(phases)], dim=1)


class ResidualBlock(nn.Module):
    r""":math:`h \to h + W_2\,\mathrm{silu}(W_1\,\mathrm{silu}(\mathrm{norm}(h)) + V e)` with an embedding e."""

    def __init__(self, width: int, n_embedding: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.embedding = nn.Linear(n_embedding, width, bias=False)
        self.second = nn.Linear(width, width)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """Shapes (N, width) and (N, n_embedding) → (N, width)."""
        inner = self.first(F.silu(self.norm(h))) + self.embedding(e)
        return h + self.second(F.silu(inner))  # type: ignore[no-any-return]


class ResidualMLP(nn.Module):
    """A vector field on x (N, n) that depends on an embedding e (N, n_embedding): residual blocks of one width."""

    def __init__(self, n: int, n_embedding: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Linear(n, width)
        self.blocks = nn.ModuleList(ResidualBlock(width, n_embedding) for _ in range(blocks))
        self.leave = nn.Linear(width, n)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Shapes (N, n) and (N, n_embedding) → (N, n)."""
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, e)
        return self.leave(F.silu(h))  # type: ignore[no-any-return]


class ScaledConditions(Conditioning):
    """Energies in units of 100 GeV, angles in rad: constants, so that a trained latent space keeps its meaning."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def fit(self, c: Mapping[str, Tensor]) -> None:
        """Nothing is fitted."""

    def forward(self, c: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([c[n] / UNIT if n in ("energy", "deposited") else c[n] for n in self.names], dim=1)


class StandardizedConditions(Conditioning):
    r"""Every condition with zero mean and unit variance over the training set.

    Energies enter by their logarithm; the deposited energy by :math:`\log(E_\mathrm{dep}/E)`, the response, because
    beside :math:`\log E` the fluctuations of :math:`\log E_\mathrm{dep}` would be too small to see. A condition
    that never varies becomes zero.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        self.register_buffer("shift", torch.zeros(len(names)))
        self.register_buffer("scale", torch.ones(len(names)))

    def _column(self, name: str, c: Mapping[str, Tensor]) -> Tensor:
        if name == "energy":
            return torch.log(c[name])
        if name == "deposited":
            # An empty shower has no response; any will do, since its energy is zero.
            return torch.log(torch.where(c[name] > 0, c[name] / c["energy"], 1.0))
        return c[name]

    def _columns(self, c: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([self._column(name, c) for name in self.names], dim=1)

    def fit(self, c: Mapping[str, Tensor]) -> None:
        """Set the scale, 1 over the standard deviation, and the shift, −mean times that, of each column: shape (k,)."""
        columns = self._columns(c).double()
        spread = columns.std(0, correction=0)
        scale = 1 / torch.where(spread > 1e-5, spread, 1.0)
        self.scale = scale.to(self.scale)
        self.shift = (-columns.mean(0) * scale).to(self.shift)

    def forward(self, c: Mapping[str, Tensor]) -> Tensor:
        return torch.addcmul(self.shift, self._columns(c), self.scale)
