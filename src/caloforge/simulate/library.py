r"""Frozen showers: a library of simulated showers, of which each request gets one of nearly the same conditions.

The idea is old (Barberio et al., J. Phys. Conf. Ser. 160 (2009) 012082): what Geant4 has made once need not be made
again. A request with conditions c draws one of the `neighbours` stored showers that are nearest to c (in the
standardised logarithm of the energy and the standardised angles), and scales its energies to the requested one,

.. math:: x = x_\mathrm{stored}\; E / E_\mathrm{stored}

so that distributions are nearly those of Geant4, and no shower is new: as a baseline it is perfect in every histogram
and fails the test of novelty (``nearest/training``). The scaling knows nothing of how a shower's depth grows with ln E,
so the library must be dense in energy.

With ``symmetries`` a shower may also be turned or mirrored, as far as this maps every layer's cells onto cells:
mirror images and quarter turns of square grids about the beam axis, turns of polar ones (half turns in a cylinder,
which is curved). They are right only for
particles that come in along that axis; so no angles may be among the conditions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from caloforge.conditions import trained_range, uniforms
from caloforge.errors import InputError
from caloforge.files import origin
from caloforge.geometry import Geometry, Layer
from caloforge.showers import Conditions, Showers, check_conditions

NEIGHBOURS = 8
CHOICE, TURN = 5, 6  # streams of random numbers
Cells = NDArray[np.int64]


class Library:
    """Frozen showers as a `Simulator`.

    Parameters
    ----------
    showers : what is stored, as simulated (without thresholds).
    neighbours : stored showers that a request chooses among.
    symmetries : turn and mirror them at random.
    """

    def __init__(self, showers: Showers, neighbours: int = NEIGHBOURS, symmetries: bool = False) -> None:
        neighbours = min(neighbours, len(showers)) if neighbours == NEIGHBOURS else neighbours
        if not 1 <= neighbours <= len(showers):
            raise InputError(f"neighbours is {neighbours}; the library has {len(showers)} showers: give 1 to as many.")
        if symmetries and len(showers.conditions) > 1:
            raise InputError("showers at an angle are not symmetric: leave symmetries out, or the angles.")
        self.showers, self.neighbours, self.symmetries = showers, neighbours, symmetries
        self.geometry = showers.geometry
        self.names = tuple(showers.conditions)
        columns = self._columns(showers.conditions)
        self._mean, spread = columns.mean(0), columns.std(0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        self._tree = cKDTree((columns - self._mean) / self._spread)
        self._turns = turns(self.geometry) if symmetries else [np.arange(self.geometry.n_cells)]
        if symmetries and len(self._turns) == 1:
            raise InputError(f"the cells of {self.geometry.name!r} have no symmetry: leave symmetries out.")

    def _columns(self, conditions: Conditions) -> NDArray[np.float64]:
        """Log E and the other conditions, shape (N, k)."""
        values = [np.log(conditions[name]) if name == "energy" else conditions[name] for name in self.names]
        return np.stack(values, axis=1)

    def sample(self, conditions: Conditions, seed: int, first_event: int = 0) -> Showers:
        """One stored shower per condition, scaled to its energy; shower i depends on (conditions[i], seed, event)."""
        checked = self._check(conditions)
        n = len(checked["energy"])
        chosen = self._chosen(checked, seed, first_event)
        scale = checked["energy"] / self.showers.incident[chosen]
        energies = np.asarray(self.showers.energies[chosen] * scale[:, None].astype(np.float32))
        if len(self._turns) > 1 and n:
            turn = (uniforms(seed, first_event, n, TURN) * len(self._turns)).astype(int)
            energies = np.take_along_axis(energies, np.stack(self._turns)[turn], axis=1)
        return Showers(energies, conditions, self.geometry)

    def check(self, conditions: Conditions) -> None:
        """Refuse conditions that the library does not have."""
        self._check(conditions)

    def close(self) -> None:
        """Nothing is to be closed."""

    def _chosen(self, conditions: Conditions, seed: int, first_event: int) -> Cells:
        n = len(conditions["energy"])
        if not n:
            return np.zeros(0, np.int64)
        points = (self._columns(conditions) - self._mean) / self._spread
        near = self._tree.query(points, self.neighbours)[1].reshape(n, self.neighbours)
        pick = (uniforms(seed, first_event, n, CHOICE) * self.neighbours).astype(int)
        return np.asarray(near[np.arange(n), pick], np.int64)

    def _check(self, conditions: Conditions) -> Mapping[str, NDArray[np.float64]]:
        checked = check_conditions(conditions)
        if set(checked) != set(self.names):
            raise InputError(f"got the conditions {', '.join(checked)}; the library has {', '.join(self.names)}.")
        for name, values in checked.items():
            stored = self.showers.conditions[name]
            low, high = trained_range(name, float(stored.min()), float(stored.max()))
            if values.size and not (low <= values.min() and values.max() <= high):
                raise InputError(
                    f"{name} goes from {values.min():g} to {values.max():g}; the library has showers of "
                    f"{stored.min():g} to {stored.max():g} (MeV, rad): stay inside, or store more."
                )
        return checked

    def provenance(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What a file of these showers says about their making; `stored` is the provenance of the library's showers."""
        return {
            "simulator": "library of frozen showers",
            "library_showers": len(self.showers),
            "neighbours": self.neighbours,
            "symmetries": self.symmetries,
            "training": origin(stored),
        }


def turns(geometry: Geometry) -> list[Cells]:
    """Cell numbers, shape (n_cells,) each, whose order turns or mirrors a shower about the axis; the identity first."""
    grids = [
        np.arange(offset, offset + rows * columns).reshape(rows, columns)
        for offset, (rows, columns) in zip(geometry.offsets, geometry.shapes, strict=False)
    ]
    layers, flat = geometry.layers, geometry.radius is None
    found = [grids]
    if all(layer.axes == "r_alpha" for layer in layers):
        n = layers[0].shape[0]
        step = 1 if geometry.inner_radius is None else n // 2 if n % 2 == 0 else n  # a cylinder has half turns only
        if all(layer.shape[0] == n and _regular(layer.slow) for layer in layers):
            found = [[np.roll(grid, k, axis=0) for grid in grids] for k in range(0, n, step)]
    else:
        if flat and all(_symmetric(layer.slow) for layer in layers):
            found += [[grid[::-1] for grid in each] for each in found]
        if all(_symmetric(layer.fast) for layer in layers):
            found += [[grid[:, ::-1] for grid in each] for each in found]
        if flat and geometry.inner_radius is None and len(found) == 4 and all(_square(layer) for layer in layers):
            found += [[grid.T for grid in each] for each in found]
    return [np.concatenate([grid.ravel() for grid in each]) for each in found]


def _regular(edges: tuple[float, ...]) -> bool:
    """Whether angles are equal bins of a whole turn."""
    return bool(np.allclose(np.diff(edges), 2 * np.pi / (len(edges) - 1)))


def _symmetric(edges: tuple[float, ...]) -> bool:
    return bool(np.allclose(edges, -np.asarray(edges)[::-1], atol=1e-9))


def _square(layer: Layer) -> bool:
    return layer.axes == "xy" and len(layer.slow) == len(layer.fast) and bool(np.allclose(layer.slow, layer.fast))
