"""What Getting High looks at in a block: observables and their correlations, MIP peak, radial profile."""

from typing import Any

import numpy as np

from caloforge.block_observables import HALF_MIP, block_table, is_image
from caloforge.figures.histograms import histogram
from caloforge.figures.samples import REFERENCE, Floats, Samples
from caloforge.figures.shapes import profile_data
from caloforge.metrics.mip import EDGES, block_spectra, peak
from caloforge.metrics.observable_correlation import NAMES, correlated
from caloforge.metrics.radial import radial
from caloforge.metrics.sample import BLOCKS


def block(samples: Samples) -> dict[str, Any] | None:
    """Histograms, correlation matrices, spectrum per MeV and radial profile; None if the geometry is no such block."""
    geometry = samples[REFERENCE].geometry
    if not is_image(geometry):
        return None
    return {
        "histograms": [histogram(row, samples, None) for row in block_table(geometry).values()],
        "correlations": {"observables": NAMES, "matrices": {name: _matrix(samples, name) for name in samples}},
        "mip": _mip(samples),
        "radial": profile_data(radial(geometry), samples),
    }


def _matrix(samples: Samples, name: str) -> Floats:
    found = correlated(samples[name])
    return np.full((len(NAMES), len(NAMES)), np.nan) if found is None else found.matrix()


def _mip(samples: Samples) -> dict[str, Any]:
    """Cells a shower and MeV in logarithmic bins, with errors from blocks of showers, and where the peak is."""
    data: dict[str, Any] = {"edges": EDGES, "half_mip": HALF_MIP, "mean": {}, "error": {}, "peak": {}}
    for name, sample in samples.items():
        counts = block_spectra(sample.showers.energies)
        scale = len(sample.showers) / BLOCKS * np.diff(EDGES)
        data["mean"][name] = counts.mean(axis=0) / scale
        data["error"][name] = counts.std(axis=0, ddof=1) / scale / np.sqrt(BLOCKS)
        data["peak"][name] = peak(counts.sum(axis=0))
    return data
