"""The page of a study: its table, and for each parameter the metrics of every setting with their spread over seeds."""

import base64
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

import caloforge
from caloforge.plots.style import COLORS, DARK, GREY, PALE, Picture, grid, new_figure, style
from caloforge.report import number, write_text

__all__ = ["parameter_figures", "write_page"]

Rows = Sequence[Mapping[str, Any]]
COLUMNS = 3
CAPTION = (
    "Dots: single seeds; circle and bar: mean and standard deviation over seeds; filled: the default; dashed line: the "
    "default's mean; grey band: the floor, Geant4 against as many showers of Geant4. The smaller the better."
)


def parameter_figures(rows: Rows, metrics: Sequence[str]) -> list[Picture]:
    """One figure for each parameter and stage, with a panel for each of the metrics."""
    pictures = []
    for parameter in dict.fromkeys(row["parameter"] for row in rows if row["parameter"] != "default"):
        for stage in dict.fromkeys(row["thresholds"] for row in rows):
            chosen = [row for row in rows if row["parameter"] in (parameter, "default") and row["thresholds"] == stage]
            if any(row["parameter"] == parameter for row in chosen):
                title = f"{parameter}, {stage} the thresholds"
                figure = _figure(
                    parameter, chosen, [each for each in metrics if any(r["metric"] == each for r in chosen)]
                )
                pictures.append(Picture(f"study/{parameter}/{stage}", str(parameter), title, CAPTION, figure))
    return pictures


def _figure(parameter: str, rows: Rows, metrics: Sequence[str]) -> Figure:
    lines = -(-len(metrics) // COLUMNS)
    figure = new_figure(11.4, 0.3 + 2.7 * lines)
    axes = list(figure.subplots(lines, COLUMNS, squeeze=False).flat)
    for axis, metric in zip(axes, metrics, strict=False):
        found = [row for row in rows if row["metric"] == metric]
        default = [row for row in found if row["parameter"] == "default"]
        for place, row in enumerate(row for row in found if row["parameter"] == parameter):
            low, error = row["floor"], row["floor_error"]
            axis.fill_between([place - 0.5, place + 0.5], low - error, low + error, color=PALE, linewidth=0, zorder=0)
            same = bool(default) and row["values"] == default[0]["values"]
            axis.plot([place] * len(row["values"]), row["values"], ".", color=GREY, markersize=6, zorder=2)
            axis.errorbar(
                place, row["mean"], yerr=row["spread"], fmt="o", color=COLORS[0], markersize=7, capsize=3,
                markerfacecolor=COLORS[0] if same else "white", zorder=3,
            )  # fmt: skip
        labels = [row["setting"] for row in found if row["parameter"] == parameter]
        axis.set_xticks(range(len(labels)), labels, rotation=20 if max(map(len, labels), default=0) > 6 else 0)
        axis.set_xlim(-0.6, len(labels) - 0.4)
        if default:
            axis.axhline(default[0]["mean"], color=DARK, linewidth=0.9, linestyle="--", zorder=1)
        axis.minorticks_off()
        axis.set_title(metric)
        grid(axis)
    for axis in axes[len(metrics) :]:
        axis.set_axis_off()
    return figure


def write_page(
    name: str,
    rows: Rows,
    metrics: Sequence[str],
    trials: Rows,
    reports: Sequence[str],
    path: Path,
) -> None:
    """Write the study's page as one HTML file; the parameters' validation reports are linked beside it."""
    with style():
        pictures = parameter_figures(rows, metrics)
    shown = [each for each in metrics if any(row["metric"] == each for row in rows)]
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals.update(number=number)
    package = files("caloforge")
    template = environment.from_string(package.joinpath("study.html.jinja").read_text(encoding="utf-8"))
    text = template.render(
        css=package.joinpath("page.css").read_text(encoding="utf-8"),
        name=name,
        version=caloforge.__version__,
        metrics=shown,
        lines=_lines(rows, shown),
        floors=_floors(rows, shown),
        figures=[
            {
                "title": each.title,
                "caption": each.caption,
                "size": each.size,
                "data": base64.b64encode(each.png()).decode(),
            }
            for each in pictures
        ],
        reports=reports,
        trials=trials,
    )
    write_text(path, text)


def _floors(rows: Rows, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """A line for each reference and stage, with a row of each metric that has its floor."""
    lines = []
    for key in dict.fromkeys((row["reference"], row["thresholds"]) for row in rows if row["seeds"]):
        found = {row["metric"]: row for row in rows if (row["reference"], row["thresholds"]) == key}
        lines.append({"reference": key[0], "stage": key[1], "cells": [found.get(each) for each in metrics]})
    return lines


def _lines(rows: Rows, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """The table's lines: a setting and stage each, with the row of each metric."""
    lines = []
    for key in dict.fromkeys((row["parameter"], row["setting"], row["thresholds"]) for row in rows):
        found = {row["metric"]: row for row in rows if (row["parameter"], row["setting"], row["thresholds"]) == key}
        first = next(iter(found.values()))
        lines.append(
            {
                "key": key,
                "seeds": first["seeds"],
                "failed": first["failed"],
                "seconds": first["seconds"],
                "cells": [found.get(each) for each in metrics],
            }
        )
    return lines
