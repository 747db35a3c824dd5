r"""How the energy of a layer is shared among its cells, for the radial profiles of Grindhammer and Peters.

A component of radius R has the density :math:`f(r) = 2 r R^2 / (r^2 + R^2)^2`. On the plane that is
:math:`\frac{R^2}{\pi (x^2 + y^2 + R^2)^2}`, whose integral over a rectangle is the sum over its corners, with
alternating signs, of

.. math:: G(x, y) = \frac1{2\pi} \left[ \frac{x}{\sqrt{x^2 + R^2}} \arctan\frac{y}{\sqrt{x^2 + R^2}}
                    + \frac{y}{\sqrt{y^2 + R^2}} \arctan\frac{x}{\sqrt{y^2 + R^2}} \right]

so that no spot has to be thrown to know the mean share of a cell. For polar cells around the axis the share is
:math:`\Delta\alpha / 2\pi` times the difference of :math:`r^2 / (r^2 + R^2)` between the edges.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from caloforge.errors import InputError
from caloforge.geometry import Geometry

Floats = NDArray[np.float64]
RADII = np.geomspace(0.05, 2000.0, 96)  # mm
FIRST, STEP = np.log(RADII[0]), np.log(RADII[1] / RADII[0])


def corner(x: Floats, y: Floats, radius: Floats) -> Floats:
    """G(x, y) for radius R, all of shapes that broadcast."""
    a, b = np.sqrt(x * x + radius * radius), np.sqrt(y * y + radius * radius)
    return np.asarray((x / a * np.arctan(y / a) + y / b * np.arctan(x / b)) / (2 * np.pi))


def edges(geometry: Geometry, layer: int) -> tuple[Floats, Floats]:
    """Edges of a layer's cells in mm: (slow or y, fast or x); for polar cells α in rad and r in mm."""
    found = geometry.layers[layer]
    slow, fast = np.asarray(found.slow), np.asarray(found.fast)
    if found.axes == "eta_phi" and geometry.radius is None:
        raise InputError(f"layer {found.name!r} of {geometry.name!r} has angles but no distance: cells have no size.")
    if found.axes == "eta_phi":
        fast, slow = geometry.project(slow, fast, found.depth)
    return slow, fast


def shares(geometry: Geometry, layer: int, axis: Floats, radius: Floats) -> Floats:
    """Share of each cell of a layer, shape (N, n), for axes at `axis` (N, 2) = (x, y) and radii (N,) in mm."""
    slow, fast = edges(geometry, layer)
    scale = radius[:, None, None]
    if geometry.layers[layer].axes == "r_alpha":
        if np.abs(axis).max(initial=0.0) > 1e-6:
            raise InputError(
                f"{geometry.name!r} has polar cells around the shower's axis: leave position at center, and theta out."
            )
        radial = np.diff(fast**2 / (fast**2 + radius[:, None] ** 2), axis=1)
        return np.asarray((np.diff(slow)[:, None] / (2 * np.pi) * radial[:, None, :]).reshape(len(radius), -1))
    y, x = slow[None, :, None] - axis[:, 1, None, None], fast[None, None, :] - axis[:, 0, None, None]
    return np.diff(np.diff(corner(x, y, scale), axis=1), axis=2).reshape(len(radius), -1)


class Table:
    """Shares for one fixed axis, tabulated in the radius."""

    def __init__(self, geometry: Geometry, layer: int, axis: Floats) -> None:
        self.values = shares(geometry, layer, np.tile(axis, (len(RADII), 1)), RADII).astype(np.float32)

    def mixture(self, components: list[tuple[Floats, Floats]]) -> NDArray[np.float32]:
        """Sum of factor times the shares at the radius, shape (N, n_cells), for components (radius, factor), each (N,).

        A row of the sparse matrix has two numbers for each component, so that no bit depends on the other rows.
        """
        n = len(components[0][0])
        columns, weights = [], []
        for radius, factor in components:
            place = np.clip((np.log(radius) - FIRST) / STEP, 0, len(RADII) - 1)
            low = np.minimum(place.astype(np.int32), len(RADII) - 2)
            columns += [low, low + 1]
            weights += [factor * (1 - (place - low)), factor * (place - low)]
        per_row = len(columns)
        entries = np.stack(weights, axis=1).astype(np.float32).ravel(), np.stack(columns, axis=1).ravel()
        matrix = csr_array((*entries, np.arange(0, per_row * n + 1, per_row)), shape=(n, len(RADII)))
        return np.asarray(matrix @ self.values)
