r"""The radial profile of a block: the share of the energy at each distance from the middle of the window.

As in Getting High (Buhmann et al., arXiv 2005.05334), the distance of a cell is

.. math:: r = \sqrt{(n_x - c_x)^2 + (n_y - c_y)^2}

in cells, with the middle of the window c, 14.5 of 30 cells counted from 0, where a particle starts by default. The
energy is summed over the layers and over rings one cell wide. It is the share of each shower, as for the other profiles
(`caloforge.metrics.shapes`), and has their error; the longitudinal profile is ``shower_shape/z`` there.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from caloforge.geometry import Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import BLOCKS, Sample
from caloforge.metrics.shapes import LOWEST, RADIUS, Profile, above_lowest, shape_error


@dataclass(frozen=True)
class RadialShape(Metric):
    """Mean square of the relative errors of the average radial profile."""

    @property
    def name(self) -> str:
        return f"shower_shape/{RADIUS}"

    @property
    def definition(self) -> str:
        return (
            f"Mean of (p′/p − 1)² over rings one cell wide where p > {LOWEST:.1%} of its maximum; p: energy in the "
            f"ring over the shower's, averaged over showers; rings around the middle of the window (Getting High, "
            f"arXiv 2005.05334); error: jackknife over {BLOCKS} blocks of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean square error; NaN if there is no energy."""
        profile = radial(reference.geometry)
        return shape_error([(profile, above_lowest(profile, reference))], reference, sample)


@lru_cache(maxsize=32)
def radial(geometry: Geometry) -> Profile:
    """The profile against the distance from the middle in cells, of a block of equal cells."""
    y, x = (index - (n - 1) / 2 for index, n in zip(np.indices(geometry.shapes[0]), geometry.shapes[0], strict=True))
    ring = np.floor(np.hypot(y, x)).astype(np.int64).ravel()
    return Profile(RADIUS, None, np.arange(ring.max() + 2, dtype=np.float64), np.tile(ring, len(geometry.layers)))
