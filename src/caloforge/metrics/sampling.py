r"""Sampling fraction against the incident energy, in bins of 10 GeV.

The sampling fraction of a shower is the energy in all cells over the incident energy (Khattak et al., Rehm et al.; here
the observable ``response``). Its mean in a bin of incident energy is compared as the ratio Geant4 over sample, as
Jaruskova & Vallecorsa do for ensembles of GANs. Below 20 GeV a shower in a sampling calorimeter fluctuates too much, so
that the number starts there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import Sample
from caloforge.units import GeV

WIDTH, FIRST = 10 * GeV, 20 * GeV
MINIMUM = 20  # showers in a bin
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SamplingFraction(Metric):
    """The largest relative difference of the mean sampling fraction in any bin of 10 GeV from 20 GeV."""

    windows = False

    @property
    def name(self) -> str:
        return "sampling_fraction"

    @property
    def definition(self) -> str:
        return (
            f"Largest |Geant4 / sample − 1| of the mean of total energy over incident energy, in bins of incident "
            f"energy of {WIDTH / GeV:g} GeV from {FIRST / GeV:g} GeV that hold at least {MINIMUM} showers of each; "
            f"error: that of the ratio in this bin. The fewer showers in a bin, the larger the floor."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Largest deviation; NaN if no bin has enough showers."""
        edges = energy_bins(reference.energy, FIRST)
        counts, means, errors = zip(*(sampling_fractions(each, edges) for each in (reference, sample)), strict=True)
        ratio, error = quotient(means[0], errors[0], means[1], errors[1])
        deviation = np.abs(ratio - 1)
        numbers = int(counts[0].sum()), int(counts[1].sum())
        if not np.isfinite(deviation).any():
            return Estimate(np.nan, np.nan, *numbers)
        worst = int(np.nanargmax(deviation))
        return Estimate(float(deviation[worst]), float(error[worst]), *numbers)


def energy_bins(energy: Floats, first: float = 0.0) -> Floats:
    """Edges of bins of 10 GeV that hold all energies (n,) in MeV from `first` on; at least one bin."""
    low = max(first, WIDTH * np.floor(energy.min() / WIDTH))
    bins = max(1, int((energy.max() - low) // WIDTH) + 1)
    return np.asarray(low + WIDTH * np.arange(bins + 1))


def sampling_fractions(sample: Sample, edges: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Showers, mean sampling fraction and its error in each bin, of shape (bins,); NaN for fewer than 20 showers."""
    place = np.searchsorted(edges, sample.energy, side="right") - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    place, values = place[inside], sample.values("response")[inside]
    count, total, square = (
        np.bincount(place, weights=weights, minlength=len(edges) - 1) for weights in (None, values, values**2)
    )
    n = np.where(count >= MINIMUM, count, np.nan)
    mean = total / n
    return count, mean, np.sqrt(np.maximum(square / n - mean**2, 0.0) / (n - 1))


def quotient(a: Floats, a_error: Floats, b: Floats, b_error: Floats) -> tuple[Floats, Floats]:
    """The ratio a / b with its error; NaN where b is not above zero."""
    b = np.where(b > 0, b, np.nan)
    return a / b, np.hypot(a_error / b, a * b_error / b**2)
