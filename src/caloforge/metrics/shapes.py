r"""Average shower shapes: the share of the energy at each position along each axis, and their error.

The profile along an axis is the energy summed over the other two axes, over the energy of the whole shower, averaged
over the showers: :math:`p_i = \langle E_i / E \rangle`. A block of equal layers has three profiles: its two transverse
axes and z, the layers from front to back; 25³ cells make 75 positions. In other calorimeters each layer has transverse
profiles of its own. An axis of one cell has none. The error of the 3DGAN line (Rehm et al., arXiv 2105.08960 and CEUR
2964; Jaruskova & Vallecorsa for ensembles) is

.. math:: \frac1n \sum_i \left( \frac{p_i'}{p_i} - 1 \right)^2

over the n positions of all profiles at which Geant4's (:math:`p`) is above 0.1 % of its maximum; :math:`p'` is the
sample's. The *edges* are the outer fifth of the positions on either side of an axis (5 of 25, at least one; axes with
fewer than three have none), those of them that are above 0.1 %; ensembles of GANs gain most there. At the start of r
and along a full turn in α there is no edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import AXIS_NAMES, Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import BLOCKS, Sample

LOWEST = 1e-3  # of the maximum
EDGE = 5  # one position in so many is an edge, at either side
DEPTH, RADIUS = "z", "radius"
ENDLESS = ("alpha", RADIUS)  # axes that have no edges
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Profile:
    """Positions along one axis, of all layers or of one.

    Parameters
    ----------
    axis : y, x, eta, phi, alpha or r, or z: the layers from front to back.
    layer : whose cells are counted; None: all.
    edges : bin edges in mm, rad or numbers of layers, shape (n + 1,).
    place : the position that each cell of the geometry belongs to, −1 for none, shape (n_cells,).
    """

    axis: str
    layer: str | None
    edges: Floats
    place: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.edges) - 1

    def of(self, share: Floats) -> Floats:
        """The profile (n,) of a share of each cell (n_cells,)."""
        inside = self.place >= 0
        return np.bincount(self.place[inside], weights=share[inside], minlength=len(self)).astype(np.float64)

    @property
    def at_edge(self) -> NDArray[np.bool_]:
        """Whether a position is at an edge, shape (n,)."""
        n, rank = len(self), np.arange(len(self))
        if n < 3 or self.axis in ENDLESS:
            return np.zeros(n, bool)
        width = max(1, n // EDGE)
        return np.asarray((rank >= n - width) | ((rank < width) & (self.axis != "r")))


@dataclass(frozen=True)
class ShowerShape(Metric):
    """Mean square of the relative errors of the average shower shapes, along all axes or one, or at the edges."""

    axis: str | None = None
    edges: bool = False

    @property
    def name(self) -> str:
        return "shower_shape" + (f"/{self.axis}" if self.axis else "/edges" if self.edges else "")

    @property
    def definition(self) -> str:
        where = "the outer fifth of positions at either side" if self.edges else "the positions"
        return (
            f"Mean of (p′/p − 1)² over {where} along {self.axis or 'all axes'} where p > {LOWEST:.1%} of its maximum; "
            f"p: energy at the position over the shower's, averaged over showers (3DGAN, arXiv 2105.08960); error: "
            f"jackknife over {BLOCKS} blocks of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean square error; NaN if there is no position."""
        chosen = [each for each in profiles(reference.geometry) if self.axis in (None, each.axis)]
        return shape_error([(each, self.counted(each, reference)) for each in chosen], reference, sample)

    def counted(self, profile: Profile, reference: Sample) -> NDArray[np.bool_]:
        """Which positions of a profile count, shape (n,)."""
        return above_lowest(profile, reference) & (profile.at_edge | (not self.edges))


def above_lowest(profile: Profile, reference: Sample) -> NDArray[np.bool_]:
    """Which positions of a profile have more than 0.1 % of its maximum in the reference, shape (n,)."""
    found = profile.of(reference.sums.mean_share())
    return np.asarray(found > LOWEST * found.max())


def shape_error(chosen: Sequence[tuple[Profile, NDArray[np.bool_]]], reference: Sample, sample: Sample) -> Estimate:
    """Mean square of the relative errors at the positions that count of some profiles; NaN if there is none."""

    def error(without: int | None = None) -> float:
        ours, theirs = (each.sums.mean_share(without) for each in (reference, sample))
        p, q = (np.concatenate([each.of(share)[at] for each, at in chosen]) for share in (ours, theirs))
        hit = p > 0  # a position may have been hit in one block only
        return float(np.mean((q[hit] / p[hit] - 1) ** 2)) if hit.any() else np.nan

    enough = min(len(reference), len(sample)) > BLOCKS
    replicas = [error(block) for block in range(BLOCKS)] if enough else [np.nan]
    return Estimate(error(), float(np.sqrt((BLOCKS - 1) * np.var(replicas))), len(reference), len(sample))


@lru_cache(maxsize=32)
def profiles(geometry: Geometry) -> tuple[Profile, ...]:
    """All profiles of a geometry: transverse ones, layer by layer unless it is a block, and that along the depth."""
    every = list(geometry.by_depth)
    groups = [every] if geometry.is_block else [[number] for number in every]
    found = [_transverse(geometry, layers, axis) for axis in (1, 0) for layers in groups]
    if len(every) > 1:
        found.append(_longitudinal(geometry))
    return tuple(each for each in found if len(each) > 1)


def axes(geometry: Geometry) -> list[str]:
    """The axes that have a profile."""
    return list(dict.fromkeys(profile.axis for profile in profiles(geometry)))


def shape_metrics(geometry: Geometry) -> list[ShowerShape]:
    """The errors of all shapes together, along each axis, and at the edges."""
    edges = [ShowerShape(edges=True)] if any(each.at_edge.any() for each in profiles(geometry)) else []
    each = [ShowerShape(axis) for axis in axes(geometry)]
    return [ShowerShape(), *each, *edges] if each else []


def _transverse(geometry: Geometry, layers: Sequence[int], axis: int) -> Profile:
    first = geometry.layers[layers[0]]
    place = np.full(geometry.n_cells, -1)
    for number in layers:
        place[geometry.cells(number)] = np.indices(first.shape)[axis].ravel()
    layer = None if geometry.is_block else first.name
    return Profile(AXIS_NAMES[first.axes][axis], layer, np.asarray((first.slow, first.fast)[axis]), place)


def _longitudinal(geometry: Geometry) -> Profile:
    place = np.empty(geometry.n_cells, np.int64)
    for rank, number in enumerate(geometry.by_depth):
        place[geometry.cells(number)] = rank
    return Profile(DEPTH, None, np.arange(len(geometry.layers) + 1, dtype=np.float64) - 0.5, place)
