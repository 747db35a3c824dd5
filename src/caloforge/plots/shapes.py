"""Sampling fraction, average shower shapes, and spectra of single cells, each with its ratio below."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from caloforge.figures import REFERENCE
from caloforge.metrics.sampling import quotient
from caloforge.metrics.shapes import DEPTH, LOWEST
from caloforge.plots.histograms import Floats, draw_band, shown_layers
from caloforge.plots.style import DARK, GREY, Picture, colors, grid, log_ticks, panels
from caloforge.plots.trends import FEW_LAYERS, TRUE, Lines, ratio_range
from caloforge.plots.views import axis_label, shown_edges
from caloforge.report import Report, number
from caloforge.units import GeV

ALLOWED = 0.02  # the band drawn in the ratio of sampling fractions
FEWEST_COLUMNS = 3


def sampling_fraction(report: Report) -> list[Picture]:
    """Sampling fraction in bins of 10 GeV, and the ratio Geant4 / sample."""
    data = report.figures["sampling_fraction"]
    edges = np.asarray(data["edges"], float) / GeV
    center = (edges[1:] + edges[:-1]) / 2
    lines = {
        name: [np.asarray(each[key], float) for key in ("mean", "error")] for name, each in data["samples"].items()
    }
    if not np.isfinite(lines[REFERENCE][0]).any():
        return []
    figure, [(main, ratio)] = panels(1, 1, 9.4, 4.3)
    ratio.axhspan(1 - ALLOWED, 1 + ALLOWED, color=GREY, alpha=0.4, linewidth=0)
    ratio.axhline(1.0, color=DARK, linewidth=0.8)
    drawn = [np.array([1 - ALLOWED, 1 + ALLOWED])]
    for name, color in colors(report.samples).items():
        mean, error = lines[name]
        marks: dict[str, Any] = {"color": color, "fmt": "o", "markersize": 3.5, "linewidth": 1.2}
        main.errorbar(center, mean, error, label=name, **marks)
        if name != REFERENCE:
            relative, spread = quotient(lines[REFERENCE][0], lines[REFERENCE][1], mean, error)
            ratio.errorbar(center, relative, spread, **marks)
            drawn.append(relative)
    ratio.set_ylim(*ratio_range(np.concatenate(drawn)))
    ratio.set_xlim(edges[0], edges[-1])
    ratio.set_xlabel(TRUE)
    ratio.set_ylabel("Geant4 / sample")
    main.set_ylabel("Sampling fraction")
    main.legend()
    grid(main)
    caption = (
        "Mean of total energy over incident energy in bins of 10 GeV that hold 20 showers or more; below, Geant4 over "
        f"sample, with a band of ±{ALLOWED:.0%}."
        + values(report, "sampling_fraction", "Largest deviation from 20 GeV on")
    )
    return [Picture("sampling_fraction", "Energies", "Sampling fraction", caption, figure)]


def shapes(report: Report) -> list[Picture]:
    """Average shower shapes, linear and logarithmic, and their ratio to Geant4: of a block together, else by axis."""
    layers = {None, *shown_layers(report)}
    drawn = [data for data in report.figures["shapes"] if data["layer"] in layers]
    if report.geometry.is_block:
        return [draw_shapes(report, "shape", drawn)] if drawn else []
    by_axis = {axis: [data for data in drawn if data["axis"] == axis] for axis in (data["axis"] for data in drawn)}
    return [draw_shapes(report, f"shape/{axis}", each) for axis, each in by_axis.items()]


def draw_shapes(
    report: Report, name: str, drawn: list[dict[str, Any]], title: str = "Average shower shapes"
) -> Picture:
    """Profiles side by side; the sentence on the error is that of the metric of the same name."""
    columns = max(len(drawn), FEWEST_COLUMNS)
    figure, stacks = panels(len(drawn), columns, 12.4 / columns, 5.0, (3, 3, 2))
    for stack, data in zip(stacks, drawn, strict=True):
        _shape(stack, data, report)
    for axis, label in zip(stacks[0], ("Share of energy", "Share of energy", "Ratio"), strict=True):
        axis.set_ylabel(label)
    stacks[0][0].legend(fontsize=8)
    at_edge = np.concatenate([np.asarray(data["at_edge"], bool) for data in drawn])
    along = "" if report.geometry.is_block else f" along {axis_label(drawn[0]['axis']).split(' [')[0]}"
    caption = (
        "Energy at each position along an axis over that of the shower, averaged over the showers, on a linear and a "
        "logarithmic axis; below, the ratio to Geant4 with statistical errors. Positions below the dotted line, "
        f"{LOWEST:.1%} of the maximum, do not count in the error."
        + values(report, name.replace("shape", "shower_shape"), "Mean of (ratio − 1)²")
        + (values(report, "shower_shape/edges", "At the edges of all axes") if at_edge.any() else "")
    )
    return Picture(name, "Profiles", f"{title}{along}", caption, figure, wide=len(drawn) > 1)


def _shape(stack: tuple[Axes, ...], data: dict[str, Any], report: Report) -> None:
    linear, logarithmic, ratio = stack
    edges = shown_edges(report.geometry, data["axis"], np.asarray(data["edges"], float))
    lines = {
        name: (np.asarray(data["mean"][name], float), np.asarray(data["error"][name], float)) for name in data["mean"]
    }
    reference = lines[REFERENCE][0]
    relative = draw_lines([linear, logarithmic], ratio, edges, (edges[1:] + edges[:-1]) / 2, lines, report)
    logarithmic.set_yscale("log")
    logarithmic.axhline(LOWEST * reference.max(), color=DARK, linewidth=0.8, linestyle=":")
    ratio.set_ylim(*ratio_range(np.ravel(relative[:, reference > LOWEST * reference.max()])))
    ratio.set_xlim(edges[0], edges[-1])
    ratio.set_xlabel(axis_label(data["axis"]))
    if data["axis"] == DEPTH and len(reference) <= FEW_LAYERS:
        ratio.set_xticks(range(len(reference)), report.figures["longitudinal"]["layers"], fontsize=8)
    linear.set_title(data["layer"] or "")
    grid(ratio)
    for axis in stack:
        axis.minorticks_off()  # they take half of the time of drawing


def cell_spectrum(report: Report) -> list[Picture]:
    """Energies of single cells: all, and the central ones of a sample at 250 GeV."""
    data = report.figures["cell_spectrum"]
    titles = {"all": "All cells", "central": "The 343 central cells at 250 GeV"}
    kinds = [kind for kind in titles if kind in data]
    figure, pairs = panels(len(kinds), 2, 9.4 / len(kinds), 4.3)
    for (main, ratio), kind in zip(pairs, kinds, strict=True):
        _spectrum(main, ratio, np.asarray(data["edges"], float) / GeV, data[kind], report)
        main.set_title(titles[kind] if len(kinds) > 1 else "")
    caption = (
        "Number of cells a shower in logarithmic bins of their energy, from 10⁻⁶ GeV on; below, the ratio to Geant4 "
        "with the errors of both."
        + values(report, "cell_spectrum", "Separation power")
        + values(report, "pixels/mean", "Ratio of the means of the central cells")
        + values(report, "pixels/spread", "Of their spreads")
    )
    return [Picture("cell_spectrum", "Hits", "Energies of single cells", caption, figure)]


def _spectrum(main: Axes, ratio: Axes, edges: Floats, cells: dict[str, Any], report: Report) -> None:
    lines = {name: (np.asarray(each["mean"], float), np.asarray(each["error"], float)) for name, each in cells.items()}
    relative = draw_lines([main], ratio, edges, np.sqrt(edges[1:] * edges[:-1]), lines, report)
    reference = lines[REFERENCE][0]
    filled = np.flatnonzero(np.any([mean for mean, _ in lines.values()], axis=0))
    low, high = (filled[0], filled[-1] + 1) if len(filled) else (0, len(edges) - 1)
    main.set_yscale("log")
    ratio.set_xscale("log")
    ratio.set_xlim(edges[low], edges[high])
    log_ticks(ratio.xaxis, edges[low], edges[high])
    ratio.set_ylim(*ratio_range(np.ravel(relative[:, reference > LOWEST * reference.max()])))
    ratio.set_xlabel("Cell energy [GeV]")
    ratio.set_ylabel("Ratio")
    main.set_ylabel("Cells a shower")
    main.legend()


def draw_lines(
    mains: Sequence[Axes], ratio: Axes, edges: Floats, center: Floats, lines: Lines, report: Report
) -> Floats:
    """Each sample as a line over Geant4's area, and its ratio to Geant4 with error bars; the ratios (samples, bins)."""
    reference = lines[REFERENCE][0]
    drawn = []
    ratio.axhline(1.0, color=DARK, linewidth=0.8)
    for name, color in colors(report.samples).items():
        mean, error = lines[name]
        filled: dict[str, Any] = (
            {"fill": True, "color": GREY} if name == REFERENCE else {"color": color, "linewidth": 1.4}
        )
        for axis in mains:
            axis.stairs(np.where(mean > 0, mean, np.nan), edges, label=name, **filled)
        relative, spread = (
            np.divide(each, reference, out=np.full(len(mean), np.nan), where=reference > 0) for each in (mean, error)
        )
        if name == REFERENCE:
            draw_band(ratio, edges, relative - spread, relative + spread, color)
        else:
            ratio.errorbar(center, relative, spread, color=color, fmt="o", markersize=2.5, linewidth=1.0)
        drawn.append(relative)
    return np.array(drawn)


def values(report: Report, name: str, what: str) -> str:
    """A sentence with a metric of each sample and its floor; empty if the report lacks it or it is undefined."""
    rows = [row for row in report.rows(name) if np.isfinite(row["value"])]
    if not rows:
        return ""
    each = ", ".join(f"{row['sample']} {number(row['value'], row['error'])}" for row in rows)
    return f" {what}: {each} (floor {number(rows[0]['floor'], rows[0]['floor_error'])})."
