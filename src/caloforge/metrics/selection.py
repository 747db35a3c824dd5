"""Which showers are compared: equally many of each sample and of the floor, over the spectrum and in energy windows."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Geometry
from caloforge.metrics.sample import COLUMNS, Rows, Sample, Source, random_rows, survey
from caloforge.observables import table
from caloforge.units import GeV

WINDOWS = 3  # of incident energy, if there are more than
FEW = 6  # different energies
FEWEST = 50  # showers in a window


@dataclass(frozen=True)
class Window:
    """Incident energies from `low` up to, but not including, `high`, in MeV."""

    low: float
    high: float
    label: str

    def rows(self, energy: NDArray[np.float64], among: Rows) -> Rows:
        """Those of the rows whose incident energy is in the window."""
        return among[(energy[among] >= self.low) & (energy[among] < self.high)]


def energy_windows(energy: NDArray[np.float64], given: Sequence[tuple[float, float]] | None) -> list[Window]:
    """The windows given, else one for each of a few energies, else three that hold equally many showers."""
    return _distinct(_energy_windows(energy, given))


def _energy_windows(energy: NDArray[np.float64], given: Sequence[tuple[float, float]] | None) -> list[Window]:
    if given is not None:
        if any(len(ends) != 2 or not 0 <= ends[0] < ends[1] for ends in given):
            raise InputError(f"windows of incident energy are pairs (low, high) in MeV, low < high; got {list(given)}.")
        return [Window(low, high, energy_label(low, high)) for low, high in given]
    distinct = np.unique(energy)
    if len(distinct) == 1:
        return []
    if len(distinct) <= FEW:
        return [Window(float(each), float(np.nextafter(each, np.inf)), energy_label(each, each)) for each in distinct]
    edges = np.quantile(energy, np.linspace(0, 1, WINDOWS + 1))
    labels = [energy_label(low, high) for low, high in itertools.pairwise(edges)]
    edges[-1] = np.nextafter(edges[-1], np.inf)
    return [Window(float(edges[i]), float(edges[i + 1]), labels[i]) for i in range(WINDOWS)]


def _distinct(windows: list[Window]) -> list[Window]:
    """The windows with as many digits in their labels as it takes to tell them apart."""
    for digits in range(4, 13):
        if len({window.label for window in windows}) == len(windows):
            break
        windows = [
            replace(window, label=energy_label(window.low, np.nextafter(window.high, 0), digits)) for window in windows
        ]
    return windows


def energy_label(low: float, high: float, digits: int = 3) -> str:
    """A window in words, such as ``1.2–30 GeV``."""
    first, last = f"{low / GeV:.{digits}g}", f"{high / GeV:.{digits}g}"
    return f"{first} GeV" if first == last else f"{first}–{last} GeV"


def whole_spectrum(sources: Mapping[str, Source], reference: str, floor: str) -> dict[str, Rows]:
    """Rows of each input: all of the reference (half, if it must be its own floor), equally many of the rest.

    Everything is cut to `COLUMNS` observable values. The choice is random, the same for equally long inputs, so that a
    sample whose shower i has the conditions of the reference's shower i keeps the reference's spectrum.
    """
    most = max(2, COLUMNS // max(len(table(sources[reference].geometry)), 1))
    sizes = {name: len(source) for name, source in sources.items()}
    if min(sizes.values()) < 2 or (floor not in sources and sizes[reference] < 4):
        raise InputError(
            f"too few showers to compare ({sizes}): give at least two of each, four of a reference that is split."
        )
    rows = {name: np.arange(size) for name, size in sizes.items()}
    if floor not in sources:
        half = random_rows(sizes[reference], sizes[reference] // 2)
        rows[floor] = half
        rows[reference] = np.setdiff1d(rows[reference], half)
    n = min(most, *(len(each) for name, each in rows.items() if name != reference))
    cut = {name: each[random_rows(len(each), n)] for name, each in rows.items() if name != reference}
    return {reference: rows[reference][random_rows(len(rows[reference]), most)], **cut}


def survey_all(
    sources: Mapping[str, Source], windows: Sequence[Window], reference: str, floor: str, geometry: Geometry
) -> tuple[dict[str | None, dict[str, Sample]], list[str]]:
    """Samples of all inputs by window label (None: the whole spectrum), and a note on each window left out.

    Cells below the thresholds of `geometry` are set to zero in all of them.
    """
    energies = {name: np.asarray(source.conditions["energy"]) for name, source in sources.items()}
    rows = whole_spectrum(sources, reference, floor)
    energies.setdefault(floor, energies[reference])
    chosen: dict[str | None, dict[str, Rows]] = {None: rows}
    notes = []
    for window in windows:
        inside = {name: window.rows(energies[name], each) for name, each in rows.items()}
        n = min(len(each) for name, each in inside.items() if name != reference)
        if min(n, len(inside[reference])) < FEWEST:
            notes.append(f"Window {window.label} was left out: an input has fewer than {FEWEST} showers there.")
            continue
        chosen[window.label] = {
            name: each if name == reference else each[random_rows(len(each), n)] for name, each in inside.items()
        }
    found = {
        name: survey(sources.get(name, sources[reference]), [each[name] for each in chosen.values()], geometry)
        for name in rows
    }
    return {label: {name: found[name][i] for name in rows} for i, label in enumerate(chosen)}, notes


def threshold_note(geometry: Geometry, applied: bool = True) -> str:
    """What the thresholds of the reference geometry did to both sides, or would have done."""
    cuts = ", ".join(f"{layer.name} {layer.threshold:g}" for layer in geometry.layers if layer.threshold > 0)
    if not cuts:
        return "No threshold applied."
    if not applied:
        return f"No threshold applied: cells below theirs (MeV: {cuts}) kept their energy in all samples."
    return f"Cells below threshold were set to zero in all samples (MeV): {cuts}."
