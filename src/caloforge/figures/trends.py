r"""Averages against the incident energy, the response to it among them, and along the depth.

*Response against true energy* (P. Klein's key plot, 2017): with the incident energy E_true and the total energy of all
cells E_reco, mean and RMS of E_true − E_reco and of (E_true − E_reco)/E_true; the linearity μ90 of E_reco/E_true and
its resolution σ90/μ90 (`caloforge.resolution`). All in the same bins of incident energy, which hold equally many
showers of the reference, or one each of few energies.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from caloforge.figures.samples import REFERENCE, Floats, Samples
from caloforge.metrics import Sample
from caloforge.metrics.sample import Rows
from caloforge.observables import table
from caloforge.resolution import mu90_sigma90

BINS = 10
MINIMUM = 20  # showers in a bin of incident energy

Lists = dict[str, list[float | None]]


def trends(samples: Samples) -> dict[str, Any]:
    """Mean and RMS of every observable in bins of incident energy (or at each of a few), with the errors of both."""
    reference = samples[REFERENCE]
    edges = energy_edges(reference.energy)
    data: dict[str, Any] = {
        "energy": mean_energies(reference, edges),
        "observables": {name: {} for name in table(reference.geometry)},
    }
    for name, sample in samples.items():
        inside = binned(sample, edges)
        for observable, trend in data["observables"].items():
            values = sample.values(observable)
            trend[name] = moments([values[rows] for rows in inside])
    return data


def response(samples: Samples) -> dict[str, Any]:
    """Mean and RMS of E_true − E_reco in MeV and relative to E_true, linearity and resolution, in bins of E_true."""
    reference = samples[REFERENCE]
    edges = energy_edges(reference.energy)
    data: dict[str, Any] = {"edges": edges, "energy": mean_energies(reference, edges), "samples": {}}
    for name, sample in samples.items():
        true, reco, inside = sample.energy, sample.values("energy_total"), binned(sample, edges)
        data["samples"][name] = {
            "showers": [len(rows) for rows in inside],
            "difference": moments([true[rows] - reco[rows] for rows in inside]),
            "relative": moments([1 - reco[rows] / true[rows] for rows in inside]),
            "core": _cores([reco[rows] / true[rows] for rows in inside]),
        }
    return data


def energy_edges(energy: Floats) -> Floats:
    """Edges between which the energies fall into a few bins of equal content; one bin for each of few energies."""
    distinct = np.unique(energy)
    if len(distinct) <= BINS:
        return np.append(distinct, np.nextafter(distinct[-1], np.inf))
    edges = np.unique(np.quantile(energy, np.linspace(0, 1, BINS + 1)))
    return np.append(edges[:-1], np.nextafter(edges[-1], np.inf))


def binned(sample: Sample, edges: Floats) -> list[Rows]:
    """Numbers of the showers in each bin of incident energy; those beyond the edges are in none."""
    place = np.searchsorted(edges, sample.energy, side="right") - 1
    return [np.flatnonzero(place == i) for i in range(len(edges) - 1)]


def mean_energies(reference: Sample, edges: Floats) -> list[float | None]:
    """Where a bin is drawn: the mean incident energy in MeV of the reference's showers in it."""
    return [float(np.mean(reference.energy[rows])) if len(rows) else None for rows in binned(reference, edges)]


def moments(groups: list[Floats]) -> Lists:
    """Mean and RMS (about the mean) of each group, with errors; None for fewer than 20 defined values."""

    def found(values: Floats) -> tuple[float, ...]:
        rms, root = float(np.std(values, ddof=1)), float(np.sqrt(len(values)))
        return float(np.mean(values)), rms / root, rms, rms / root / 2**0.5

    return _listed(("mean", "mean_error", "rms", "rms_error"), groups, found)


def _cores(groups: list[Floats]) -> Lists:
    """Mean and RMS of each group's shortest interval of 90 %, and their ratio, with errors."""

    def found(values: Floats) -> tuple[float, ...]:
        core = mu90_sigma90(values)
        return core.mu, core.mu_error, core.sigma, core.sigma_error, core.resolution, core.resolution_error

    names = ("mu90", "mu90_error", "sigma90", "sigma90_error", "resolution", "resolution_error")
    return _listed(names, groups, found)


def _listed(names: tuple[str, ...], groups: list[Floats], found: Callable[[Floats], tuple[float, ...]]) -> Lists:
    """The numbers `found` of each group, by name; None for all of them where a group has too few defined values."""
    defined = [group[np.isfinite(group)] for group in groups]
    rows = [found(values) if len(values) >= MINIMUM else (None,) * len(names) for values in defined]
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def longitudinal(samples: Samples) -> dict[str, Any]:
    """Mean energy per layer and its error in MeV, layers sorted by depth."""
    geometry = samples[REFERENCE].geometry
    order = list(geometry.by_depth)
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
