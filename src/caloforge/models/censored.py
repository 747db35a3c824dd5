r"""Cells as censored normal numbers, and tables of what they are at each energy.

A cell that is hit in a share of the showers only, and fluctuates when it is, has the energy

.. math::  x = a\,\mathrm{relu}(h - t), \qquad h \sim \mathcal N(0, 1).

With :math:`\psi_1 = \varphi(t) - t\,Q(t)` and :math:`\psi_2 = (1 + t^2)\,Q(t) - t\,\varphi(t)` (φ the normal density,
Q its upper tail), :math:`\langle x^2 \rangle / \langle x \rangle^2 = \psi_2 / \psi_1^2` gives the threshold
:math:`t`, and :math:`a = \langle x \rangle / \psi_1` the amplitude.
"""

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Table", "censored", "expected_numbers"]

N_NODES = 8
PRIOR = 5.0  # showers of the average energy that each node is given
RARE = 3.5  # threshold of a cell that was never hit


class Table(nn.Module):
    """Numbers of each cell as functions of the energy: linear in its root between nodes.

    Without an energy, the first condition takes its place, as it is.
    """

    nodes: Tensor
    center: Tensor
    spread: Tensor
    values: Tensor

    def __init__(self, n_cells: int, n: int, main: int, energy: int | None) -> None:
        super().__init__()
        self.n, self.main, self.energy = n, main, energy
        self.register_buffer("nodes", torch.arange(float(N_NODES)))
        self.register_buffer("center", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("values", torch.ones(N_NODES, n * n_cells))

    def coordinate(self, c: Tensor) -> Tensor:
        """Root of the energy, shape (N,)."""
        return c[:, self.main].sqrt() if self.energy is not None else c[:, self.main]

    def centered(self, c: Tensor) -> Tensor:
        """The conditions, of which the energy has become its root with mean 0 and variance 1, shape (N, k)."""
        u = (self.coordinate(c) - self.center) / self.spread
        return torch.stack([u if i == self.main else c[:, i] for i in range(c.shape[1])], dim=1)

    def place(self, c: Tensor) -> None:
        """Set the nodes: halfway between even spacing and equal numbers of showers."""
        u = self.coordinate(c).double()
        level = torch.linspace(0, 1, N_NODES, dtype=u.dtype, device=u.device)
        even = u.min() + level * (u.max() - u.min())
        nodes = 0.5 * (even + torch.quantile(u, level))
        width = nodes[-1] - nodes[0]
        self.nodes = (nodes if width > 0 else nodes + level).to(self.nodes)
        self.center = u.mean().to(self.center)
        self.spread = (u.std(correction=0) if width > 0 else u.new_ones(())).to(self.spread)

    def hats(self, c: Tensor) -> Tensor:
        """How much each node counts, shape (N, n_nodes), with sum 1."""
        u = self.coordinate(c)[:, None]
        ramps = ((u - self.nodes[:-1]) / self.nodes.diff().clamp(min=1e-6)).clamp(0, 1)
        full = torch.ones_like(u)
        return torch.cat([full, ramps], dim=1) - torch.cat([ramps, 0 * full], dim=1)

    def forward(self, c: Tensor) -> Tensor:
        """Shape (N, n · n_cells)."""
        return self.hats(c) @ self.values

    def moments(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and mean square of x (N, n_cells) at each node, both (n_nodes, n_cells)."""
        hats = self.hats(c)
        each = torch.zeros(2, N_NODES, x.shape[1], device=x.device)
        for start in range(0, len(x), 1000):
            part, near = x[start : start + 1000], hats[start : start + 1000].T
            each += torch.stack([near @ part, near @ part.square()])
        count = hats.sum(0)[:, None]
        mean = each.sum(1, keepdim=True) / count.sum()
        mean, square = (each + PRIOR * mean) / (count + PRIOR)
        return mean, square


def censored(mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and threshold of the censored normal numbers with these means and mean squares."""
    t = torch.linspace(-20, RARE, 2351, dtype=torch.float64)
    density = torch.exp(-t.square() / 2) / (2 * torch.pi) ** 0.5
    tail = 0.5 * torch.erfc(t / 2**0.5)
    first, second = density - t * tail, (1 + t.square()) * tail - t * density
    ratio = np.log((second / first.square()).numpy())
    m, s = mean.double().cpu().numpy(), square.double().cpu().numpy()
    some = m > 0
    wanted = np.log(np.divide(s, m**2, out=np.full_like(m, np.inf), where=some))
    threshold = np.where(some, np.interp(wanted, ratio, t.numpy()), RARE)
    amplitude = np.where(some, m / np.interp(threshold, t.numpy(), first.numpy()), 0.0)
    return torch.from_numpy(amplitude).to(mean), torch.from_numpy(threshold).to(mean)


def expected_numbers(x: Tensor, amplitude: Tensor, threshold: Tensor) -> Tensor:
    """The normal numbers h behind x (N, n_cells): their expectation, where a cell is not hit."""
    density = torch.exp(-threshold.square() / 2) / (2 * torch.pi) ** 0.5
    below = (0.5 * torch.erfc(-threshold / 2**0.5)).clamp(min=1e-6)
    return torch.where(x > 0, x / amplitude.clamp(min=1e-12) + threshold, -density / below).clamp(-4, 4)
