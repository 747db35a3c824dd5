"""Which cell a point of space belongs to: for scoring that is done step by step."""

import math

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Geometry, Layer

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


def cell_numbers(geometry: Geometry, layers: Numbers, points: Floats, center: float | None = None) -> Numbers:
    """Flat cell number of points (N, 3) in mm in the local frame, −1 where there is no cell, shape (N,).

    `layers` (N,) is the layer that each point's slab names; a mesh asks for the depth instead. The far side of a
    cylinder has no cells. `center` is the η of a window that follows its particle.
    """
    if geometry.mesh:
        layers = np.searchsorted(geometry.boundaries, points[:, 2], side="right") - 1
    found = np.full(len(points), -1)
    for kind in dict.fromkeys(_kind(layer) for layer in geometry.layers):
        members = np.array([_kind(layer) == kind for layer in geometry.layers])
        mine = np.flatnonzero((layers >= 0) & (layers < len(members)) & members[np.clip(layers, 0, len(members) - 1)])
        layer = geometry.layers[int(np.argmax(members))]
        slow, fast = _coordinates(geometry, layer, points[mine], center)
        rows, columns = (
            np.searchsorted(edges, values, side="right") - 1
            for edges, values in ((layer.slow, slow), (layer.fast, fast))
        )
        near = geometry.inner_radius is None or points[mine, 2] > -geometry.inner_radius
        inside = near & (rows >= 0) & (rows < layer.shape[0]) & (columns >= 0) & (columns < layer.shape[1])
        cells = np.asarray(geometry.offsets)[layers[mine]] + rows * layer.shape[1] + columns
        found[mine] = np.where(inside, cells, -1)
    return found


def _kind(layer: Layer) -> tuple[object, ...]:
    return layer.axes, layer.slow, layer.fast


def _coordinates(geometry: Geometry, layer: Layer, points: Floats, center: float | None) -> tuple[Floats, Floats]:
    """(slow, fast) of points (N, 3): α and r, η and φ, or y and x; α within a turn from the first edge."""
    x, y, z = points.T
    if layer.axes == "r_alpha":
        first = layer.slow[0]
        return first + np.mod(np.arctan2(y, x) - first, 2 * math.pi), np.hypot(x, y)
    if layer.axes == "eta_phi" and geometry.radius is not None:
        return geometry.unproject(x, y, z, center)
    return y, x
