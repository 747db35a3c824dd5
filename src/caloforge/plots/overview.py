"""Summaries: every headline metric against its floor, and the separation power by observable and energy."""

import math
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm

from caloforge.plots.style import DARK, GREY, PALE, Picture, colors, new_figure
from caloforge.report import Report

MOST_ROWS = 60


def scores(report: Report) -> list[Picture]:
    """Value over floor of each headline metric and sample: one is perfect."""
    found = [(name, rows) for name, rows in report.headline() if not name.startswith("mmd")]  # it has no scale
    figure = new_figure(9.4, 0.9 + 0.42 * len(found))
    axes = figure.subplots()
    for i, (_, rows) in enumerate(found):
        band = rows[0]["floor_error"] / rows[0]["floor"] if rows[0]["floor"] > 0 else 0.0
        axes.plot([max(1 - band, 0.05), 1 + band], [i, i], color=GREY, linewidth=9, solid_capstyle="butt", zorder=1)
        for row in rows:
            ratio = row["value"] / row["floor"] if row["floor"] > 0 else math.nan
            error = row["error"] / row["floor"] if row["floor"] > 0 else math.nan
            axes.errorbar(
                ratio,
                i,
                xerr=error,
                fmt="o",
                markersize=7,
                color=colors(report.samples)[row["sample"]],
                linewidth=1.5,
                zorder=3,
                label=row["sample"] if i == 0 else None,
            )
    axes.axvline(1.0, color=DARK, linewidth=1.0, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(found)), [name for name, _ in found])
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.set_xlabel("Value / floor (Geant4 against Geant4)")
    axes.grid(axis="x", color=PALE)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    caption = (
        "Each headline metric over its floor, which is what as many independent Geant4 showers get; the line at 1 is "
        "the floor with its error in grey. The floor of an AUC is ½, so 2 is the worst there; precision, recall and "
        "coverage are worse the further left."
    )
    return [Picture("scores", "Overview", "Value over floor", caption, figure)]


def separation_map(report: Report) -> list[Picture]:
    """Separation power over its floor: observables down, energy windows across, one block for each sample."""
    windows = list(dict.fromkeys(row["energy"] for row in report.metrics))
    names = list(
        dict.fromkeys(
            row["observable"] for row in report.metrics if row["name"].startswith("separation/") and row["observable"]
        )
    )
    if not names:
        return []
    names = names[:MOST_ROWS]
    figure = new_figure(2.6 + 0.95 * len(windows) * len(report.samples), 0.9 + 0.2 * len(names))
    axes = figure.subplots(1, len(report.samples), sharey=True, squeeze=False)[0]
    for axis, sample in zip(axes, report.samples, strict=True):
        image = axis.imshow(_excess(report, names, windows, sample), norm=LogNorm(1, 100), cmap="YlOrRd", aspect="auto")
        axis.set_title(sample)
        axis.set_xticks(
            range(len(windows)), [each or "spectrum" for each in windows], rotation=30, ha="right", fontsize=8
        )
        axis.set_yticks(range(len(names)), names, fontsize=7.5)
        axis.tick_params(which="both", length=0)
        axis.minorticks_off()
    figure.colorbar(image, ax=axes, label="Separation power / floor", extend="both", fraction=0.05, pad=0.02)
    more = "" if len(names) < MOST_ROWS else f" The first {MOST_ROWS} observables; the table below has all."
    caption = (
        "Separation power of each observable over its floor, for the whole spectrum and in windows of incident "
        "energy: pale is as good as Geant4; grey was imposed." + more
    )
    return [Picture("separation", "Overview", "Where the samples differ from Geant4", caption, figure)]


def _excess(report: Report, names: list[str], windows: list[str | None], sample: str) -> Any:
    found = {
        (row["observable"], row["energy"]): row
        for row in report.metrics
        if row["name"].startswith("separation/") and row["sample"] == sample
    }
    image = np.full((len(names), len(windows)), np.nan)
    for i, name in enumerate(names):
        for j, window in enumerate(windows):
            row = found.get((name, window))
            if row and row["floor"] > 0 and not row["imposed"]:
                image[i, j] = max(row["value"] / row["floor"], 1.0)
    return np.ma.masked_invalid(image)
