r"""Another file from a shower file: some of its events, other cells, electronics noise. What ``caloforge select`` does.

A `Selection` is asked for as text, as on the command line, and applied in this order:

================  ====================================================================================================
``events``        event numbers A to B − 1, as ``first_event`` and the row say: the fixed split
``eta``           low ≤ abs(η) < high, of the condition "eta", else of the geometry's own η₀
``cells``         `regrouping.regroup`: the cells become those of another detector, a crop or a merger of the source's
``noise``         `noise.add_noise`: Gaussian noise in every cell of a layer, before any threshold
``total_energy``  low ≤ energy in all cells above the thresholds of the new geometry < high
``energy``        low ≤ incident energy < high
================  ====================================================================================================

**Events keep their names.** The new file keeps its source's simulator and seed. Its ``first_event`` and ``n_events``
are the smallest range that contains what was chosen, so that a validation still refuses to compare shared events. Only
if there are as many showers as events in that range does row i hold event ``first_event`` + i. It keeps what was
``imposed``, too: noise, or fewer cells, change a total that a model was given, but do not make it one that was learned.

The file is read slice by slice: once, or twice if the total energy decides which showers are written.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import caloforge
from caloforge.detectors import detector
from caloforge.errors import InputError
from caloforge.files import ShowerFile, ShowerWriter, chunk_rows
from caloforge.geometry import Geometry
from caloforge.noise import add_noise, check_sigma
from caloforge.observables import total_energy
from caloforge.packing import ROUNDING
from caloforge.parts import is_complete
from caloforge.regrouping import regroup
from caloforge.showers import Showers, check_seed
from caloforge.units import quantity

CHUNKS = 16  # read at a time
RANGES = {"events": "number", "eta": "number", "total_energy": "energy", "energy": "energy"}
OWN = ("first_event", "n_events", "caloforge", "rounding", "selection")  # what a new file says of itself anew

Rows = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Progress = Callable[[int, int], None]


class Interval(NamedTuple):
    """Values from `low` up to, but not including, `high`."""

    low: float
    high: float

    def holds(self, values: NDArray[Any]) -> Rows:
        """Whether each value lies inside."""
        return np.asarray((values >= self.low) & (values < self.high))


def interval(text: str, dimension: str) -> Interval:
    """Read ``A:B``, ``A:`` or ``:B``; the ends carry units.

    >>> interval("2GeV:300GeV", "energy")
    Interval(low=2000.0, high=300000.0)
    >>> interval(":0.8", "number")
    Interval(low=-inf, high=0.8)
    """
    ends = [each.strip() for each in text.split(":")]
    if len(ends) != 2 or not any(ends):
        raise InputError(f"{text!r} is no range: write A:B, A: or :B, which is from A up to, but not including, B.")
    low, high = (
        quantity(end, dimension) if end else none for end, none in zip(ends, (-math.inf, math.inf), strict=True)
    )
    if not low < high:
        raise InputError(f"the range {text!r} is empty: its first end must be below its second.")
    return Interval(low, high)


@dataclass(frozen=True)
class Selection:
    """What is asked for, as text; None where nothing is.

    Parameters
    ----------
    events, eta, total_energy, energy : ranges ``A:B``; energies with units.
    cells : name of the detector whose cells the showers are to have.
    noise : ``LAYER=ENERGY,LAYER=ENERGY``: standard deviations.
    seed : of the noise.
    """

    events: str | None = None
    eta: str | None = None
    cells: str | None = None
    noise: str | None = None
    seed: int = 1
    total_energy: str | None = None
    energy: str | None = None

    def __post_init__(self) -> None:
        if not all(float(end).is_integer() or math.isinf(end) for end in self.ranges.get("events", ())):
            raise InputError(f"the range of events is {self.events!r}: event numbers are whole numbers.")
        check_seed(self.seed)
        for layer, sigma in self.sigma.items():
            check_sigma(layer, sigma)

    @cached_property
    def ranges(self) -> dict[str, Interval]:
        """The ranges asked for, by name, in MeV."""
        texts = {name: getattr(self, name) for name in RANGES}
        return {name: interval(text, RANGES[name]) for name, text in texts.items() if text is not None}

    @cached_property
    def sigma(self) -> dict[str, float]:
        """Standard deviation of the noise in MeV, by layer."""
        found: dict[str, float] = {}
        for part in [] if self.noise is None else self.noise.split(","):
            layer, separator, value = (each.strip() for each in part.partition("="))
            if not (layer and separator) or layer in found:
                raise InputError(f"noise {self.noise!r} is not understood: write LAYER=ENERGY,…, each layer once.")
            found[layer] = quantity(value, "energy")
        return found

    def asked(self) -> dict[str, Any]:
        """What was asked for, by the names of the options."""
        texts = {name: getattr(self, name) for name in ("events", "eta", "cells", "noise", "total_energy", "energy")}
        return {name: text for name, text in texts.items() if text is not None} | (
            {"noise_seed": self.seed} if self.sigma else {}
        )

    def geometry(self, source: Geometry) -> Geometry:
        """The geometry of the new file."""
        if self.cells is None:
            return source
        return detector(self.cells, **({} if source.eta is None else {"eta": source.eta}))


# --- from file to file ------------------------------------------------------------------------------------------------


def select(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    selection: Selection,
    compact: bool = False,
    overwrite: bool = False,
    notes: Mapping[str, Any] | None = None,
    progress: Progress = lambda done, total: None,
) -> tuple[int, int] | None:
    """Write what is selected of a file to `output`: (showers kept, showers in all); None if it was there already.

    `compact`, `overwrite`, `notes` and `progress` are those of `production.produce`.
    """
    if Path(output).exists() and Path(output).samefile(path):
        raise InputError(f"{output} is the file to select from: choose another name for the output.")
    with ShowerFile(path) as file:
        geometry = selection.geometry(file.geometry)
        identity = _identity(file, selection, compact)
        if is_complete(output, geometry, lambda found: _core(found) == identity, overwrite):
            return None
        work = _Work(file, selection, geometry, progress)
        rows = work.chosen()
        kept = {**identity["selection"], "kept": int(rows.sum())}
        story = {**identity, **_span(file, rows), "selection": kept, "notes": dict(notes or {})}
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        with ShowerWriter(output, geometry, kept["kept"], story, tuple(file.conditions), compact) as writer:
            for _, showers in work.batches(rows):
                writer.append(showers)
        return kept["kept"], len(file)


class _Work:
    """One selection from one file: which rows, and their showers in the new cells, with noise."""

    def __init__(self, file: ShowerFile, selection: Selection, geometry: Geometry, progress: Progress) -> None:
        self.file, self.selection, self.geometry, self.progress = file, selection, geometry, progress
        self.done, self.total = 0, len(file) * (1 + ("total_energy" in selection.ranges))
        if selection.sigma and _has_noise(file.provenance):
            raise InputError(f"{file.path} has noise already: select from the file that it was made of.")
        self.events = event_numbers(file) if selection.sigma else np.zeros(len(file), np.int64)
        self.prepared(file[:0], self.events[:0])  # what does not fit is refused before the work

    def prepared(self, showers: Showers, events: Numbers) -> Showers:
        """Showers of the file in the new cells, with noise."""
        showers = showers if self.selection.cells is None else regroup(showers, self.geometry)
        if not self.selection.sigma:
            return showers
        return add_noise(showers, self.selection.sigma, self.selection.seed, events)

    def batches(self, rows: Rows) -> Iterator[tuple[Numbers, Showers]]:
        """(row numbers, prepared showers) of the chosen rows, slice by slice."""
        size = CHUNKS * chunk_rows(self.file.geometry.n_cells)
        for start in range(0, len(rows), size):
            self.progress(self.done, self.total)
            numbers = start + np.flatnonzero(rows[start : start + size])
            if len(numbers):
                yield numbers, self.prepared(self.file[start : start + size][numbers - start], self.events[numbers])
            self.done += min(size, len(rows) - start)
        self.progress(self.done, self.total)

    def chosen(self) -> Rows:
        """Which rows of the file are chosen, shape (N,)."""
        rows = np.ones(len(self.file), bool)
        if not len(rows):
            raise InputError(f"{self.file.path} holds no showers: nothing can be selected from it.")
        for name, asked in self.selection.ranges.items():
            values = self.total_energies(rows) if name == "total_energy" else _values(self.file, name)
            there = values[rows]
            rows &= asked.holds(values)
            if not rows.any():
                option, unit = name.replace("_", "-"), " MeV" if RANGES[name] == "energy" else ""
                raise InputError(
                    f"no shower of {self.file.path} is left: --{option} is {getattr(self.selection, name)!r}, but they "
                    f"have {there.min():g} to {there.max():g}{unit}."
                )
        return rows

    def total_energies(self, rows: Rows) -> NDArray[np.float64]:
        """Energy in MeV in all cells above threshold of the chosen rows, NaN elsewhere, shape (N,)."""
        values = np.full(len(rows), np.nan)
        for numbers, showers in self.batches(rows):
            values[numbers] = total_energy(showers.above_threshold())
        return values


def event_numbers(file: ShowerFile) -> Numbers:
    """Event number of each shower of a file, shape (N,)."""
    story = file.provenance
    if "first_event" not in story:
        raise InputError(f"{file.path} does not say which events it holds: it can have neither --events nor --noise.")
    if not _is_complete_range(file):
        raise InputError(
            f"{file.path} holds {len(file)} of {story['n_events']} events, and does not say which: give --events and "
            "--noise together with what it was selected by, on the file that it was made of."
        )
    return int(story["first_event"]) + np.arange(len(file))


def _is_complete_range(file: ShowerFile) -> bool:
    """Whether no event is missing in the range that the file names, so that row i is event first_event + i."""
    return bool(file.provenance.get("n_events", len(file)) == len(file))


def _values(file: ShowerFile, name: str) -> NDArray[Any]:
    """Event number, abs(η) or incident energy in MeV of each shower, shape (N,)."""
    if name == "events":
        return event_numbers(file)
    if name == "energy":
        return file.conditions["energy"]
    if "eta" not in file.conditions and file.geometry.eta is None:
        raise InputError(f"{file.path} has no eta, neither as a condition nor in its geometry: leave --eta out.")
    return np.abs(file.conditions.get("eta", np.full(len(file), file.geometry.eta or 0.0)))


def _has_noise(story: Any) -> bool:
    """Whether a provenance tells of a selection, or of one before it, that added noise."""
    made = story.get("selection") if isinstance(story, dict) else None
    return isinstance(made, dict) and ("noise" in made or _has_noise(made.get("source")))


def _identity(file: ShowerFile, selection: Selection, compact: bool) -> dict[str, Any]:
    """All that decides the new file's content: the source's provenance, and the selection."""
    story = file.provenance
    source = {
        "geometry": file.geometry.name,
        "cells": file.geometry.n_cells,
        "showers": len(file),
        "fingerprint": file.fingerprint(),
    }
    return {
        **{name: value for name, value in story.items() if name not in (*OWN, "notes")},
        "caloforge": caloforge.__version__,
        **({"rounding": ROUNDING} if compact else {}),
        "selection": {**selection.asked(), "source": source | {name: story[name] for name in OWN if name in story}},
    }


def _core(found: Mapping[str, Any]) -> dict[str, Any]:
    """The identity in the provenance of a finished file: without what follows from it."""
    core = {name: value for name, value in found.items() if name not in ("first_event", "n_events", "notes")}
    made = core.get("selection")
    if not isinstance(made, dict):
        return core
    return core | {"selection": {name: value for name, value in made.items() if name != "kept"}}


def _span(file: ShowerFile, rows: Rows) -> dict[str, int]:
    """The smallest range of events that is known to contain the chosen rows."""
    story = file.provenance
    if "first_event" not in story:
        return {}
    first, n = int(story["first_event"]), int(story.get("n_events", len(file)))
    if _is_complete_range(file):
        chosen = np.flatnonzero(rows)
        first, n = first + int(chosen[0]), int(chosen[-1] - chosen[0]) + 1
    return {"first_event": first, "n_events": n}
