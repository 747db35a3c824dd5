r"""Observables: one number per shower, and the one table that gives each its label, unit and layer.

Cell :math:`i` of a shower holds the energy :math:`E_i` at the coordinate :math:`c_i`. Per layer, and for the shower as
a whole,

.. math:: E = \sum_i E_i, \qquad \bar c = \frac{1}{E} \sum_i c_i E_i, \qquad
          w_c^2 = \frac{1}{E} \sum_i (c_i - \bar c)^2 E_i,

where the sums run over the cells of the layer (Klein 2017, CERN summer-student report; CaloChallenge, arXiv
2410.21611). A layer without energy has no centre and no width: these are NaN, never 0 or an epsilon.

The coordinates are those of the layer's own axes: y and x in mm, or η (relative to the geometry's η₀) and φ. For polar
layers they are r and, because α is periodic, x = r cos α and y = r sin α.

A *hit* is a cell with more than zero energy, so thresholds must be applied before. CaloChallenge's "sparsity" is
1 − hit fraction; some copies of its code call the hit fraction itself "sparsity".

>>> list(table(Geometry("one", (Layer("pad", "xy", (0.0, 1.0), (0.0, 1.0, 2.0), depth=0.0),))))
['energy_total', 'response', 'hit_fraction', 'mean_x/pad', 'width_x/pad']
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer
from caloforge.showers import Showers

Values = NDArray[np.float64]
COORDINATES = {"eta": ("η", ""), "phi": ("φ", "rad"), "x": ("x", "mm"), "y": ("y", "mm"), "r": ("r", "mm")}
AXES = {"xy": ("y", "x"), "eta_phi": ("eta", "phi")}


@dataclass(frozen=True)
class Observable:
    """One row of the table: `function` gives shape (N,), or (N, n_layers) of which `column` is meant."""

    name: str
    label: str
    unit: str
    function: Callable[[Showers], Values]
    layer: str | None = None
    column: int | None = None

    def __call__(self, showers: Showers) -> Values:
        """Value for each shower, shape (N,)."""
        values = self.function(showers)
        return values if self.column is None else values[:, self.column]


def total_energy(showers: Showers) -> Values:
    """Sum of all cells in MeV, shape (N,)."""
    return np.asarray(showers.energies.sum(axis=1, dtype=np.float64))


def response(showers: Showers) -> Values:
    """Total energy over incident energy, shape (N,)."""
    return total_energy(showers) / showers.incident


def layer_energy(showers: Showers) -> Values:
    """Energy per layer in MeV, shape (N, n_layers)."""
    slices = map(showers.geometry.cells, range(len(showers.geometry.layers)))
    return np.stack([showers.energies[:, cells].sum(axis=1, dtype=np.float64) for cells in slices], axis=1)


def layer_fraction(showers: Showers) -> Values:
    """Energy per layer over total energy, shape (N, n_layers); NaN for empty showers."""
    return _ratio(layer_energy(showers), total_energy(showers)[:, None])


def hit_fraction(showers: Showers) -> Values:
    """Share of all cells that have energy, shape (N,)."""
    return np.asarray(np.count_nonzero(showers.energies > 0, axis=1) / showers.geometry.n_cells)


def layer_hit_fraction(showers: Showers) -> Values:
    """Share of each layer's cells that have energy, shape (N, n_layers)."""
    layers = range(len(showers.geometry.layers))
    return np.stack([(showers.layer(layer) > 0).mean(axis=(1, 2)) for layer in layers], axis=1)


def layer_mean(showers: Showers, coordinate: str) -> Values:
    """Energy-weighted mean of a coordinate per layer, shape (N, n_layers); NaN where the layer is empty or lacks it."""
    return _layer_moments(showers, coordinate)[0]


def layer_width(showers: Showers, coordinate: str) -> Values:
    """Energy-weighted RMS about the mean per layer, shape (N, n_layers); NaN where the layer is empty or lacks it."""
    return _layer_moments(showers, coordinate)[1]


def shower_mean(showers: Showers, coordinate: str) -> Values:
    """Energy-weighted mean of a coordinate over the whole shower, shape (N,)."""
    return _shower_moments(showers, coordinate)[0]


def shower_width(showers: Showers, coordinate: str) -> Values:
    """Energy-weighted RMS of a coordinate about its mean over the whole shower, shape (N,)."""
    return _shower_moments(showers, coordinate)[1]


def depth_mean(showers: Showers) -> Values:
    """Longitudinal centre of gravity in mm, shape (N,): energy-weighted mean depth of the layers."""
    return weighted_moments(layer_energy(showers), _depths(showers.geometry))[0]


def depth_width(showers: Showers) -> Values:
    """Energy-weighted RMS of the depth in mm, shape (N,)."""
    return weighted_moments(layer_energy(showers), _depths(showers.geometry))[1]


def ratio_3x3(showers: Showers) -> Values:
    """Energy in the central 3 × 3 over that in all cells of the middle layer (η × φ: 3 × 7, 7 × 11), shape (N,)."""
    middle = showers.layer("middle").astype(np.float64)
    row, column = middle.shape[1] // 2, middle.shape[2] // 2
    core = middle[:, row - 1 : row + 2, column - 1 : column + 2]
    return _ratio(core.sum(axis=(1, 2)), middle.sum(axis=(1, 2)))


def positions(geometry: Geometry, layer: Layer) -> dict[str, Values]:
    """The coordinates that a layer resolves, each of shape (n_cells,); an axis of one bin resolves none."""
    slow, fast = layer.coordinates.T
    if layer.axes == "r_alpha":
        if layer.shape[0] == 1:
            return {"r": fast} if layer.shape[1] > 1 else {}
        return {"r": fast, "x": fast * np.cos(slow), "y": fast * np.sin(slow)}
    if layer.axes == "eta_phi":
        slow = slow - (geometry.eta or 0.0)
    each = zip(AXES[layer.axes], (slow, fast), layer.shape, strict=True)
    return {name: values for name, values, bins in each if bins > 1}


@lru_cache(maxsize=32)
def table(geometry: Geometry) -> dict[str, Observable]:
    """Every observable that is defined for a geometry, by name."""
    rows = [
        Observable("energy_total", "Total energy", "MeV", total_energy),
        Observable("response", "Total / incident energy", "", response),
        Observable("hit_fraction", "Hit fraction", "", hit_fraction),
    ]
    if len(geometry.layers) > 1:
        rows += _shower_rows(geometry) + _layer_rows(geometry)
    rows += _coordinate_rows(geometry)
    rows += _core_rows(geometry)
    return {row.name: row for row in rows}


def evaluate(showers: Showers, names: Iterable[str] | None = None) -> dict[str, Values]:
    """The named observables (default: all), each of shape (N,); what several share is computed once."""
    rows = table(showers.geometry)
    missing = sorted(set(names or ()) - set(rows))
    if missing:
        raise InputError(
            f"geometry {showers.geometry.name!r} has no observable {missing[0]!r}; it has {', '.join(rows)}."
        )
    done: dict[Callable[[Showers], Values], Values] = {}
    values = {}
    for row in rows.values() if names is None else map(rows.__getitem__, names):
        if row.function not in done:
            done[row.function] = row.function(showers)
        values[row.name] = done[row.function] if row.column is None else done[row.function][:, row.column]
    return values


def _shower_rows(geometry: Geometry) -> list[Observable]:
    rows = []
    if len(set(_depths(geometry))) > 1:
        rows = [
            Observable("depth", "Mean depth", "mm", depth_mean),
            Observable("depth_width", "Width in depth", "mm", depth_width),
        ]
    for name in _shared_coordinates(geometry):
        symbol, unit = COORDINATES[name]
        mean, width = partial(shower_mean, coordinate=name), partial(shower_width, coordinate=name)
        rows.append(Observable(f"mean_{name}", _mean_label(symbol), unit, mean))
        rows.append(Observable(f"width_{name}", f"Width in {symbol}", unit, width))
    return rows


def _layer_rows(geometry: Geometry) -> list[Observable]:
    kinds = [
        ("energy", "Energy", "MeV", layer_energy),
        ("fraction", "Share of the energy", "", layer_fraction),
        ("hit_fraction", "Hit fraction", "", layer_hit_fraction),
    ]
    return [
        Observable(f"{kind}/{layer.name}", f"{label}, {layer.name}", unit, function, layer.name, column)
        for kind, label, unit, function in kinds
        for column, layer in enumerate(geometry.layers)
        if kind != "hit_fraction" or layer.n_cells > 1
    ]


def _coordinate_rows(geometry: Geometry) -> list[Observable]:
    rows = []
    for name, (symbol, unit) in COORDINATES.items():
        mean, width = partial(layer_mean, coordinate=name), partial(layer_width, coordinate=name)
        for column, layer in enumerate(geometry.layers):
            if name in positions(geometry, layer):
                label = f"{_mean_label(symbol)}, {layer.name}"
                rows.append(Observable(f"mean_{name}/{layer.name}", label, unit, mean, layer.name, column))
                label = f"Width in {symbol}, {layer.name}"
                rows.append(Observable(f"width_{name}/{layer.name}", label, unit, width, layer.name, column))
    return rows


def _core_rows(geometry: Geometry) -> list[Observable]:
    """The share of the central 3 × 3, if there is a middle layer with a central cell and cells around the 3 × 3."""
    middle = next((layer for layer in geometry.layers if layer.name == "middle" and layer.axes != "r_alpha"), None)
    if middle is None or middle.shape == (3, 3) or any(bins < 3 or bins % 2 == 0 for bins in middle.shape):
        return []
    rows, columns = middle.shape
    label = f"Energy in 3 × 3 over {rows} × {columns}, middle"
    return [Observable(f"ratio_3x3_{rows}x{columns}", label, "", ratio_3x3, "middle")]


def _mean_label(symbol: str) -> str:
    return "Mean η − η₀" if symbol == "η" else f"Mean {symbol}"


def _depths(geometry: Geometry) -> Values:
    return np.array([layer.depth for layer in geometry.layers])


def _shared_coordinates(geometry: Geometry) -> list[str]:
    found = [set(positions(geometry, layer)) for layer in geometry.layers]
    return [name for name in COORDINATES if all(name in names for names in found)]


def _ratio(part: Values, whole: Values) -> Values:
    """Part over whole, NaN where the whole is not above zero."""
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=np.broadcast_to(whole > 0, part.shape))
    return out


def _layer_moments(showers: Showers, coordinate: str) -> tuple[Values, Values]:
    moments = np.full((2, len(showers), len(showers.geometry.layers)), np.nan)
    for column, layer in enumerate(showers.geometry.layers):
        position = positions(showers.geometry, layer).get(coordinate)
        if position is not None:
            moments[:, :, column] = weighted_moments(*_marginal(showers.layer(column), position, coordinate, layer))
    return moments[0], moments[1]


def _marginal(cells: NDArray[np.float32], position: Values, name: str, layer: Layer) -> tuple[Values, Values]:
    """Energies and positions along one axis, so that the moments need rows or columns instead of cells."""
    names = ("", "r") if layer.axes == "r_alpha" else AXES[layer.axes]
    if name not in names:
        return cells.reshape(len(cells), -1).astype(np.float64), position
    axis = names.index(name)
    along = position.reshape(layer.shape)
    return cells.sum(axis=2 - axis, dtype=np.float64), along[:, 0] if axis == 0 else along[0]


def _shower_moments(showers: Showers, coordinate: str) -> tuple[Values, Values]:
    """From those of the layers: variance = mean variance within the layers + variance of the layers' means."""
    energy, (mean, width) = layer_energy(showers), _layer_moments(showers, coordinate)
    center, spread = weighted_moments(energy, np.where(energy > 0, mean, 0.0))
    within = _ratio(np.where(energy > 0, energy * width**2, 0.0).sum(axis=1), energy.sum(axis=1))
    return center, np.sqrt(spread**2 + within)


def weighted_moments(energy: Values, position: Values) -> tuple[Values, Values]:
    r"""Mean and width of positions (n,) or (N, n) weighted by energies (N, n).

    Positions are taken relative to the largest weight: exact for one cell, and free of the cancellation in
    :math:`\overline{c^2} - \bar c^2`. Negative energies (a model without threshold) may leave a width undefined.
    """
    position = np.broadcast_to(position, energy.shape)
    hottest = np.take_along_axis(position, energy.argmax(axis=1)[:, None], axis=1)
    distance = position - hottest
    total = energy.sum(axis=1)
    first = _ratio(np.einsum("ni,ni->n", energy, distance), total)
    variance = _ratio(np.einsum("ni,ni,ni->n", energy, distance, distance), total) - first**2
    return hottest[:, 0] + first, np.sqrt(np.where(variance >= 0, variance, np.nan))
