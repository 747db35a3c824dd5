"""Fit the radial profiles of parametrised showers to a training set.

The mean shares of cells, in rings around the axis, are fitted by least squares in bins of energy and for all layers at
once, over the nodes in τ. What GFlash expects is averaged over some showers.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from caloforge.geometry import Geometry
from caloforge.showers import Showers
from caloforge.simulate.beam import beam
from caloforge.simulate.gflash import GFlash, random_numbers

Floats = NDArray[np.float64]
BINS = 3  # of energy
# for particles at one place, and for those all over a cell, whose expectations cost more:
THROWS, STEPS = (16, 32), (60, 12)  # showers that an expectation is averaged over, steps of the fit
FEW_CELLS = 64  # in a layer: then each cell is its own ring


class Lateral:
    """Mean shares of rings of cells in the training set, by energy bin and layer, and their fit."""

    def __init__(self, gflash: GFlash, showers: Showers) -> None:
        energy = showers.incident
        edges = np.unique(np.quantile(energy, np.linspace(0, 1, BINS + 1)))
        place = np.clip(np.searchsorted(edges, energy, side="right") - 1, 0, max(len(edges) - 2, 0))
        self.energies = np.array([np.exp(np.log(energy[place == b]).mean()) for b in np.unique(place)])
        self.place = place
        self.rings = [_rings(showers.geometry, layer) for layer in range(len(showers.geometry.layers))]
        self.data: list[list[Floats]] = []
        for b in np.unique(place):
            mean = showers.energies[place == b].mean(axis=0, dtype=np.float64)
            self.data.append(
                [_sums(rings, mean[showers.geometry.cells(layer)]) for layer, rings in enumerate(self.rings)]
            )
        n = len(showers.geometry.layers)
        self.throws, self.steps = (each[gflash.position == "cell"] for each in (THROWS, STEPS))
        starts, directions = beam(gflash.geometry, gflash.position, {"energy": np.ones(self.throws)}, 1, 0)
        depth = [layer.depth for layer in showers.geometry.layers]
        self.slope = directions[:, 2]
        self.axes = [starts[:, :2] + directions[:, :2] / self.slope[:, None] * depth[i] for i in range(n)]
        self.random = random_numbers(np.random.default_rng(1), self.throws)

    def model(self, gflash: GFlash) -> list[list[Floats]]:
        """Mean share of each ring, by energy bin and layer."""
        found = []
        for energy in self.energies:
            energies = np.full(self.throws, energy)
            visible, t_max = gflash.profiles(energies, self.random, self.slope)
            layers = []
            for layer, rings in enumerate(self.rings):
                share = gflash.cell_shares(
                    layer, energies, t_max, self.axes[layer], self.slope, gflash.position != "cell"
                )
                mean = np.average(share, axis=0, weights=visible[:, layer] + 1e-12)
                layers.append(_sums(rings, mean))
            found.append(layers)
        return found

    def contained(self, gflash: GFlash) -> Floats:
        """Share of each layer's energy inside its cells for every training shower, shape (N, n_layers)."""
        inside = np.array([[ring.sum() for ring in layers] for layers in self.model(gflash)])
        return np.asarray(inside[np.searchsorted(np.unique(self.place), self.place)])

    def fitted(self, gflash: GFlash, again: bool = False) -> GFlash:
        """GFlash with the radial corrections that fit best; `again` if it starts near them."""
        c = gflash.coefficients
        start = np.concatenate([c.core, c.tail, c.share])

        def changed(parameters: Any) -> GFlash:
            core, tail, share = (tuple(map(float, each)) for each in np.split(np.asarray(parameters), 3))
            return gflash.changed(replace(c, core=core, tail=tail, share=share))

        def residuals(parameters: Any) -> Floats:
            parts = [0.05 * np.asarray(parameters)]
            for data, model in zip(self.data, self.model(changed(parameters)), strict=True):
                total = sum(ring.sum() for ring in data)
                parts.append(_summed(data, model))
                for ours, theirs in zip(data, model, strict=True):
                    if ours.sum() > 0.004 * total:
                        ours, theirs = ours / ours.sum(), theirs / theirs.sum()
                        weight = np.sqrt(len(self.data) * len(data))
                        parts.append((theirs - ours) / (0.03 * ours + 0.001 * ours.max()) / weight)
            return np.concatenate(parts)

        found = least_squares(
            residuals, start, bounds=(-2.5, 2.5), max_nfev=self.steps // 4 if again else self.steps, diff_step=1e-3
        )
        return changed(found.x)


def _rings(geometry: Geometry, layer: int) -> NDArray[np.int64]:
    """The ring that each cell of a layer is in: a cell's width wide, or each cell for itself if they are few."""
    found = geometry.layers[layer]
    if found.axes == "r_alpha":
        return np.tile(np.arange(found.shape[1]), found.shape[0])
    if found.n_cells <= FEW_CELLS:
        return np.arange(found.n_cells)
    x, y, _ = geometry.centers[geometry.cells(layer)].T
    width = float(np.sqrt(np.ptp(x) * np.ptp(y) / found.n_cells)) or 1.0
    return np.asarray(np.hypot(x, y) / width, dtype=np.int64)


def _sums(rings: NDArray[np.int64], values: Floats) -> Floats:
    return np.bincount(rings, values).astype(np.float64)


def _summed(data: list[Floats], model: list[Floats]) -> Floats:
    """Residuals of the rings summed over the layers, if all layers have the same rings."""
    if len({len(ring) for ring in data}) > 1 or len(data) == 1:
        return np.zeros(0)
    energy = [ours.sum() / max(theirs.sum(), 1e-12) for ours, theirs in zip(data, model, strict=True)]
    ours = np.sum(data, axis=0)
    theirs = np.sum([share * each for share, each in zip(model, energy, strict=True)], axis=0)
    return np.asarray((theirs - ours) / (0.01 * ours + 0.0001 * ours.max()))
