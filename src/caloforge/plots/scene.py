"""The showers of the gallery as boxes in space, for the interactive view."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.figures import REFERENCE
from caloforge.geometry import Geometry
from caloforge.report import Report
from caloforge.units import GeV

MOST_CELLS = 2500  # of a shower, the most energetic
VISIBLE = 0.005  # half the thickness of a layer, at least, as a share of the detector's depth
Floats = NDArray[np.float64]


def scene(report: Report) -> dict[str, Any]:
    """Boxes (x, y, z, and half sizes, in mm) of all cells that are hit, and the showers that hit them."""
    showers = []
    for entry in report.figures["gallery"]:
        for name in (REFERENCE, *report.samples):
            shower = entry["showers"][name]
            energies = np.asarray(shower["energies"], float) / GeV
            keep = np.argsort(energies)[::-1][:MOST_CELLS]
            showers.append(
                {
                    "sample": name,
                    "energy": entry["energy"] / GeV,
                    "incident": shower["incident"] / GeV,
                    "cells": np.asarray(shower["cells"], int)[keep],
                    "energies": energies[keep],
                }
            )
    used = np.unique(np.concatenate([shower["cells"] for shower in showers]))
    geometry = report.geometry
    for shower in showers:
        shower["cells"] = np.searchsorted(used, shower["cells"]).tolist()
        shower["energies"] = [float(f"{energy:.4g}") for energy in shower["energies"]]
    layer = np.repeat(np.arange(len(geometry.layers)), np.diff(geometry.offsets))[used]
    return {
        "boxes": np.round(np.hstack([geometry.centers[used], half_sizes(geometry)[used]]), 2).tolist(),
        "layers": layer.tolist(),
        "names": [each.name for each in geometry.layers],
        "frames": [frame(geometry, i) for i in range(len(geometry.layers))],
        "showers": showers,
        "samples": list(report.samples),
    }


def half_sizes(geometry: Geometry) -> Floats:
    """Half the extent of each cell along x, y and z in mm, shape (n_cells, 3); of a polar cell, of a cube as large."""
    halves = []
    for i, layer in enumerate(geometry.layers):
        slow, fast = (np.diff(edges) / 2 for edges in (layer.slow, layer.fast))
        rows, columns = (each.ravel() for each in np.meshgrid(slow, fast, indexing="ij"))
        if layer.axes == "eta_phi" and geometry.radius is not None and geometry.eta is not None:
            distance = geometry.radius + layer.depth
            rows, columns = rows * distance * np.cosh(geometry.eta), columns * distance
        elif layer.axes == "r_alpha":
            rows = columns = np.minimum(rows * layer.coordinates[:, 1], columns)
        low, high = extent(geometry, i)
        halves.append(np.stack([columns, rows, np.full(len(rows), (high - low) / 2)], axis=1))
    return np.concatenate(halves)


def extent(geometry: Geometry, layer: int) -> tuple[float, float]:
    """Where a layer starts and ends in depth, in mm: its slabs, or halfway to the next layer if they are very thin."""
    depth = geometry.layers[layer].depth
    depths = sorted({each.depth for each in geometry.layers})
    ends = np.cumsum([slab.thickness for slab in geometry.stack])
    own = [(end - slab.thickness, end) for slab, end in zip(geometry.stack, ends, strict=True) if slab.layer == layer]
    free = 0.42 * min(abs(depth - each) for each in depths if each != depth) if len(depths) > 1 else 10.0
    half = min(depth - own[0][0], own[-1][1] - depth) if own else free
    if half < VISIBLE * (depths[-1] - depths[0]):
        half = free
    return depth - half, depth + half


def frame(geometry: Geometry, layer: int) -> list[float]:
    """Outline of a layer: lowest and highest x, y, z in mm."""
    cells = geometry.cells(layer)
    low = (geometry.centers - half_sizes(geometry))[cells].min(axis=0)
    high = (geometry.centers + half_sizes(geometry))[cells].max(axis=0)
    return [round(float(each), 2) for each in (*low, *high)]
