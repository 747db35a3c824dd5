r"""Wasserstein-1 distance of one observable, in standard deviations of the reference.

.. math:: W = \frac{1}{\sigma_\mathrm{ref}} \int |F_\mathrm{ref}(x) - F_\mathrm{sample}(x)| \, \mathrm{d}x

with the cumulative distributions F of the defined values; a shift by one standard deviation gives 1. The normalisation
is that of ConvL2LFlow (arXiv 2405.20407), which standardises by the reference. A difference in the share of undefined
values is seen by the separation power, not here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import Sample

GRID, REPLICAS = 200, 100
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Wasserstein(Metric):
    """Wasserstein-1 distance of an observable in units of the reference's standard deviation."""

    observable: str

    @property
    def name(self) -> str:
        return f"wasserstein/{self.observable}"

    @property
    def subject(self) -> str:
        return self.observable

    @property
    def definition(self) -> str:
        return (
            f"Wasserstein-1 distance of the defined values, in units of the reference's standard deviation (as in "
            f"arXiv 2405.20407); error: Poisson bootstrap of both samples on {GRID} bins."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Distance in standard deviations of the reference; NaN if a side has no defined value."""
        x, y = reference.values(self.observable), sample.values(self.observable)
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
        if not (len(x) and len(y)):
            return Estimate(np.nan, np.nan, len(x), len(y))
        distance, error, scale = wasserstein_distance(x, y), _error(x, y, rng), float(np.std(x))
        if scale == 0.0:
            equal = distance == 0.0
            return Estimate(0.0 if equal else np.nan, 0.0 if equal else np.nan, len(x), len(y))
        return Estimate(float(distance / scale), error / scale, len(x), len(y))


def _error(x: Values, y: Values, rng: np.random.Generator) -> float:
    """Standard deviation of the distance under Poisson resampling of both samples on a grid of pooled quantiles."""
    edges = np.unique(np.quantile(np.concatenate([x, y]), np.linspace(0.0, 1.0, GRID + 1)))
    if len(edges) < 2:
        return 0.0
    cumulative = []
    for values in (x, y):
        replicas = rng.poisson(np.histogram(values, edges)[0], (REPLICAS, len(edges) - 1)).cumsum(axis=1)
        cumulative.append(replicas / np.maximum(replicas[:, -1:], 1))
    return float(np.std((np.abs(cumulative[0] - cumulative[1]) * np.diff(edges)).sum(axis=1)))
