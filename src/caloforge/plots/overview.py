"""Summaries: every headline metric against its floor, separation by observable and energy, correlation matrices."""

import math
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.figures import REFERENCE
from caloforge.geometry import Geometry
from caloforge.plots.style import DARK, GREY, PALE, Picture, colors, grid, new_figure
from caloforge.report import HEADLINE, Report

CORRELATION_DIFFERENCE = 0.3
MOST_ROWS = 60
Floats = NDArray[np.float64]


def scores(report: Report) -> list[Picture]:
    """Value over floor of each headline metric and sample: one is perfect."""
    names = [name for name in HEADLINE if report.rows(name)]
    figure = new_figure(9.4, 0.9 + 0.42 * len(names))
    axes = figure.subplots()
    for i, name in enumerate(names):
        rows = report.rows(name)
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
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.set_xlabel("Value / floor (Geant4 against Geant4)")
    axes.grid(axis="x", color=PALE)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    caption = (
        "Each headline metric over its floor, which is what as many independent Geant4 showers get; the line at 1 is "
        "the floor with its error in grey. The floor of an AUC is ½, so 2 is the worst there."
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


def correlations(report: Report) -> list[Picture]:
    """Correlation matrices of the cells and of the observables, and their differences from Geant4's."""
    cells, observables = (report.figures[key] for key in ("cell_correlations", "observable_correlations"))
    shown = "" if len(cells["cells"]) == report.geometry.n_cells else f" of {len(cells['cells'])} evenly numbered cells"
    figure = _matrices(report, cells["matrices"])
    _mark_layers(figure, report.geometry, np.asarray(cells["cells"], int), len(report.samples))
    caption = (
        f"Pearson coefficients of the energies{shown or ' of all cells'}, in the flat cell order; lines part layers."
    )
    first = Picture("correlation/cells", "Correlations", "Correlations of cells", caption, figure)
    figure = _matrices(report, observables["matrices"])
    names = ", ".join(observables["observables"])
    caption = f"Pearson coefficients of the observables, in this order: {names}."
    return [first, Picture("correlation/observables", "Correlations", "Correlations of observables", caption, figure)]


def _matrices(report: Report, matrices: dict[str, Any]) -> Figure:
    columns = len(report.samples) + 1
    figure = new_figure(3.4 * columns + 0.8, 6.6)
    axes = figure.subplots(2, columns, squeeze=False)
    arrays = {name: np.asarray(each, float) for name, each in matrices.items()}
    wide, narrow = Normalize(-1, 1), Normalize(-CORRELATION_DIFFERENCE, CORRELATION_DIFFERENCE)
    for column, name in enumerate((REFERENCE, *report.samples)):
        upper = axes[0, column].imshow(arrays[name], norm=wide, cmap="RdBu_r", interpolation="nearest")
        axes[0, column].set_title(name)
        difference = arrays[name] - arrays[REFERENCE]
        if column:
            lower = axes[1, column].imshow(difference, norm=narrow, cmap="PuOr_r", interpolation="nearest")
            axes[1, column].set_title(f"{name} − Geant4")
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.minorticks_off()
    axes[1, 0].set_axis_off()
    figure.colorbar(upper, ax=axes[0], label="r", fraction=0.03, pad=0.01)
    figure.colorbar(lower, ax=axes[1], label="Difference of r", fraction=0.03, pad=0.01, extend="both")
    return figure


def _mark_layers(figure: Figure, geometry: Geometry, cells: NDArray[np.int64], samples: int) -> None:
    """Lines between the layers, and their names."""
    borders = np.searchsorted(cells, geometry.offsets)
    for axis in figure.axes[: 2 * (samples + 1)]:
        if axis.axison and len(geometry.layers) <= 6:
            for border in borders[1:-1]:
                axis.axhline(border - 0.5, color=DARK, linewidth=0.5)
                axis.axvline(border - 0.5, color=DARK, linewidth=0.5)
            middles = (borders[1:] + borders[:-1]) / 2 - 0.5
            axis.set_yticks(middles, [layer.name for layer in geometry.layers], fontsize=7.5, rotation=90, va="center")
            axis.tick_params(length=0)


def distances(report: Report) -> list[Picture]:
    """Distributions of the distance to the nearest neighbour."""
    data = report.figures["neighbours"]
    titles = {
        "training": "Distance to the nearest training shower",
        "generated": "Distance of a Geant4 shower to the nearest generated one",
    }
    pictures = []
    for kind, title in titles.items():
        if kind in data:
            figure = new_figure(5.2, 3.6)
            axes = figure.subplots()
            for name, color in colors(report.samples).items():
                counts = np.asarray(data[kind]["counts"].get(name, []), float)
                if len(counts):
                    filled: dict[str, Any] = (
                        {"fill": True, "color": GREY} if name == REFERENCE else {"color": color, "linewidth": 1.6}
                    )
                    axes.stairs(counts / counts.sum(), data[kind]["edges"], label=name, **filled)
            axes.set_xlabel("Euclidean distance of E / E incident")
            axes.set_ylabel("Share of showers")
            axes.set_xlim(0, data[kind]["edges"][-1])
            axes.legend()
            grid(axes)
            rows = report.rows(f"nearest/{kind}")
            caption = rows[0]["definition"] if rows else "Euclidean distance of cell energies over incident energy."
            pictures.append(Picture(f"distance/{kind}", "Neighbours", title, caption, figure, wide=False))
    return pictures
