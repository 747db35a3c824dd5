"""Figures of Getting High for blocks of equal cells: radial profile, MIP peak, observables and their correlations."""

from typing import Any

import numpy as np

from caloforge.figures import REFERENCE
from caloforge.plots.correlations import matrices, name_rows
from caloforge.plots.histograms import draw_histogram
from caloforge.plots.shapes import draw_lines, draw_shapes, values
from caloforge.plots.style import DARK, Picture, grid, log_ticks, panels
from caloforge.plots.trends import ratio_range
from caloforge.report import Report, number

COLUMNS = 4
SHOWN = 0.01, 10.0  # MeV
LABELS = {"energy_visible": "E$_{vis}$", "energy_incident": "E$_{inc}$", "n_hit": "n$_{hit}$"}


def radial(report: Report) -> list[Picture]:
    """Radial profile, its ratio to Geant4, and the error."""
    data = _data(report)
    return [draw_shapes(report, "shape/radius", [data["radial"]], "Radial profile")] if data else []


def mip(report: Report) -> list[Picture]:
    """Number of cells per MeV, with the peak of cells that one particle crossed."""
    data = _data(report)
    if not data:
        return []
    found = data["mip"]
    edges = np.asarray(found["edges"], float)
    lines = {
        name: (np.asarray(found["mean"][name], float), np.asarray(found["error"][name], float))
        for name in found["mean"]
    }
    figure, [(main, ratio)] = panels(1, 1, 9.4, 4.3)
    relative = draw_lines([main], ratio, edges, np.sqrt(edges[1:] * edges[:-1]), lines, report)
    shown = (edges[:-1] >= SHOWN[0] * 0.999) & (edges[1:] <= SHOWN[1] * 1.001)
    main.axvline(found["half_mip"], color=DARK, linewidth=0.8, linestyle=":")
    main.set_yscale("log")
    ratio.set_xscale("log")
    ratio.set_xlim(*SHOWN)
    log_ticks(ratio.xaxis, *SHOWN)
    seen = lines[REFERENCE][0][shown]
    main.set_ylim(0.5 * min(seen[seen > 0], default=0.1), 2 * max(seen, default=1.0))
    ratio.set_ylim(*ratio_range(np.ravel(relative[:, shown])))
    ratio.set_xlabel("Cell energy [MeV]")
    ratio.set_ylabel("Ratio")
    main.set_ylabel("Cells a shower and MeV")
    main.legend()
    grid(ratio)
    peaks = ", ".join(f"{name} {each:.4f} MeV" for name, each in found["peak"].items() if each is not None)
    caption = (
        "Number of cells a shower and MeV; the dotted line is half a MIP, above which a cell is a hit. Below, the "
        f"ratio to Geant4 with statistical errors. The peak lies at: {peaks or 'undefined'}."
        + values(report, "mip_peak", "Relative difference")
    )
    return [Picture("mip_peak", "Hits", "Spectrum of single cells and MIP peak", caption, figure)]


def observables(report: Report) -> list[Picture]:
    """Histograms of the observables of Getting High, side by side."""
    data = _data(report)
    if not data:
        return []
    figure, pairs = panels(len(data["histograms"]), COLUMNS, 12.4 / COLUMNS, 3.3)
    for (main, ratio), each in zip(pairs, data["histograms"], strict=True):
        draw_histogram(main, ratio, each, report)
        main.minorticks_off()
    caption = (
        "Observables of Getting High (arXiv 2005.05334), of cells at or above half a MIP: number of hits, "
        "visible energy, first and second moments in cells and layers, and shares of the thirds of the layers."
    )
    return [Picture("block/observables", "Shapes", "Moments, hits and thirds", caption, figure)]


def correlations(report: Report) -> list[Picture]:
    """Correlation matrix of the observables of Getting High, and the differences from Geant4's."""
    data = _data(report)
    if not data:
        return []
    names = [label(name) for name in data["correlations"]["observables"]]
    rows = {row["sample"]: row for row in report.rows("correlation_observables")}
    squares = {name: f"mean square {number(row['value'], row['error'])}" for name, row in rows.items()}
    figure, first, _ = matrices(report, data["correlations"]["matrices"], 3.4, squares)
    for axis in first:
        name_rows(axis, np.arange(len(names), dtype=float), names, 9)
    caption = (
        "Pearson coefficients of moments, visible and incident energy, hits and thirds of the layers, as Getting High "
        "(arXiv 2005.05334) shows them, over the showers that have hits."
        + values(report, "correlation_observables", "Mean squared difference")
    )
    title = "Correlations of moments, energies and hits"
    return [Picture("correlation/block", "Correlations", title, caption, figure)]


def label(name: str) -> str:
    """An observable as the axis of a matrix says it."""
    kind, _, which = name.partition("_")
    if kind in ("m1", "m2"):
        return f"m$_{{{kind[1]},{which}}}$"
    return LABELS.get(name, f"{which} third")


def _data(report: Report) -> dict[str, Any]:
    return report.figures.get("block") or {}
