"""The rows of a report: every metric of every sample, in every energy window, beside its floor."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.figures import REFERENCE
from caloforge.geometry import Geometry
from caloforge.metrics import Estimate, Metric, Sample
from caloforge.observables import table

__all__ = ["FLOOR", "NUMBERS", "complete", "evaluate", "mean_over_observables"]

FLOOR = "floor"
NUMBERS = ("value", "error", "floor", "floor_error")
Row = dict[str, Any]
Progress = Callable[[int, int, str], None]


def evaluate(
    metrics: Sequence[Metric], surveyed: Mapping[str | None, Mapping[str, Sample]], seed: int, progress: Progress
) -> list[Row]:
    """One row for each metric, energy window and sample. All comparisons of a metric draw the same random numbers."""
    rows = []
    for done, metric in enumerate(metrics):
        progress(done, len(metrics), metric.name)
        for energy, samples in surveyed.items():
            if energy is not None and not metric.windows:
                continue
            reference = samples[REFERENCE]
            replaced = {"independent": samples[FLOOR], "reference": reference, "none": None}[metric.floor]
            floor = Estimate(math.nan, math.nan)
            if replaced is not None:
                floor = metric.compare(reference, replaced, np.random.default_rng(seed))
            for name, sample in samples.items():
                if name not in (REFERENCE, FLOOR):
                    estimate = metric.compare(reference, sample, np.random.default_rng(seed))
                    rows.append(_row(metric, energy, name, estimate, floor))
    progress(len(metrics), len(metrics), "")
    return rows


def _row(metric: Metric, energy: str | None, sample: str, estimate: Estimate, floor: Estimate) -> Row:
    return {
        "name": metric.name,
        "observable": metric.subject,
        "layer": getattr(metric, "layer", None),
        "energy": energy,
        "sample": sample,
        "value": estimate.value,
        "error": estimate.error,
        "floor": floor.value,
        "floor_error": floor.error,
        "n_reference": estimate.n_reference,
        "n_sample": estimate.n_sample,
        "imposed": False,
        "definition": metric.definition,
    }


def complete(
    rows: list[Row], geometry: Geometry, imposed: Mapping[str, Sequence[str]], samples: Mapping[str, Sample]
) -> None:
    """Fill in layers and what was imposed, and add the mean separation and distance over the observables."""
    observables = table(geometry)
    unknown = [name for names in imposed.values() for name in names if name not in observables]
    if unknown or set(imposed) - set(samples):
        raise InputError(
            f"imposed names {unknown or sorted(set(imposed) - set(samples))}: give for each sample, by its "
            f"name, observables of geometry {geometry.name!r}."
        )
    for row in rows:
        if row["observable"]:
            row["layer"] = observables[row["observable"]].layer
            row["imposed"] = row["observable"] in imposed.get(row["sample"], ())
    for kind in ("separation", "wasserstein"):
        keys = dict.fromkeys((row["energy"], row["sample"]) for row in rows if row["name"].startswith(f"{kind}/"))
        for energy, sample in keys:
            group = [
                row
                for row in rows
                if row["name"].startswith(f"{kind}/")
                and not row["imposed"]
                and (row["energy"], row["sample"]) == (energy, sample)
            ]
            if group:
                rows.append(_mean_row(kind, group))


def _mean_row(kind: str, rows: list[Row]) -> Row:
    """The mean over the observables of one sample; its error is the mean error, as if all were fully correlated."""
    numbers = np.array([[row[name] for name in NUMBERS] for row in rows])
    used = int(np.isfinite(numbers).all(axis=1).sum())
    means = dict(zip(NUMBERS, mean_over_observables(numbers), strict=True))
    definition = f"Mean of {kind}/… over the {used} observables that have value, error and floor, none imposed."
    return rows[0] | means | {"name": f"{kind}/mean", "observable": None, "layer": None, "definition": definition}


def mean_over_observables(numbers: NDArray[np.float64]) -> list[float]:
    """Mean of each column (k, m) over the rows, one for each observable, in which everything is defined."""
    used = numbers[np.isfinite(numbers).all(axis=1)]
    return [float(each) for each in used.mean(axis=0)] if len(used) else [math.nan] * numbers.shape[1]
