r"""Separation power of one observable, eq. 15 of arXiv 2009.03796.

.. math:: S = \frac12 \sum_b \frac{(p_b - q_b)^2}{p_b + q_b}

over bins b that hold the shares p of the reference and q of the sample. S is 0 for equal and 1 for disjoint
distributions. For two samples of one distribution its expectation is about (number of bins − 1) / 4 · (1/N₁ + 1/N₂).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import Sample

REPLICAS = 200


@dataclass(frozen=True)
class Separation(Metric):
    """Separation power of an observable over equal-population bins of the reference."""

    observable: str
    bins: int = 50

    @property
    def name(self) -> str:
        return f"separation/{self.observable}"

    @property
    def subject(self) -> str:
        return self.observable

    @property
    def definition(self) -> str:
        return (
            f"Separation power ½ Σ (p − q)² / (p + q) (arXiv 2009.03796, eq. 15) over {self.bins} equal-population "
            f"bins of the reference, one bin for undefined, and one for each value that holds more than "
            f"1/{self.bins} of the reference; error: Poisson bootstrap."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Separation power; 0 for equal and 1 for disjoint distributions."""
        x, y = reference.values(self.observable), sample.values(self.observable)
        edges = bin_edges(x, self.bins)
        p, q = counts(x, edges), counts(y, edges)
        replicas = separation_power(rng.poisson(p, (REPLICAS, len(p))), rng.poisson(q, (REPLICAS, len(q))))
        return Estimate(float(separation_power(p, q)), float(np.std(replicas)), len(x), len(y))


def bin_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Inner edges of bins that hold equal shares of the defined values; a value repeated more often has its own bin."""
    defined = np.sort(values[np.isfinite(values)])
    if not len(defined):
        return np.empty(0)
    edges = np.quantile(defined, np.arange(1, bins) / bins, method="inverted_cdf")
    distinct, number = np.unique(defined, return_counts=True)
    spikes = distinct[number * bins > len(defined)]
    return np.unique(np.concatenate([edges, spikes, np.nextafter(spikes, np.inf)]))


def counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of values in each bin (open at both ends) and, last, of undefined ones: length len(edges) + 2."""
    bins = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), len(edges) + 1)
    return np.bincount(bins, minlength=len(edges) + 2)


def separation_power(p: NDArray[np.int64], q: NDArray[np.int64]) -> NDArray[np.float64]:
    """Separation power of counts along the last axis."""
    p, q = (each / np.maximum(each.sum(axis=-1, keepdims=True), 1) for each in (p, q))
    filled = p + q > 0
    return np.asarray(0.5 * np.divide((p - q) ** 2, p + q, out=np.zeros(filled.shape), where=filled).sum(axis=-1))
