r"""Showers in other cells: a crop of the window, or cells that are mergers of the simulated ones.

Each cell of the new geometry must consist of whole cells of the old layer of the same name: its edges are all among the
old ones. Then its energy is the sum

.. math::  E'_k = \sum_{i \subset k} E_i,

exactly what a read-out with these cells would have received, because energies are shared among cells by position alone.
Cells outside of the new geometry are dropped. The two geometries must be one detector: the same slabs, the same
calibration factors, seen from the same η₀. A window that follows the particle's η is a window like another, for its
cells are counted from η₀ in both.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import AXIS_NAMES, Geometry, Layer
from caloforge.showers import Showers

TOLERANCE = 1e-9  # of the length of an axis, within which two edges are one
SAME = ("stack", "materials", "radius", "eta", "inner_radius", "mesh", "energy")  # in detectors that differ in cells

Numbers = NDArray[np.int64]
Places = tuple[int, Numbers, Numbers]


def regroup(showers: Showers, geometry: Geometry) -> Showers:
    """The showers in the cells of another geometry of the same detector; energies are sums in MeV."""
    energies = np.empty((len(showers), geometry.n_cells), np.float32)
    for number, (source, rows, columns) in enumerate(_places(showers.geometry, geometry)):
        cells = _sums(_sums(showers.layer(source), rows, 1), columns, 2)
        energies[:, geometry.cells(number)] = cells.reshape(len(showers), geometry.layers[number].n_cells)
    return Showers(energies, showers.conditions, geometry)


def _sums(cells: NDArray[Any], places: Numbers, axis: int) -> NDArray[Any]:
    """Sums along an axis between neighbouring places: places (k + 1,) make k sums."""
    first, last = int(places[0]), int(places[-1])
    inside = cells[(slice(None),) * axis + (slice(first, last),)]
    if last - first == len(places) - 1:
        return inside  # bit by bit
    return np.asarray(np.add.reduceat(inside, places[:-1] - first, axis=axis, dtype=np.float64))


@lru_cache(maxsize=32)
def _places(source: Geometry, target: Geometry) -> tuple[Places, ...]:
    """Of each layer of the target: number of the source's layer, and which of its edges are the target's."""
    different = [name for name in SAME if getattr(source, name) != getattr(target, name)]
    if different:
        raise InputError(
            f"{target.name!r} is another detector than {source.name!r}, they differ in {', '.join(different)}: choose "
            "one that differs in its cells alone."
        )
    return tuple(_layer_places(source, target, layer) for layer in target.layers)


def _layer_places(source: Geometry, target: Geometry, layer: Layer) -> Places:
    number = source.index(layer.name)
    found = source.layers[number]
    for name in ("axes", "calibration", "depth"):
        ours, theirs = getattr(found, name), getattr(layer, name)
        if ours != theirs and (name == "axes" or not math.isclose(ours, theirs, rel_tol=TOLERANCE)):
            raise InputError(
                f"layer {layer.name!r} has {name} {ours} in {source.name!r} and {theirs} in {target.name!r}: its cells "
                "cannot be regrouped."
            )
    rows, columns = (_edge_places(source, target, layer, axis) for axis in (0, 1))
    return number, rows, columns


def _edge_places(source: Geometry, target: Geometry, layer: Layer, axis: int) -> Numbers:
    """Which edges of the source's layer those of the target's are, on the slow (0) or fast (1) axis."""
    known = source.layers[source.index(layer.name)]
    there, edges = (np.asarray((each.slow, each.fast)[axis]) for each in (known, layer))
    places = np.abs(there[:, None] - edges).argmin(axis=0)
    wrong = np.abs(there[places] - edges) > TOLERANCE * (there[-1] - there[0])
    wrong |= np.diff(places, prepend=-1) < 1
    if wrong.any():
        raise InputError(
            f"cells of {target.name!r} do not consist of whole cells of {source.name!r}: layer {layer.name!r} has an "
            f"edge at {AXIS_NAMES[layer.axes][axis]} = {edges[wrong][0]:.6g}, where the {len(there)} edges from "
            f"{there[0]:.6g} to {there[-1]:.6g} have none."
        )
    return np.asarray(places)
