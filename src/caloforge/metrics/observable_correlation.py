r"""Correlations between the observables of a block, the matrix that Getting High shows (arXiv 2005.05334).

.. math:: \frac{1}{n (n-1)} \sum_{i \ne j} (r_{ij} - r'_{ij})^2

with Pearson's r between n = 12 observables of each shower: first and second moments along x, y and z, visible energy,
incident energy, number of hits, and the shares of the thirds of the layers (`caloforge.block_observables`). Showers
without a hit are left out, as are observables that are constant in both samples; the incident energy is, in a sample of
one energy.
"""

from dataclasses import dataclass

import numpy as np

from caloforge.block_observables import AXES, THIRDS
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.correlation import Correlated, difference, of_columns
from caloforge.metrics.sample import BLOCKS, Sample

INCIDENT = "energy_incident"
NAMES = (
    *(f"{moment}_{axis}" for moment in ("m1", "m2") for axis in AXES),
    *("energy_visible", INCIDENT, "n_hit"),
    *(f"third_{which}" for which in THIRDS),
)


@dataclass(frozen=True)
class ObservableCorrelation(Metric):
    """Mean squared error of the correlation matrix of 12 observables of a block."""

    @property
    def name(self) -> str:
        return "correlation_observables"

    @property
    def definition(self) -> str:
        return (
            f"Mean squared difference of Pearson coefficients over pairs of {len(NAMES)} observables (moments, visible "
            f"and incident energy, hits, thirds of the layers; Getting High, arXiv 2005.05334); those constant in both "
            f"samples are left out, constant in one count r = 0; error: jackknife over {BLOCKS} blocks of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean squared difference; 0 for equal matrices, NaN for fewer than two showers with hits."""
        ours, theirs = correlated(reference), correlated(sample)
        if ours is None or theirs is None:
            return Estimate(np.nan, np.nan, len(reference), len(sample))
        return difference(ours, theirs)


def correlated(sample: Sample) -> Correlated | None:
    """The observables of all showers that have hits; None if there are fewer than two."""
    columns = [sample.energy if name == INCIDENT else sample.values(name) for name in NAMES]
    values = np.stack(columns, axis=1)
    values = values[np.isfinite(values).all(axis=1)]
    return of_columns(values) if len(values) > 1 else None
