"""The data behind every figure of a report, as plain lists: `plots` draws it, ``report.json`` carries it.

All energies are in MeV and lengths in mm; `plots` shows GeV. Every entry that compares holds one item per name: the
reference, called ``Geant4``, and each sample.
"""

from collections.abc import Mapping
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from caloforge.metrics import Sample, TrainingSet
from caloforge.metrics.correlation import matrix_of
from caloforge.metrics.neighbours import nearest
from caloforge.metrics.sample import correlated_cells, even_rows, random_rows
from caloforge.observables import Observable, layer_energy, table
from caloforge.showers import Showers

REFERENCE = "Geant4"
BINS = 40
TREND_BINS = 10
TREND_MINIMUM = 20  # showers in a bin of incident energy
SHOWN_CELLS = 128  # at most, in a picture of the correlation matrix
GALLERY = (0.1, 0.3, 0.5, 0.7, 0.9)  # quantiles of the reference's incident energies
PAIRS = 4  # neighbours shown
CORRELATED = 50_000  # showers, at most, that correlations of observables are made of

Samples = Mapping[str, Sample]
Floats = NDArray[np.float64]


def figure_data(everything: Samples, windows: Mapping[str, Samples], training: TrainingSet | None) -> dict[str, Any]:
    """Data of all figures: `everything` and each energy window hold the reference and the samples, by name."""
    rows = table(everything[REFERENCE].geometry).values()
    histograms = [
        histogram(row, samples, label) for label, samples in [(None, everything), *windows.items()] for row in rows
    ]
    return {
        "histograms": histograms,
        "trends": trends(everything),
        "longitudinal": longitudinal(everything),
        "images": {
            name: {"mean": sample.sums.mean(), "variance": sample.sums.variance()}
            for name, sample in everything.items()
        },
        "cell_correlations": cell_correlations(everything),
        "observable_correlations": observable_correlations(everything),
        "neighbours": neighbours(everything, training),
        "gallery": gallery(everything),
    }


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


def trends(samples: Samples) -> dict[str, Any]:
    """Mean and RMS of every observable in bins of incident energy (or at each of a few), with the errors of both."""
    reference = samples[REFERENCE]
    edges = trend_edges(reference.energy)
    data: dict[str, Any] = {"energy": [], "observables": {name: {} for name in table(reference.geometry)}}
    for name, sample in samples.items():
        place = np.searchsorted(edges, sample.energy, side="right") - 1
        inside = [np.flatnonzero(place == i) for i in range(len(edges) - 1)]
        if name == REFERENCE:
            data["energy"] = [float(np.mean(sample.energy[rows])) if len(rows) else None for rows in inside]
        for observable, trend in data["observables"].items():
            values = sample.values(observable)
            trend[name] = _moments([values[rows] for rows in inside])
    return data


def trend_edges(energy: Floats) -> Floats:
    """Edges between which the energies fall into a few bins of equal content; one bin for each of few energies."""
    distinct = np.unique(energy)
    if len(distinct) <= TREND_BINS:
        return np.append(distinct, np.nextafter(distinct[-1], np.inf))
    edges = np.unique(np.quantile(energy, np.linspace(0, 1, TREND_BINS + 1)))
    return np.append(edges[:-1], np.nextafter(edges[-1], np.inf))


def _moments(groups: list[Floats]) -> dict[str, list[float | None]]:
    moments: dict[str, list[float | None]] = {"mean": [], "mean_error": [], "rms": [], "rms_error": []}
    for group in groups:
        values = group[np.isfinite(group)]
        if len(values) < TREND_MINIMUM:
            found: tuple[float | None, ...] = (None, None, None, None)
        else:
            rms, root = float(np.std(values, ddof=1)), float(np.sqrt(len(values)))
            found = float(np.mean(values)), rms / root, rms, rms / root / 2**0.5
        for name, value in zip(moments, found, strict=True):
            moments[name].append(value)
    return moments


def longitudinal(samples: Samples) -> dict[str, Any]:
    """Mean energy per layer and its error in MeV, layers sorted by depth."""
    geometry = samples[REFERENCE].geometry
    order = sorted(range(len(geometry.layers)), key=lambda i: geometry.layers[i].depth)
    data: dict[str, Any] = {
        "layers": [geometry.layers[i].name for i in order],
        "mean": {},
        "error": {},
        "rms": {},
        "depth": [geometry.layers[i].depth for i in order],
    }
    for name, sample in samples.items():
        energy = _layer_energies(sample)[:, order]
        data["mean"][name], data["rms"][name] = energy.mean(axis=0), energy.std(axis=0)
        data["error"][name] = energy.std(axis=0) / np.sqrt(max(len(energy), 1))
    return data


def _layer_energies(sample: Sample) -> Floats:
    names = [layer.name for layer in sample.geometry.layers]
    per_layer = [f"energy/{name}" if len(names) > 1 else "energy_total" for name in names]
    return np.stack([sample.values(name) for name in per_layer], axis=1)


def cell_correlations(samples: Samples) -> dict[str, Any]:
    """Pearson coefficients of at most 128 cells, and which cells they are."""
    cells = correlated_cells(samples[REFERENCE].geometry)
    shown = even_rows(len(cells), SHOWN_CELLS)
    matrices = {name: matrix_of(sample)[np.ix_(shown, shown)] for name, sample in samples.items()}
    return {"cells": cells[shown], "matrices": matrices}


def observable_correlations(samples: Samples) -> dict[str, Any]:
    """Pearson coefficients of the observables over the showers in which both are defined."""
    names = list(table(samples[REFERENCE].geometry))
    if len(names) > SHOWN_CELLS // 2:
        names = [name for name in names if "/" not in name or name.startswith("fraction/")]
    rows = {name: random_rows(len(sample), CORRELATED) for name, sample in samples.items()}
    values = {name: np.stack([sample.values(each)[rows[name]] for each in names]) for name, sample in samples.items()}
    return {"observables": names, "matrices": {name: _pearson(each) for name, each in values.items()}}


def _pearson(values: Floats) -> Floats:
    """Coefficients (k, k) of the rows of values (k, N), over the columns where both are defined; 0 for constants."""
    defined = np.isfinite(values)
    count = np.maximum(defined.astype(float) @ defined.T, 1.0)
    scale = np.nanstd(np.where(defined.any(axis=1, keepdims=True), values, 0.0), axis=1, keepdims=True)
    mean = np.nanmean(np.where(defined.any(axis=1, keepdims=True), values, 0.0), axis=1, keepdims=True)
    z = np.where(defined & (scale > 0), (values - mean) / np.where(scale > 0, scale, 1.0), 0.0)
    first, second = z @ defined.T / count, (z**2) @ defined.T / count
    covariance, variance = z @ z.T / count - first * first.T, second - first**2
    norm = np.sqrt(np.maximum(variance * variance.T, 0.0))
    return np.asarray(np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 1e-12))


def neighbours(samples: Samples, training: TrainingSet | None) -> dict[str, Any]:
    """Distributions of nearest-neighbour distances, and some showers beside their neighbours."""
    reference = samples[REFERENCE]
    others = {name: sample for name, sample in samples.items() if name != REFERENCE}
    found = {name: nearest(reference.showers, sample.showers) for name, sample in others.items()}
    data: dict[str, Any] = {"generated": _distances({name: distance for name, (distance, _) in found.items()})}
    data["generated_pairs"] = {
        name: _pairs(reference.showers, others[name].showers, *each) for name, each in found.items()
    }
    if training is not None:
        found = {name: training.nearest(sample.showers) for name, sample in samples.items()}
        data["training"] = _distances({name: distance for name, (distance, _) in found.items()})
        data["training_pairs"] = {name: _pairs(samples[name].showers, training, *found[name]) for name in others}
    return data


def _distances(distances: Mapping[str, Floats]) -> dict[str, Any]:
    everything = np.concatenate(list(distances.values()))
    edges = np.linspace(0.0, max(float(np.quantile(everything, 0.99)), 1e-9), BINS + 1)
    return {"edges": edges, "counts": {name: np.histogram(each, edges)[0] for name, each in distances.items()}}


def _pairs(
    ours: Showers, theirs: Showers | TrainingSet, distance: Floats, index: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """The queries at spread-out quantiles of the distance, each with its neighbour; the nearest first."""
    order = np.argsort(distance)[np.linspace(0, len(distance) - 1, PAIRS).astype(int)]
    return [
        {
            "distance": distance[i],
            "shower": _shower(ours, i),
            "neighbour": _shower(theirs[int(index[i]) : int(index[i]) + 1], 0),
        }
        for i in order
    ]


def gallery(samples: Samples) -> list[dict[str, Any]]:
    """Single showers at spread-out incident energies: the reference's, and the nearest in energy of each sample."""
    energies = np.quantile(samples[REFERENCE].showers.incident, GALLERY)
    entries = []
    for energy in np.unique(energies):
        nearest_in_energy = {
            name: int(np.argmin(np.abs(sample.showers.incident - energy))) for name, sample in samples.items()
        }
        showers = {name: _shower(samples[name].showers, i) for name, i in nearest_in_energy.items()}
        entries.append({"energy": energy, "showers": showers})
    return entries


def _shower(showers: Showers, row: int) -> dict[str, Any]:
    """One shower: incident energy, and number and energy of the cells above zero, in MeV."""
    energies = showers.energies[row]
    cells = np.flatnonzero(energies > 0)
    return {
        "incident": showers.incident[row],
        "cells": cells,
        "energies": energies[cells],
        "total": float(layer_energy(showers[row : row + 1]).sum()),
    }
