r"""The response of a calorimeter, :math:`p(E_\mathrm{dep} \mid E)`, in one dimension.

A model of fractions needs the deposited energy as a condition; users know only the true energy :math:`E`. The response
:math:`r = E_\mathrm{dep} / E` is a single number per shower, so that its distribution can simply be tabulated: its
quantile function :math:`Q(u \mid E)`, at some energies (nodes, evenly spaced over the training showers) and at
probabilities that are dense near 0 and 1, where :math:`Q` is steep: :math:`u_k = \tfrac12 (1 - \cos(\pi k / n))`. It is
linear in :math:`u` and in :math:`\log E` between them. One uniform number :math:`u` then gives
:math:`E_\mathrm{dep} = E\,Q(u \mid E)`.

Showers may deposit nothing. Their share :math:`p_0(E)` is tabulated beside :math:`Q`, which describes the others:
:math:`u < p_0` gives an empty shower, and the rest of the interval is stretched over :math:`Q`.

Piecewise linear functions are evaluated without looking anything up, as sums of clamped straight lines: with nodes
:math:`x_k`, :math:`f(x) = f_0 + \sum_k (f_{k+1} - f_k)\,\min(1, \max(0, a_k + b_k x))` with
:math:`b_k = 1 / (x_{k+1} - x_k)` and :math:`a_k = -b_k x_k`.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Response"]

Floats = NDArray[np.float64]
MOST = 1 + 1e-6  # so that a node where all showers are empty divides by something


class Response(nn.Module):
    """Quantile function of the response, tabulated in the logarithm of the true energy.

    Parameters
    ----------
    nodes : number of energies, at most; fewer if there are fewer different ones, or too few showers.
    levels : number of probabilities, from 0 to 1.
    """

    energy_offsets: Tensor
    energy_slopes: Tensor
    level_offsets: Tensor
    level_slopes: Tensor
    first: Tensor
    rises: Tensor

    def __init__(self, nodes: int = 48, levels: int = 129) -> None:
        super().__init__()
        self.nodes, self.levels = nodes, levels
        self.register_buffer("energy_offsets", torch.zeros(1))
        self.register_buffer("energy_slopes", torch.ones(1))
        self.register_buffer("first", torch.zeros(levels + 1))
        self.register_buffer("rises", torch.zeros(1, levels + 1))
        offsets, slopes = _lines(self._probabilities())
        self.register_buffer("level_offsets", offsets)
        self.register_buffer("level_slopes", slopes)

    def _probabilities(self) -> Floats:
        """From 0 to 1, dense at both ends, shape (levels,)."""
        return np.asarray(0.5 * (1 - np.cos(np.pi * np.linspace(0, 1, self.levels))))

    def fit(self, energy: Floats, deposited: Floats, weights: Floats) -> None:
        """Tabulate showers of true energy and deposited energy, both (N,) in MeV, with weights (N,).

        A row of the table belongs to a node, and holds the share of empty showers, the lowest response of the others,
        and how much it rises from each level to the next.
        """
        x, r = np.log(energy), deposited / energy
        nodes = _nodes(x, min(self.nodes, 1 + len(x) // 100))
        table = [self._row(nodes, k, x, r, weights) for k in range(len(nodes))]
        if len(nodes) == 1:  # one energy: the table does not depend on it
            nodes, table = np.array([nodes[0], nodes[0] + 1]), [*table, *table]
        self.energy_offsets, self.energy_slopes = _lines(nodes)
        self.first = torch.tensor(table[0], dtype=torch.float32)
        self.rises = torch.tensor(np.diff(table, axis=0), dtype=torch.float32)

    def _row(self, nodes: Floats, k: int, x: Floats, r: Floats, w: Floats) -> Floats:
        """Row k; showers near its node count by a hat function, as the rows are interpolated."""
        w = w * np.interp(x, nodes, np.eye(len(nodes))[k])
        hit = (r > 0) & (w > 0)
        p_empty = 1 - w[hit].sum() / w.sum() if w.any() else 0.0
        if not hit.any():
            return np.array([p_empty, 1.0] + [0.0] * (self.levels - 1))
        order = np.argsort(r[hit])
        r, w = r[hit][order], w[hit][order]
        quantiles = np.interp(self._probabilities(), (np.cumsum(w) - w / 2) / w.sum(), r)
        return np.concatenate([[p_empty, quantiles[0]], np.diff(quantiles)])

    def forward(self, u: Tensor, energy: Tensor) -> Tensor:
        """Deposited energy (N,) in MeV for probabilities u (N,) and true energies (N,)."""
        along = torch.addcmul(self.energy_offsets, torch.log(energy)[:, None], self.energy_slopes).clamp(0, 1)
        row = torch.addmm(self.first, along, self.rises)
        p_empty = row[:, :1]
        level = (u[:, None] - p_empty) / (MOST - p_empty)
        ramps = torch.addcmul(self.level_offsets, level, self.level_slopes).clamp(0, 1)
        response = row[:, 1] + (ramps * row[:, 2:]).sum(1)
        return torch.where(u >= row[:, 0], energy * response, 0.0)


def _lines(x: Floats) -> tuple[Tensor, Tensor]:
    """Offsets a and slopes b of the lines that rise from 0 to 1 between neighbouring x."""
    slopes = 1 / np.diff(x)
    return torch.tensor(-slopes * x[:-1], dtype=torch.float32), torch.tensor(slopes, dtype=torch.float32)


def _nodes(x: Floats, n: int) -> Floats:
    """At most n different numbers, at evenly spaced quantiles of x."""
    different = np.unique(x)
    if len(different) <= n:
        return different
    return np.unique(np.quantile(x, np.linspace(0, 1, n)))
