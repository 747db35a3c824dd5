"""Averages that the 3DGAN line looks at: sampling fraction, shower shapes, energies of single cells."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.figures.samples import REFERENCE, Floats, Samples
from caloforge.metrics import Sample
from caloforge.metrics.pixels import EDGES, at_250_gev, central_cells, spectra
from caloforge.metrics.sample import BLOCKS
from caloforge.metrics.sampling import energy_bins, sampling_fractions
from caloforge.metrics.shapes import Profile, profiles


def sampling_fraction(samples: Samples) -> dict[str, Any]:
    """Showers, mean sampling fraction and its error in bins of 10 GeV of incident energy."""
    edges = energy_bins(samples[REFERENCE].energy)
    found = {name: sampling_fractions(sample, edges) for name, sample in samples.items()}
    keys = ("showers", "mean", "error")
    return {"edges": edges, "samples": {name: dict(zip(keys, each, strict=True)) for name, each in found.items()}}


def shapes(samples: Samples) -> list[dict[str, Any]]:
    """Average share of the energy at each position along each axis, with its error."""
    return [profile_data(profile, samples) for profile in profiles(samples[REFERENCE].geometry)]


def profile_data(profile: Profile, samples: Samples) -> dict[str, Any]:
    """Average share of the energy at each position of one profile, with its error."""
    return {
        "axis": profile.axis,
        "layer": profile.layer,
        "edges": profile.edges,
        "at_edge": profile.at_edge,
        "mean": {name: profile.of(sample.sums.mean_share()) for name, sample in samples.items()},
        "error": {name: _error(profile, sample) for name, sample in samples.items()},
    }


def _error(profile: Profile, sample: Sample) -> Floats:
    """Standard error of the profile (jackknife over blocks of showers), shape (n,)."""
    if len(sample) <= BLOCKS:
        return np.full(len(profile), np.nan)
    replicas = [profile.of(sample.sums.mean_share(block)) for block in range(BLOCKS)]
    return np.asarray(np.sqrt((BLOCKS - 1) * np.var(replicas, axis=0)))


def cell_spectrum(samples: Samples) -> dict[str, Any]:
    """Cells a shower in logarithmic bins of energy, with errors; at 250 GeV also for the 343 central cells."""
    data = {"edges": EDGES, "all": {name: _cells(sample.showers.energies) for name, sample in samples.items()}}
    central = central_cells(samples[REFERENCE].geometry)
    if len(central) and all(map(at_250_gev, samples.values())):
        data["central"] = {name: _cells(sample.showers.energies[:, central]) for name, sample in samples.items()}
    return data


def _cells(energies: NDArray[np.float32]) -> Mapping[str, Floats]:
    """Number of cells a shower in each bin, and its error from the spread of blocks of showers."""
    counts = spectra(energies)
    each = len(energies) / BLOCKS
    return {"mean": counts.mean(axis=0) / each, "error": counts.std(axis=0, ddof=1) / each / np.sqrt(BLOCKS)}
