"""Histograms of observables, the whole spectrum and windows of incident energy."""

from typing import Any

import hist
import numpy as np

from caloforge.figures.samples import REFERENCE, Floats, Samples
from caloforge.observables import Observable

BINS = 40


def histogram(row: Observable, samples: Samples, energy: str | None) -> dict[str, Any]:
    """Counts of an observable in bins that cover the reference; what lies outside or is undefined is counted apart."""
    values = {name: sample.values(row.name) for name, sample in samples.items()}
    edges, log = histogram_edges(values[REFERENCE], row)
    data: dict[str, Any] = {
        "observable": row.name,
        "label": row.label,
        "unit": row.unit,
        "layer": row.layer,
        "energy": energy,
        "edges": edges,
        "log": log,
        "counts": {},
        "variances": {},
        "showers": {},
        "undefined": {},
        "outside": {},
    }
    for name, each in values.items():
        filled = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Weight())
        filled.fill(each[np.isfinite(each)])
        data["counts"][name], data["variances"][name] = filled.values(), filled.variances()
        data["showers"][name], data["undefined"][name] = len(each), int(np.sum(~np.isfinite(each)))
        data["outside"][name] = len(each) - data["undefined"][name] - int(filled.values().sum())
    return data


def histogram_edges(values: Floats, row: Observable) -> tuple[Floats, bool]:
    """Edges over the central 99.6 % of the values and a margin; logarithmic for energies that span more than 20."""
    values = values[np.isfinite(values)]
    if row.unit == "MeV" and (values > 0).any():
        low, high = np.quantile(values[values > 0], [0.002, 0.998])
        if high > 20 * low:
            return np.geomspace(low / 1.2, high * 1.2, BINS + 1), True
    low, high = np.quantile(values, [0.002, 0.998]) if len(values) else (0.0, 1.0)
    steps = np.diff(np.unique(values))
    if len(steps) and len(steps) < 4 * BINS and row.name.startswith("hit_fraction"):
        return _count_edges(low, high, float(steps.min())), False
    margin = 0.08 * (high - low) or 0.5 * max(abs(low), 1.0)
    lowest = 0.0 if low >= 0 and low - margin < 0 else low - margin
    return np.linspace(lowest, high + margin, BINS + 1), False


def _count_edges(low: float, high: float, step: float) -> Floats:
    """Edges for a number of hits, so that every bin holds equally many of its values."""
    each = max(1, round((high - low) / step / BINS))
    bins = int((high - low) / step) // each + 1
    return np.asarray((low - step / 2) + step * each * np.arange(bins + 1), dtype=np.float64)
