"""Validation: compare showers with Geant4 showers, and keep the result as data.

Every value stands beside its *floor*: the same metric between the reference and as many independent Geant4 showers. A
model that has reached the floor cannot be told from Geant4 by that metric with that many showers. If no independent
showers are given, the reference is split in two, and the samples are compared with its first half.

Metrics are evaluated over the whole spectrum and in windows of incident energy, which is harsher: over a spectrum, the
energy alone makes most observables look right (field.md §14, T12).
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from caloforge.atomic import replacing
from caloforge.comparison import FLOOR, NUMBERS, complete, evaluate
from caloforge.errors import InputError
from caloforge.figures import REFERENCE, figure_data
from caloforge.geometry import Geometry
from caloforge.metrics import (
    AUC,
    KernelTest,
    Metric,
    NearestTraining,
    Sample,
    Source,
    TrainingSet,
    default_metrics,
)
from caloforge.metrics.events import check_events, check_geometries, provenances, without_thresholds
from caloforge.metrics.selection import energy_windows, survey_all, threshold_note

FORMAT, VERSION = "caloforge-report", 1
TRAINING = "training"
HEADLINE = (
    "correlation_mse/ratio",
    "correlation_mse",
    "auc/high",
    "auc/low",
    "mmd",
    "mmd/p_value",
    "separation/mean",
    "wasserstein/mean",
    "separation/energy_total",
    "cell_mean",
    "cell_variance",
    "nearest/training",
    "nearest/generated",
    "sampling_fraction",
    "shower_shape",
    "shower_shape/edges",
    "shower_shape/radius",
    "mip_peak",
    "correlation_observables",
    "pixels/mean",
    "pixels/spread",
    "precision",
    "recall",
    "coverage",
)
EITHER_WAY = ("pixels/mean", "pixels/spread", "precision", "recall", "coverage")  # too small is bad as well

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Report:
    """The result of `validate`.

    Parameters
    ----------
    geometry : of the reference.
    samples : names of what was compared with Geant4.
    metrics : rows of name, observable, layer, energy (label of the window, None for the whole spectrum), value, error,
        floor, floor_error, n_reference, n_sample, imposed, definition, sample. Undefined numbers are NaN (null in
        JSON).
    figures : the data of every figure, see `caloforge.figures`.
    sizes : number of showers used of each input.
    provenance : what each input says about its making.
    notes : what a reader must know to judge the numbers.
    """

    geometry: Geometry
    samples: tuple[str, ...]
    metrics: list[Row]
    figures: dict[str, Any]
    sizes: dict[str, int]
    provenance: dict[str, Any]
    notes: list[str]

    def rows(self, name: str, sample: str | None = None, energy: str | None = None) -> list[Row]:
        """The rows of one metric, over the whole spectrum unless a window is named, of one sample or of all."""
        return [
            row
            for row in self.metrics
            if row["name"] == name and row["energy"] == energy and sample in (None, row["sample"])
        ]

    def headline(self) -> list[tuple[str, list[Row]]]:
        """The rows of each headline metric that is defined for a sample, over the whole spectrum."""
        found = [(name, self.rows(name)) for name in HEADLINE]
        return [(name, rows) for name, rows in found if any(math.isfinite(row["value"]) for row in rows)]

    def failures(self, bounds: Mapping[str, float]) -> list[Row]:
        """The rows (whole spectrum, any sample) whose value is above its bound, or undefined."""
        failed = []
        for name, bound in bounds.items():
            rows = self.rows(name)
            if not rows:
                raise InputError(unknown_metric(name, {row["name"] for row in self.metrics}))
            failed += [{**row, "bound": bound} for row in rows if not row["value"] <= bound]
        return failed

    def summary(self) -> str:
        """The headline metrics as a table of plain text: value ± error of each sample, and the floor."""
        lines = [["", *self.samples, "floor"]]
        for name, rows in self.headline():
            cells = [number(row["value"], row["error"]) for row in rows]
            lines.append([name, *cells, number(rows[0]["floor"], rows[0]["floor_error"])])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as strict JSON (NaN is null); written to `path`, if given, in one piece."""
        data = {"format": FORMAT, "version": VERSION, "geometry": json.loads(self.geometry.to_json())}
        data |= {name: getattr(self, name) for name in _FIELDS}
        text = json.dumps(plain(data), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        if path is not None:
            write_text(path, text)
        return text

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "Report":
        """The report that `to_json` wrote, from its text or from a path."""
        is_text = isinstance(source, str) and source.lstrip().startswith("{")
        try:
            data = json.loads(source if is_text else Path(source).read_text(encoding="utf-8"))  # type: ignore[arg-type]
            if data["format"] != FORMAT or data["version"] != VERSION:
                raise InputError(f"expected a {FORMAT} of version {VERSION}, got {data['format']} {data['version']}.")
            fields = {name: data[name] for name in _FIELDS}
        except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"this is not a report that caloforge wrote ({error}).") from error
        fields["samples"] = tuple(fields["samples"])
        for row in fields["metrics"]:
            row.update({name: math.nan for name in NUMBERS if row[name] is None})
        return cls(Geometry.from_json(json.dumps(data["geometry"])), **fields)


_FIELDS = ("samples", "metrics", "figures", "sizes", "provenance", "notes")


def validate(
    reference: Source,
    samples: Source | Mapping[str, Source],
    floor: Source | None = None,
    training: Source | None = None,
    metrics: Sequence[Metric] | None = None,
    classifier: AUC | None = None,
    kernel: KernelTest | None = None,
    energies: Sequence[tuple[float, float]] | None = None,
    seed: int = 0,
    imposed: Mapping[str, Sequence[str]] | None = None,
    provenance: Mapping[str, Any] | None = None,
    thresholds: bool = True,
    embedded: int = 0,
    progress: Progress = lambda done, total, label: None,
) -> Report:
    """Compare samples of showers with a Geant4 reference.

    Parameters
    ----------
    reference : Geant4 showers, in memory or a `ShowerFile`, that no model was trained on.
    samples : the showers to judge, or several by name. All are cut to the size of the smallest.
    floor : independent Geant4 showers, such as the training set. Without them the reference is split in two.
    training : what the models were trained on; adds ``nearest/training``.
    metrics : default `default_metrics`, with `classifier` and `kernel` (default: the full ones, which take minutes).
    energies : windows (low, high) of incident energy in MeV; by default each energy, or three windows.
    seed : of everything random.
    imposed : for each sample, the observables that it was given rather than made, such as ``energy_total``.
    provenance : for each sample, and for "Geant4", "floor" and "training", a dictionary with ``simulator``, ``seed``,
        ``first_event``, ``n_events``, for models with ``training``: {the same}; default what the file says.
    thresholds : set cells below the reference's thresholds to zero on all sides; False compares showers as they are.
    embedded : showers of each input, at most, in the t-SNE, which takes a minute for 1 000; 0: there is none.
    progress : hears (metrics done, metrics in all, the next one's name).

    Raises `InputError` for different geometries, and if the reference shares events with anything else.
    """
    if seed < 0:
        raise InputError(f"the seed is {seed}; give a number that is not negative.")
    inputs = _inputs(reference, samples, floor, training)
    check_geometries(inputs)
    story = provenances(inputs, provenance or {})
    notes = check_events(story, REFERENCE)
    trained = inputs.pop(TRAINING, None)
    geometry = reference.geometry if thresholds else without_thresholds(reference.geometry)
    windows = energy_windows(reference.conditions["energy"], energies)
    surveyed, left_out = survey_all(inputs, windows, REFERENCE, FLOOR, geometry)
    memory = TrainingSet(trained, geometry) if trained is not None else None
    if metrics is None:
        metrics = default_metrics(reference.geometry, classifier, kernel) + (
            [NearestTraining(memory)] if memory is not None else []
        )
    rows = evaluate(metrics, surveyed, seed, progress)
    complete(rows, reference.geometry, imposed or {}, surveyed[None])
    notes = [*_spectrum_notes(surveyed[None]), *left_out, *notes, threshold_note(reference.geometry, thresholds)]
    sizes = {name: len(sample) for name, sample in surveyed[None].items()}
    shown = {label: {name: each[name] for name in each if name != FLOOR} for label, each in surveyed.items()}
    figures = figure_data(shown.pop(None), {str(label): each for label, each in shown.items()}, memory, embedded)
    names = tuple(name for name in sizes if name not in (REFERENCE, FLOOR))
    return Report(reference.geometry, names, rows, figures, sizes, story, notes)


def unknown_metric(name: str, known: Iterable[str]) -> str:
    """A sentence that says which names are meant."""
    near = get_close_matches(name, list(known), 3, 0.3) or sorted(known)[:3]
    return f"there is no metric {name!r} here: did you mean {' or '.join(near)}?"


def _inputs(
    reference: Source, samples: Source | Mapping[str, Source], floor: Source | None, training: Source | None
) -> dict[str, Source]:
    """All inputs by name."""
    named = dict(samples) if isinstance(samples, Mapping) else {"sample": samples}
    taken = {REFERENCE, FLOOR, TRAINING} & set(named)
    if taken or not named:
        raise InputError(
            f"samples are called {list(named)}: give at least one, and none of the names "
            f"{REFERENCE}, {FLOOR}, {TRAINING}."
        )
    inputs = {REFERENCE: reference, **named, FLOOR: floor, TRAINING: training}
    return {name: source for name, source in inputs.items() if source is not None}


def _spectrum_notes(samples: Mapping[str, Sample]) -> list[str]:
    """A warning for each sample whose incident energies do not follow the reference's."""
    notes = []
    for name, sample in samples.items():
        p = ks_2samp(samples[REFERENCE].energy, sample.energy).pvalue
        if p < 1e-6:
            notes.append(
                f"WARNING: the incident energies of {name} do not follow those of {REFERENCE} (Kolmogorov–Smirnov "
                f"p = {p:.1g}), so its values compare spectra as well as showers."
            )
    return notes


def number(value: float, error: float) -> str:
    """A value with its error, rounded to two digits of the error: ``0.0123 ± 0.0011``."""
    if not math.isfinite(value):
        return "undefined"
    if not (math.isfinite(error) and error > 0):
        return f"{value:.3g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    if digits > 6 or value >= 1e6:
        return f"{value:.2e} ± {error:.1e}"
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def excess(row: Row) -> float:
    """How many times its floor a value is, 1 where that means nothing; either way, of numbers that may be too small."""
    if not (row["floor"] > 0 and row["value"] > 0):
        return 1.0
    ratio = float(row["value"] / row["floor"])
    return max(ratio, 1 / ratio) if row["name"] in EITHER_WAY else ratio


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file that appears only when it is whole."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def plain(value: Any) -> Any:
    """The same for JSON: arrays are lists, numbers have eight digits, NaN and infinities are null."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    return value
