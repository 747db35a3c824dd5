r"""The table of a study: for each setting and metric the mean over seeds, their spread, the floor, and the difference.

With values :math:`v_1 … v_n` of n seeds, the spread s is their standard deviation (n − 1 in the denominator), and the
difference to the default setting is significant or not by

.. math:: z = (\bar v - \bar v_0) \big/ \sqrt{s^2 / n + s_0^2 / n_0}

which is how far two means lie apart in units of the error that seeds give them (Welch's t). Where
smaller is better, a positive z is worse than the default.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caloforge.report import number

__all__ = ["HEADLINE", "as_csv", "as_markdown", "rows"]

HEADLINE = ("correlation_mse/ratio", "correlation_mse", "auc/high", "separation/mean", "wasserstein/mean")
Row = dict[str, Any]
Results = Sequence[Mapping[str, Any]]


def rows(
    parameter: str, label: str, results: Results, default: Results, floors: Mapping[str, Any], reference: str = ""
) -> list[Row]:
    """One row for each stage and metric of a setting.

    Parameters
    ----------
    results, default : of the runs with each seed, of this setting and of the default one (see `runs.perform`); no
        default where that was judged on other showers.
    floors : by stage and metric, value and error.
    reference : name of the showers that judge.
    """
    done = [each for each in results if "scores" in each]

    def told(stage: str, metric: str) -> Row:
        names = {"parameter": parameter, "setting": label, "thresholds": stage, "reference": reference}
        return names | {"metric": metric}

    counted = {"failed": len(results) - len(done), "seconds": _mean([each["seconds"] for each in done])}
    if not done:
        return [told("after", HEADLINE[0]) | _compared([], [], None) | counted]
    return [
        told(stage, metric)
        | _compared(_values(results, stage, metric), _values(default, stage, metric), floors[stage].get(metric))
        | counted
        for stage, scores in done[0]["scores"].items()
        for metric in scores
    ]


def _compared(values: list[float], default: list[float], floor: Sequence[float] | None) -> Row:
    """The numbers of one row; NaN where something is not there."""
    value, error = (math.nan, math.nan) if floor is None else floor
    return {
        "mean": _mean(values),
        "spread": spread(values),
        "seeds": len(values),
        "floor": value,
        "floor_error": error,
        "difference": _mean(values) - _mean(default),
        "z": significance(values, default),
        "values": values,
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _values(results: Results, stage: str, metric: str) -> list[float]:
    found = (each.get("scores", {}).get(stage, {}).get(metric) for each in results)
    return [each[0] for each in found if each is not None]


def spread(values: Sequence[float]) -> float:
    """Standard deviation over seeds; NaN for one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def significance(values: Sequence[float], default: Sequence[float]) -> float:
    """Z as in the module's docstring; NaN where either has one seed, or the two are the same runs."""
    if min(len(values), len(default)) < 2 or list(values) == list(default):
        return math.nan
    error = math.hypot(spread(values) / math.sqrt(len(values)), spread(default) / math.sqrt(len(default)))
    return float((_mean(values) - _mean(default)) / error) if error > 0 else math.nan


def as_csv(table: Sequence[Row]) -> str:
    """All rows, without the values of the single seeds."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [key for key in table[0] if key != "values"], extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def as_markdown(table: Sequence[Row], metrics: Sequence[str] = HEADLINE) -> str:
    """One line for each setting and stage: mean ± spread of the chosen metrics, and the floor in the last line."""
    chosen = [each for each in metrics if any(row["metric"] == each for row in table)]
    both = len({row["thresholds"] for row in table}) > 1
    head = ["parameter", "setting", *(["thresholds"] if both else []), "seeds", *chosen]
    lines = [_line(head), _line(["---"] * len(head))]
    for key in dict.fromkeys((row["parameter"], row["setting"], row["thresholds"]) for row in table):
        found = {row["metric"]: row for row in table if (row["parameter"], row["setting"], row["thresholds"]) == key}
        first = next(iter(found.values()))
        seeds = f"{first['seeds']}" + (f", {first['failed']} diverged" if first["failed"] else "")
        cells = [number(found[each]["mean"], found[each]["spread"]) if each in found else "" for each in chosen]
        lines.append(_line([*key[:2], *(key[2:] if both else ()), seeds, *cells]))
    several = len({row["reference"] for row in table}) > 1
    for reference, stage in dict.fromkeys((row["reference"], row["thresholds"]) for row in table if row["seeds"]):
        same = [row for row in table if (row["reference"], row["thresholds"]) == (reference, stage)]
        floors = {row["metric"]: row for row in reversed(same)}
        cells = [
            number(floors[each]["floor"], floors[each]["floor_error"]) if each in floors else "" for each in chosen
        ]
        where = reference if several else ""
        lines.append(_line(["Geant4 against Geant4", where, *([stage] if both else []), "", *cells]))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"
