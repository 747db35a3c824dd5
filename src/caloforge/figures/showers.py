"""Single showers: some of spread-out energies, and showers beside their nearest neighbours.

As P. Klein (2017) did, one typical Geant4 shower of high energy stands beside the five nearest generated ones. The
other way round, generated showers stand beside the nearest of the training set: there, copies would show. The distance
is that of `caloforge.metrics.neighbours`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.figures.samples import REFERENCE, Floats, Samples
from caloforge.metrics import TrainingSet
from caloforge.metrics.neighbours import nearest
from caloforge.observables import layer_energy
from caloforge.showers import Showers

BINS = 40
GALLERY = (0.1, 0.3, 0.5, 0.7, 0.9)  # quantiles of the reference's incident energies
HIGH = (0.85, 0.95)  # between these quantiles lies the shower whose neighbours are shown
NEIGHBOURS = 5
PAIRS = 4  # generated showers shown with their nearest training shower


def neighbours(samples: Samples, training: TrainingSet | None) -> dict[str, Any]:
    """Distributions of nearest-neighbour distances, and some showers beside their neighbours."""
    reference = samples[REFERENCE].showers
    others = {name: sample.showers for name, sample in samples.items() if name != REFERENCE}
    distances = {name: nearest(reference, showers)[0] for name, showers in others.items()}
    data: dict[str, Any] = {"generated": _histogram(distances)}
    row = typical(reference.incident, distances)
    query = reference[row : row + 1]
    data["generated_nearest"] = {
        name: {"shower": _shower(query, 0), "neighbours": _neighbours(query, showers)}
        for name, showers in others.items()
    }
    if training is not None:
        found = {name: training.nearest(sample.showers) for name, sample in samples.items()}
        data["training"] = _histogram({name: distance for name, (distance, _) in found.items()})
        data["training_pairs"] = {name: _pairs(others[name], training, *found[name]) for name in others}
    return data


def typical(incident: Floats, distances: Mapping[str, Floats]) -> int:
    """Number of a shower of high incident energy whose distance to the generated ones is the median there."""
    low, high = np.quantile(incident, HIGH, method="nearest")
    rows = np.flatnonzero((incident >= low) & (incident <= high))
    total = sum(distance[rows] for distance in distances.values())
    return int(rows[np.argsort(total, kind="stable")[len(rows) // 2]])


def nearest_few(query: Showers, base: Showers, n: int = NEIGHBOURS) -> tuple[Floats, NDArray[np.int64]]:
    """Distances of one shower to the n nearest of `base`, and their numbers, nearest first; both of shape (≤ n,)."""
    ours, theirs = (each.energies / each.incident[:, None].astype(np.float32) for each in (query, base))
    distance = np.linalg.norm(theirs - ours, axis=1).astype(np.float64)
    index = np.argsort(distance, kind="stable")[:n]
    return distance[index], index


def _neighbours(query: Showers, base: Showers) -> list[dict[str, Any]]:
    return [
        {"distance": distance, "shower": _shower(base, i)}
        for distance, i in zip(*nearest_few(query, base), strict=True)
    ]


def _histogram(distances: Mapping[str, Floats]) -> dict[str, Any]:
    everything = np.concatenate(list(distances.values()))
    edges = np.linspace(0.0, max(float(np.quantile(everything, 0.99)), 1e-9), BINS + 1)
    return {"edges": edges, "counts": {name: np.histogram(each, edges)[0] for name, each in distances.items()}}


def _pairs(ours: Showers, theirs: TrainingSet, distance: Floats, index: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Showers of the upper half of energies at spread-out quantiles of the distance, each with its neighbour."""
    rows = np.flatnonzero(ours.incident >= np.median(ours.incident))
    order = rows[np.argsort(distance[rows], kind="stable")]
    return [
        {
            "distance": distance[i],
            "shower": _shower(ours, i),
            "neighbour": _shower(theirs[int(index[i]) : int(index[i]) + 1], 0),
        }
        for i in order[np.linspace(0, len(order) - 1, PAIRS).astype(int)]
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
