r"""Observables of blocks of equal cells as Getting High takes them (Buhmann et al., arXiv 2005.05334).

All are of the cells at or above a threshold: the layer's own, or half a MIP, 0.1 MeV in 0.5 mm of silicon, where it has
none. The position i counts cells or layers from 0, the energies :math:`E_i` are summed over the other two axes:

.. math:: E_\text{vis} = \sum_i E_i, \qquad m_1 = \frac{1}{E_\text{vis}} \sum_i i\, E_i, \qquad
          m_2 = \frac{1}{E_\text{vis}} \sum_i (i - m_1)^2 E_i .

The second moments are variances, in cells squared: the published code takes no root. Beside them stand the number
of cells that are hit, and the shares of the first, middle and last third of the layers (0–9, 10–19, 20–29 of 30). A
shower without a hit has neither moments nor shares: these are NaN.

They are kept apart from `caloforge.observables`, of which the classifier and the means over observables are made:
there, the same moments stand in mm and without the threshold.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Geometry
from caloforge.observables import Observable, Values, weighted_moments
from caloforge.showers import Showers
from caloforge.units import MeV

HALF_MIP = 0.1 * MeV  # of 0.5 mm of silicon
AXES = ("x", "y", "z")
THIRDS = ("first", "middle", "last")


def is_image(geometry: Geometry) -> bool:
    """Whether a geometry is a block of three layers or more with equal, flat cells, two at least along each axis."""
    first = geometry.layers[0]
    flat = first.axes == "xy" and first.equal and min(first.shape) > 1
    return geometry.is_block and flat and len(geometry.layers) >= 3


@lru_cache(maxsize=32)
def block_table(geometry: Geometry) -> dict[str, Observable]:
    """The observables of a block by name, in the order of `block_values`; none if the geometry is no such block."""
    if not is_image(geometry):
        return {}
    units = {axis: "layers" if axis == "z" else "cells" for axis in AXES}
    rows = [(f"m1_{axis}", f"Centre of gravity in {axis} [{unit}]", "") for axis, unit in units.items()]
    rows += [(f"m2_{axis}", f"Second moment in {axis} [{unit}²]", "") for axis, unit in units.items()]
    rows += [("energy_visible", "Visible energy", "MeV"), ("n_hit", "Number of hits", "")]
    rows += [(f"third_{which}", f"Share of the {which} third of layers", "") for which in THIRDS]
    named = enumerate(rows)
    return {name: Observable(name, label, unit, block_values, None, column) for column, (name, label, unit) in named}


def block_values(showers: Showers) -> Values:
    """All observables of `block_table` for each shower, shape (N, 11)."""
    geometry = showers.geometry
    above = np.where(showers.energies >= thresholds(geometry), showers.energies, 0)
    cells = above.reshape(len(showers), len(geometry.layers), *geometry.shapes[0])[:, list(geometry.by_depth)]
    x, y, z = (cells.sum(axis=others, dtype=np.float64) for others in ((1, 2), (1, 3), (2, 3)))
    moments = [weighted_moments(energy, np.arange(energy.shape[1], dtype=np.float64)) for energy in (x, y, z)]
    total, hits = z.sum(axis=1), np.count_nonzero(above, axis=1)
    thirds = np.stack([part.sum(axis=1) for part in np.array_split(z, 3, axis=1)])
    share = np.divide(thirds, total, out=np.full(thirds.shape, np.nan), where=total > 0)
    first, second = [mean for mean, _ in moments], [width**2 for _, width in moments]
    return np.stack([*first, *second, total, hits, *share], axis=1)


def thresholds(geometry: Geometry) -> NDArray[np.float32]:
    """What a hit needs at least in each cell, in MeV, shape (n_cells,)."""
    own = geometry.thresholds
    return np.where(own > 0, own, np.float32(HALF_MIP))
