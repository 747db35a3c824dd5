r"""Views: the forms in which a critic is shown showers.

A critic with bounded slope hardly sees what is small. Fractions of the energy span four decades, so that a critic which
sees them as they are overlooks the weak cells and the layers that hold little. A view is a function of the fractions
:math:`x_k` that brings such things to order one; a critic may be shown several, side by side.

=============  =====================================================================================================
``fractions``  :math:`x_k`
``roots``      :math:`\sqrt{x_k + \epsilon}`, standardised cell by cell: between the two others
``log``        :math:`\log(x_k + \epsilon)`, standardised cell by cell
``shares``     :math:`x_k / (s_l + \epsilon)` with the sum :math:`s_l` of the cell's layer: the shape within each layer
``moments``    of each layer :math:`\log(s_l + \epsilon)` and the energy-weighted mean and RMS of row and column, the
               image moments of LAGAN (arXiv 1701.05927), standardised
=============  =====================================================================================================
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.base import Shapes

__all__ = ["VIEWS", "Views"]

NARROW = 1e-4  # added to variances (of coordinates from -1 to 1), whose root has no slope at zero
LEAST = 1e-2  # of a standard deviation, so that what hardly varies is not blown up


class Views(nn.Module):
    """The chosen views of x (N, n_cells), one after the other: shape (N, size).

    Parameters
    ----------
    names : of the views, in order.
    shapes : (rows, columns) of each layer.
    floor : ε.
    """

    mean: Tensor
    std: Tensor
    membership: Tensor
    coordinates: Tensor
    powers: Tensor

    def __init__(self, names: Sequence[str], shapes: Shapes, floor: float) -> None:
        super().__init__()
        if not names or len(set(names)) < len(names) or not set(names) <= set(VIEWS):
            raise InputError(f"the critic sees {list(names)}; choose one or more of {', '.join(VIEWS)}, each once.")
        self.names, self.floor = tuple(names), floor
        self.register_buffer("membership", _membership(shapes))
        self.register_buffer("coordinates", _coordinates(shapes))
        weights = [torch.ones(len(self.membership)), *(q**n for q in self.coordinates for n in (1, 2))]
        powers = torch.cat([self.membership * w[:, None] for w in weights], dim=1)
        self.register_buffer("powers", powers, persistent=False)  # 1, row, row², column, column² of each layer
        self.size = self._raw(torch.zeros(1, len(self.membership))).shape[1]
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("std", torch.ones(self.size))

    def fit(self, x: Tensor) -> None:
        """Set the scale of the views that are standardised to that of showers x."""
        raw = self._raw(x)
        scaled = torch.cat([torch.full((self._width(name, x),), name in STANDARDISED) for name in self.names])
        self.mean = torch.where(scaled.to(x.device), raw.mean(0), 0.0)
        self.std = torch.where(scaled.to(x.device), raw.std(0, correction=0).clamp(min=LEAST), 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return (self._raw(x) - self.mean) / self.std

    def _raw(self, x: Tensor) -> Tensor:
        return torch.cat([VIEWS[name](self, x) for name in self.names], dim=1)

    def _width(self, name: str, x: Tensor) -> int:
        return VIEWS[name](self, x[:1]).shape[1]

    def sums(self, x: Tensor) -> Tensor:
        """Sum of each layer, shape (N, n_layers)."""
        return x @ self.membership

    def fractions(self, x: Tensor) -> Tensor:
        """Shape (N, n_cells)."""
        return x

    def roots(self, x: Tensor) -> Tensor:
        """Shape (N, n_cells)."""
        return torch.sqrt(x + self.floor)

    def log(self, x: Tensor) -> Tensor:
        """Shape (N, n_cells)."""
        return torch.log(x + self.floor)

    def shares(self, x: Tensor) -> Tensor:
        """Shape (N, n_cells)."""
        return x / ((self.sums(x) + self.floor) @ self.membership.T)

    def moments(self, x: Tensor) -> Tensor:
        """Shape (N, 5 n_layers): log-sums, then means and RMS of rows, then of columns."""
        sums, *powers = (x @ self.powers).chunk(5, dim=1)
        found = []
        for weighted, square in zip(powers[::2], powers[1::2], strict=True):
            mean = weighted / (sums + self.floor)
            variance = square / (sums + self.floor) - mean.square()
            found += [mean, torch.sqrt(variance.clamp(min=0) + NARROW)]
        return torch.cat([torch.log(sums + self.floor), *found], dim=1)


VIEWS: dict[str, Callable[[Views, Tensor], Tensor]] = {
    "fractions": Views.fractions,
    "roots": Views.roots,
    "log": Views.log,
    "shares": Views.shares,
    "moments": Views.moments,
}
STANDARDISED = ("roots", "log", "moments")


def _membership(shapes: Shapes) -> Tensor:
    """1 where a cell belongs to a layer, else 0: shape (n_cells, n_layers)."""
    layers = torch.cat([torch.full((rows * columns,), i) for i, (rows, columns) in enumerate(shapes)])
    return torch.nn.functional.one_hot(layers, len(shapes)).float()


def _coordinates(shapes: Shapes) -> Tensor:
    """Row and column of each cell, from -1 to 1 across its layer (0 if there is one): shape (2, n_cells)."""
    each = []
    for rows, columns in shapes:
        across = [torch.linspace(-1, 1, n) if n > 1 else torch.zeros(1) for n in (rows, columns)]
        each.append(torch.stack(torch.meshgrid(*across, indexing="ij")).reshape(2, -1))
    return torch.cat(each, dim=1)
