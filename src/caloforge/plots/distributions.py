"""Histograms with ratio panels, trends with the incident energy, and the longitudinal profile."""

from typing import Any

import mplhep
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from caloforge.figures import REFERENCE
from caloforge.plots.style import GREY, Picture, axis_label, colors, grid, new_figure, scale_and_unit
from caloforge.report import Report
from caloforge.units import GeV

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
    """One picture for each observable of the whole spectrum; of deep calorimeters, some layers."""
    layers = {None, *shown_layers(report)}
    return [
        _histogram(report, data)
        for data in report.figures["histograms"]
        if data["energy"] is None and data["layer"] in layers
    ]


def _histogram(report: Report, data: dict[str, Any]) -> Picture:
    figure = new_figure(4.5, 4.1)
    main, ratio = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    draw_histogram(main, ratio, data, report)
    name = data["observable"]
    caption = _caption(data, report)
    section = SECTIONS.get(name.split("_")[0].split("/")[0], "Shapes")
    return Picture(f"histogram/{name}", section, data["label"], caption, figure, wide=False)


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
        _band(main, edges, share[name] - error[name], share[name] + error[name], color)
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
        _band(axes, edges, value - band, value + band, color)
        return
    axes.stairs(np.clip(value, *RATIO), edges, color=color, linewidth=1.3, baseline=None)
    _band(axes, edges, np.clip(value - band, *RATIO), np.clip(value + band, *RATIO), color)


def _band(axes: Axes, edges: Floats, low: Floats, high: Floats, color: str) -> None:
    low, high = (np.append(each, each[-1:]) for each in (low, high))
    axes.fill_between(edges, low, high, step="post", color=color, alpha=0.22, linewidth=0)


def _dress(main: Axes, ratio: Axes, data: dict[str, Any], edges: Floats) -> None:
    if data["log"]:
        main.set_xscale("log")
    main.set_xlim(edges[0], edges[-1])
    main.set_ylim(0, 1.32 * max(main.dataLim.ymax, 1e-9))
    main.set_ylabel("Share of showers")
    main.legend(loc="upper center", ncols=3, handlelength=1.3, columnspacing=1.2, borderaxespad=0.2)
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
    figure = new_figure(12.6, 7.0)
    axes = figure.subplots(4, 3, height_ratios=[3, 1, 3, 1])
    for i, name in enumerate(worst):
        main, ratio = axes[2 * (i // 3), i % 3], axes[2 * (i // 3) + 1, i % 3]
        main.sharex(ratio)
        draw_histogram(main, ratio, found[name], report)
        main.tick_params(labelbottom=False)
    for axis in axes.T.reshape(-1, 2)[len(worst) :].flat if len(worst) < WORST else ():
        axis.set_axis_off()
    caption = f"The {len(worst)} learned observables with the largest separation power among showers of {window}."
    return Picture(f"worst/{window}", "Fixed energy", f"Worst observables at {window}", caption, figure)


def trends(report: Report) -> list[Picture]:
    """Response and resolution, layer shares and widths against the incident energy."""
    data = report.figures["trends"]
    layers = shown_layers(report)
    names = [
        name
        for kind in ("fraction", "width_eta", "width_phi", "width_y", "width_x", "width_r")
        for layer in layers
        if (name := f"{kind}/{layer}") in data["observables"]
    ]
    pictures = [_response(report, data)]
    titles = {"fraction": "Energy shares", "width": "Widths"}
    for kind, title in titles.items():
        chosen = [name for name in names if name.startswith(kind)]
        if chosen:
            pictures.append(_trend_grid(report, data, kind, title, chosen[:8]))
    return pictures


def _response(report: Report, data: dict[str, Any]) -> Picture:
    figure = new_figure(9.4, 3.7)
    axes = figure.subplots(1, 2)
    energy = np.asarray(data["energy"], float) / GeV
    for name, color in colors(report.samples).items():
        moments = {key: np.asarray(each, float) for key, each in data["observables"]["response"][name].items()}
        _points(axes[0], energy, moments["mean"], moments["mean_error"], color, name)
        _points(axes[1], energy, moments["rms"] / moments["mean"], moments["rms_error"] / moments["mean"], color, name)
    for axis, label in zip(
        axes, ("Mean of total / incident energy", "RMS / mean of total energy / incident"), strict=True
    ):
        _dress_trend(axis, label, energy)
    axes[0].legend()
    caption = (
        "Mean response and relative resolution in bins of incident energy (bins of equal population; bars: "
        "statistical errors)."
    )
    return Picture("trend/response", "Profiles", "Response and resolution", caption, figure)


def _trend_grid(report: Report, data: dict[str, Any], kind: str, title: str, names: list[str]) -> Picture:
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(3.15 * columns, 2.75 * rows)
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    energy = np.asarray(data["energy"], float) / GeV
    labels = {each["observable"]: (each["label"], each["unit"]) for each in report.figures["histograms"]}
    for axis, name in zip(axes, names, strict=False):
        label, unit = labels[name]
        factor = scale_and_unit(unit)[0]
        for sample, color in colors(report.samples).items():
            moments = data["observables"][name][sample]
            mean, error = (factor * np.asarray(moments[key], float) for key in ("mean", "mean_error"))
            _points(axis, energy, mean, error, color, sample)
        _dress_trend(axis, axis_label(label, unit), energy)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize=8)
    caption = "Mean in bins of incident energy (bins of equal population; bars: statistical errors)."
    return Picture(f"trend/{kind}", "Profiles", f"{title} against incident energy", caption, figure)


def _points(axes: Axes, x: Floats, y: Floats, error: Floats, color: str, label: str) -> None:
    if label == REFERENCE:
        axes.fill_between(x, y - error, y + error, color=GREY, linewidth=0)
        axes.plot(x, y, color=color, linewidth=1.2, marker="o", markersize=3, label=label)
    else:
        axes.errorbar(x, y, error, color=color, linewidth=1.2, marker="o", markersize=3.5, label=label)


def _dress_trend(axes: Axes, label: str, energy: Floats) -> None:
    if len(energy) > 1 and np.nanmax(energy) > 8 * np.nanmin(energy):
        axes.set_xscale("log")
    axes.set_xlabel("Incident energy [GeV]")
    axes.set_ylabel(label)
    grid(axes)


def longitudinal(report: Report) -> list[Picture]:
    """Mean energy per layer, and its ratio to Geant4."""
    data = report.figures["longitudinal"]
    if len(data["layers"]) < 2:
        return []
    figure = new_figure(6.4, 4.1)
    main, ratio = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    place = np.arange(len(data["layers"]), dtype=float)
    reference = np.asarray(data["mean"][REFERENCE], float) / GeV
    main.bar(place, reference, width=0.92, color=GREY, label=REFERENCE)
    ratio.axhline(1.0, color=colors(())[REFERENCE], linewidth=0.8)
    for name, color in colors(report.samples).items():
        mean, error = (np.asarray(data[key][name], float) / GeV for key in ("mean", "error"))
        relative = np.divide(mean, reference, out=np.full(len(mean), np.nan), where=reference > 0)
        spread = np.divide(error, reference, out=np.full(len(mean), np.nan), where=reference > 0)
        if name != REFERENCE:
            main.errorbar(place, mean, error, color=color, fmt="o", markersize=4, label=name)
        ratio.errorbar(place, relative, spread, color=color, fmt="o", markersize=3.5 if name != REFERENCE else 0)
    _dress_layers(main, ratio, data)
    caption = "Mean energy per layer, front to back, over the whole spectrum; below, the ratio to Geant4."
    return [Picture("longitudinal", "Profiles", "Longitudinal profile", caption, figure, wide=False)]


def _dress_layers(main: Axes, ratio: Axes, data: dict[str, Any]) -> None:
    main.set_ylabel("Mean energy [GeV]")
    if len(data["layers"]) <= MOST_LAYERS:
        main.set_yscale("log")
        ratio.set_xticks(range(len(data["layers"])), data["layers"])
    ratio.minorticks_off()
    ratio.set_xlabel("Layer, front to back")
    ratio.set_ylabel("Ratio")
    ratio.set_ylim(0.7, 1.3)
    main.legend()
    grid(ratio)
