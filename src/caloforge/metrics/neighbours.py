r"""Nearest neighbours: does a model copy its training set, and does it cover what Geant4 makes?

The distance of two showers is :math:`\lVert E/E_\mathrm{inc} - E'/E'_\mathrm{inc} \rVert_2` over all cells, so that
showers of unlike energy compare in shape. ``nearest/training`` is the median distance of generated showers to the
training set, all of it: a copy of any of its showers is found. Its floor is that of Geant4 showers which were not
trained on. *Below* the floor the model copies, above it the showers are unlike Geant4's. ``nearest/generated`` is the
median distance of Geant4 showers to the generated ones; its floor has as many independent Geant4 showers in their
place. Above the floor the model misses some of what Geant4 makes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import SLICE, Sample, Source
from caloforge.showers import Showers

REPLICAS = 100
QUERIES, BASE = 1024, 16384  # distances computed at a time
_DISTANCE = "median ‖E/E_inc − E′/E′_inc‖₂ over all cells"


class TrainingSet:
    """The showers that a model was trained on, in memory or in a file, above the thresholds of `geometry`."""

    def __init__(self, showers: Source, geometry: Geometry) -> None:
        self.showers, self.geometry = showers, geometry
        self._found: dict[int, tuple[Showers, NDArray[np.float64], NDArray[np.int64]]] = {}

    def __len__(self) -> int:
        return len(self.showers)

    def __getitem__(self, rows: slice) -> Showers:
        return self.showers[rows].above_threshold(self.geometry)

    def nearest(self, queries: Showers) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distance of each query to the nearest training shower, and that shower's number; both of shape (N,)."""
        if id(queries) not in self._found:
            distance, index = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)
            for start, part in self._parts():
                here, number = nearest(queries, part)
                closer = here < distance
                distance[closer], index[closer] = here[closer], start + number[closer]
            self._found[id(queries)] = queries, distance, index
        return self._found[id(queries)][1:]

    def _parts(self) -> Iterator[tuple[int, Showers]]:
        step = min(BASE, max(1, SLICE // self.geometry.n_cells))
        return ((start, self[start : start + step]) for start in range(0, len(self), step))


@dataclass(frozen=True)
class NearestTraining(Metric):
    """Median distance of sampled showers to the nearest training shower."""

    training: TrainingSet = field(repr=False)
    floor = "reference"
    windows = False

    @property
    def name(self) -> str:
        return "nearest/training"

    @property
    def definition(self) -> str:
        return (
            f"{_DISTANCE} from a generated shower to the nearest of all {len(self.training)} training showers; "
            f"floor: from a held-out Geant4 shower. Below the floor: copies; above: unlike Geant4."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Median distance (no unit), with a bootstrap error."""
        distance, _ = self.training.nearest(sample.showers)
        return _median(distance, len(self.training), len(distance), rng)


@dataclass(frozen=True)
class NearestGenerated(Metric):
    """Median distance of Geant4 showers to the nearest sampled shower."""

    windows = False

    @property
    def name(self) -> str:
        return "nearest/generated"

    @property
    def definition(self) -> str:
        return (
            f"{_DISTANCE} from a Geant4 shower to the nearest generated one; floor: to the nearest of as many "
            f"independent Geant4 showers. Above the floor: part of Geant4 is missed."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Median distance (no unit), with a bootstrap error."""
        distance, _ = nearest(reference.showers, sample.showers)
        return _median(distance, len(distance), len(sample.showers), rng)


def nearest(queries: Showers, base: Showers) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance of each query to the nearest shower of `base`, and that shower's number; both of shape (N,)."""
    ours, theirs = (each.energies / each.incident[:, None].astype(np.float32) for each in (queries, base))
    squares = np.einsum("ni,ni->n", theirs, theirs)
    parts = [squares - 2 * ours[start : start + QUERIES] @ theirs.T for start in range(0, len(ours), QUERIES)]
    index = np.concatenate([part.argmin(axis=1) for part in parts])
    return np.linalg.norm(ours - theirs[index], axis=1), index


def _median(distance: NDArray[np.float64], n_reference: int, n_sample: int, rng: np.random.Generator) -> Estimate:
    replicas = np.median(rng.choice(distance, (REPLICAS, len(distance))), axis=1)
    return Estimate(float(np.median(distance)), float(np.std(replicas)), n_reference, n_sample)
