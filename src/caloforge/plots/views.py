"""How a set of cells is drawn: each layer as an image, or projections of a deep calorimeter; colours are logarithmic.

A cell without energy has the dark background of the axes; the lowest colour of the scale is brighter, so that the two
cannot be confused.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from numpy.typing import NDArray

from caloforge.geometry import AXIS_NAMES, Geometry
from caloforge.observables import COORDINATES
from caloforge.plots.style import scale_and_unit
from caloforge.units import GeV

FEW_LAYERS = 6
COUNTED = {"z": "Layer", "radius": "Distance from the middle [cells]"}
DECADES = 3.5  # of the energies of one shower
DARK = "#0b0a1c"
COLORMAP = ListedColormap(colormaps["magma"](np.linspace(0.14, 1, 256)), "cells")
Floats = NDArray[np.float64]


def views(geometry: Geometry) -> list[str]:
    """What a set of cells is seen in: each layer, front to back, or the projections of a deep calorimeter."""
    if len(geometry.layers) > FEW_LAYERS and geometry.is_block:
        return ["front", "side", "top"]
    order = geometry.by_depth
    return [geometry.layers[i].name for i in order[:: -(-len(order) // FEW_LAYERS)]]


def view(geometry: Geometry, cells: Floats, name: str) -> tuple[Floats, Floats, Floats]:
    """(horizontal edges, vertical edges, image) of cell values (n_cells,), as `draw` wants them."""
    own = name in [layer.name for layer in geometry.layers]
    layer = geometry.layers[geometry.index(name) if own else 0]
    vertical, horizontal = (
        shown_edges(geometry, axis, np.asarray(edges))
        for axis, edges in zip(AXIS_NAMES[layer.axes], (layer.slow, layer.fast), strict=True)
    )
    if own:
        return horizontal, vertical, cells[geometry.cells(name)].reshape(layer.shape)
    block = cells.reshape(len(geometry.layers), *layer.shape)
    depth = np.arange(len(geometry.layers) + 1, dtype=np.float64) + 0.5
    if name == "front":
        return horizontal, vertical, block.sum(axis=0)
    return (depth, vertical, block.sum(axis=2).T) if name == "side" else (depth, horizontal, block.sum(axis=1).T)


def view_labels(geometry: Geometry, name: str) -> tuple[str, str]:
    """Labels of the horizontal and the vertical axis of a view."""
    names = [layer.name for layer in geometry.layers]
    layer = geometry.layers[names.index(name) if name in names else 0]
    vertical, horizontal = (axis_label(axis) for axis in AXIS_NAMES[layer.axes])
    return {"side": (axis_label("z"), vertical), "top": (axis_label("z"), horizontal)}.get(name, (horizontal, vertical))


def shown_edges(geometry: Geometry, axis: str, edges: Floats) -> Floats:
    """Edges along an axis as they are drawn: η from η₀ on, α in degrees, φ in mrad; z is the number of the layer."""
    if axis == "eta":
        return edges - (geometry.eta or 0.0)
    if axis == "alpha":
        return np.asarray(np.degrees(edges))
    return edges * scale_and_unit("rad" if axis == "phi" else "mm")[0]


def axis_label(axis: str) -> str:
    """Symbol and unit of an axis as it is drawn."""
    if axis in COUNTED:
        return COUNTED[axis]
    symbol, unit = COORDINATES.get(axis, ("α", "°"))
    unit = scale_and_unit(unit)[1]
    return "η − η₀" if axis == "eta" else f"{symbol} [{unit}]"


def draw(
    axes: Axes, geometry: Geometry, cells: Floats, name: str, norm: Normalize, colormap: Colormap = COLORMAP
) -> None:
    """One view of cell values."""
    horizontal, vertical, image = view(geometry, cells, name)
    masked = np.ma.masked_where(~(image > 0), image) if isinstance(norm, LogNorm) else image
    axes.set_facecolor(DARK if isinstance(norm, LogNorm) else "#f4f5f7")
    axes.pcolormesh(horizontal, vertical, masked, norm=norm, cmap=colormap, rasterized=True)
    axes.tick_params(which="both", length=2, labelsize=7.5)
    axes.minorticks_off()


def log_norm(*values: Floats, decades: float = DECADES) -> LogNorm:
    """A logarithmic colour scale that ends at the largest value and spans at most some decades."""
    everything = np.concatenate([np.ravel(each) for each in values])
    positive = everything[everything > 0]
    high = float(positive.max()) if len(positive) else 1.0
    low = float(positive.min()) if len(positive) else 0.1
    return LogNorm(max(low, high / 10**decades), high if high > low else 10 * high, clip=True)


def dense(geometry: Geometry, shower: Mapping[str, Any]) -> Floats:
    """All cell energies of a stored shower in GeV, shape (n_cells,)."""
    cells = np.zeros(geometry.n_cells)
    cells[np.asarray(shower["cells"], int)] = np.asarray(shower["energies"], float) / GeV
    return cells
