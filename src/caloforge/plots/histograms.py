"""Histograms of observables with ratio panels: each over the whole spectrum, the worst at fixed energy."""

from typing import Any

import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from caloforge.figures import REFERENCE
from caloforge.plots.style import GREY, Picture, axis_label, colors, grid, log_ticks, panels, scale_and_unit
from caloforge.report import Report

RATIO = (0.4, 1.6)
MOST_LAYERS = 6
WORST = 6
SECTIONS = {"energy": "Energies", "fraction": "Energies", "response": "Energies", "ratio": "Shapes", "hit": "Hits"}
Floats = NDArray[np.float64]


def shown_layers(report: Report) -> list[str]:
    """The layers whose distributions are drawn: all of a few, else those with much of the energy, spread in depth."""
    profile = report.figures["longitudinal"]
    names, mean = list(profile["layers"]), np.asarray(profile["mean"][REFERENCE], float)
    if len(names) <= MOST_LAYERS:
        return names
    share = (np.cumsum(mean) - mean / 2) / max(mean.sum(), 1e-30)
    quantiles = np.linspace(0.05, 0.95, MOST_LAYERS)
    return [names[i] for i in sorted({int(np.argmin(np.abs(share - q))) for q in quantiles})]


def histograms(report: Report) -> list[Picture]:
    """One picture for each observable of the whole spectrum, by group and front to back; of many layers, some."""
    layers: list[str | None] = [None, *shown_layers(report)]
    drawn = [data for data in report.figures["histograms"] if data["energy"] is None and data["layer"] in layers]
    groups = list(dict.fromkeys(map(group, drawn)))
    drawn.sort(key=lambda data: (groups.index(group(data)), layers.index(data["layer"])))
    return [_histogram(report, data) for data in drawn]


def group(data: dict[str, Any]) -> str:
    """What a histogram stands under: ``Width in φ per layer``, or ``Whole shower``."""
    quantity = str(data["label"]).removesuffix(f", {data['layer']}")
    if "/" in data["observable"]:
        return f"{quantity} per layer"
    return quantity if data["layer"] else "Whole shower"


def _histogram(report: Report, data: dict[str, Any]) -> Picture:
    figure, [(main, ratio)] = panels(1, 1, 3.7, 3.6)
    draw_histogram(main, ratio, data, report)
    name = data["observable"]
    caption = _caption(data, report)
    section = SECTIONS.get(name.split("_")[0].split("/")[0], "Shapes")
    return Picture(f"histogram/{name}", section, data["label"], caption, figure, wide=False, group=group(data))


def _caption(data: dict[str, Any], report: Report) -> str:
    rows = report.rows(f"separation/{data['observable']}", energy=data["energy"])
    parts = [
        f"{row['sample']}: S = {row['value']:.2g} (floor {row['floor']:.2g})" + (", imposed" if row["imposed"] else "")
        for row in rows
    ]
    undefined = {name: data["undefined"][name] / data["showers"][name] for name in data["counts"]}
    if any(share > 0.001 for share in undefined.values()):
        parts.append("undefined: " + ", ".join(f"{name} {share:.1%}" for name, share in undefined.items()))
    outside = {name: data["outside"][name] / data["showers"][name] for name in data["counts"]}
    if any(share > 0.01 for share in outside.values()):
        parts.append("beyond the axis: " + ", ".join(f"{name} {share:.1%}" for name, share in outside.items()))
    return "; ".join(parts) + "."


def draw_histogram(main: Axes, ratio: Axes, data: dict[str, Any], report: Report) -> None:
    """Share of showers per bin, Geant4 filled, and the ratio to it, both with statistical bands."""
    factor, _ = scale_and_unit(data["unit"])
    edges = np.asarray(data["edges"], float) * factor
    share, error = {}, {}
    for name, counts in data["counts"].items():
        share[name] = np.asarray(counts, float) / data["showers"][name]
        error[name] = np.sqrt(np.asarray(data["variances"][name], float)) / data["showers"][name]
    for name, color in colors(report.samples).items():
        filled = {"histtype": "fill", "color": GREY} if name == REFERENCE else {"color": color, "linewidth": 1.5}
        mplhep.histplot(share[name], edges, ax=main, yerr=False, label=name, flow="none", **filled)
        draw_band(main, edges, share[name] - error[name], share[name] + error[name], color)
        _ratio(ratio, edges, share[name], error[name], share[REFERENCE], color, name == REFERENCE)
    _dress(main, ratio, data, edges)


def _ratio(
    axes: Axes, edges: Floats, share: Floats, error: Floats, reference: Floats, color: str, itself: bool
) -> None:
    defined = reference > 0
    value, band = (
        np.divide(each, reference, out=np.full(len(share), np.nan), where=defined) for each in (share, error)
    )
    if itself:
        axes.axhline(1.0, color=color, linewidth=0.8)
        draw_band(axes, edges, value - band, value + band, color)
        return
    axes.stairs(np.clip(value, *RATIO), edges, color=color, linewidth=1.3, baseline=None)
    draw_band(axes, edges, np.clip(value - band, *RATIO), np.clip(value + band, *RATIO), color)


def draw_band(axes: Axes, edges: Floats, low: Floats, high: Floats, color: str) -> None:
    """A pale band between the ends (bins,) of each bin."""
    low, high = (np.append(each, each[-1:]) for each in (low, high))
    axes.fill_between(edges, low, high, step="post", color=color, alpha=0.22, linewidth=0)


def _dress(main: Axes, ratio: Axes, data: dict[str, Any], edges: Floats) -> None:
    if data["log"]:
        ratio.set_xscale("log")
        log_ticks(ratio.xaxis, edges[0], edges[-1])
    else:
        ratio.xaxis.set_major_locator(MaxNLocator(5))
    ratio.set_xlim(edges[0], edges[-1])
    rows = -(-len(data["counts"]) // 2)
    main.set_ylim(0, (1.15 + 0.14 * rows) * max(main.dataLim.ymax, 1e-9))
    main.set_ylabel("Share of showers")
    main.legend(loc="upper center", ncols=2, handlelength=1.3, columnspacing=1.2, borderaxespad=0.2)
    ratio.set_ylim(*RATIO)
    ratio.set_ylabel("Ratio")
    ratio.set_xlabel(axis_label(data["label"], data["unit"]))
    grid(ratio)


def worst_by_energy(report: Report) -> list[Picture]:
    """For each energy window, the observables that are separated most."""
    windows = dict.fromkeys(data["energy"] for data in report.figures["histograms"] if data["energy"])
    return [_worst(report, window) for window in windows]


def _worst(report: Report, window: str) -> Picture:
    excess: dict[str, float] = {}
    for row in report.metrics:
        if (
            row["name"].startswith("separation/")
            and row["energy"] == window
            and row["observable"]
            and not row["imposed"]
        ):
            excess[row["observable"]] = max(excess.get(row["observable"], 0.0), row["value"])
    worst = sorted(excess, key=excess.__getitem__)[::-1][:WORST]
    found = {data["observable"]: data for data in report.figures["histograms"] if data["energy"] == window}
    figure, pairs = panels(len(worst), 3, 4.2, 3.5)
    for (main, ratio), name in zip(pairs, worst, strict=True):
        draw_histogram(main, ratio, found[name], report)
    caption = f"The {len(worst)} learned observables with the largest separation power among showers of {window}."
    return Picture(f"worst/{window}", "Fixed energy", f"Worst observables at {window}", caption, figure)
