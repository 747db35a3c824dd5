"""Averages against the incident energy with ratio panels, and along the depth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from caloforge.figures import REFERENCE
from caloforge.plots.histograms import Floats, shown_layers
from caloforge.plots.style import DARK, GREY, Picture, axis_label, colors, grid, log_ticks, panels, scale_and_unit
from caloforge.report import Report
from caloforge.units import GeV

NARROWEST, WIDEST = 0.02, (0.0, 4.0)  # of a ratio panel: half its range, and its range
FEW_LAYERS = 6
TOTALS = ("energy_total", "response")  # observables that say so if the total was imposed
TRUE = "Incident energy [GeV]"
BINS = "in bins of incident energy, which hold equally many Geant4 showers (bars and bands: statistical errors)"

Lines = dict[str, tuple[Floats, Floats]]  # value and error of each bin, by sample


def trends(report: Report) -> list[Picture]:
    """Layer shares and widths against the incident energy."""
    data, layers = report.figures["trends"], shown_layers(report)
    pictures = []
    for kinds, key, title in (
        (("fraction",), "fraction", "Energy shares"),
        (("width_eta", "width_y", "width_phi", "width_x", "width_r"), "width", "Widths"),
    ):
        names = [f"{kind}/{layer}" for kind in kinds for layer in layers]
        names = [name for name in names if name in data["observables"]]
        if names:
            pictures.append(_trend_grid(report, key, f"{title} against incident energy", names))
    return pictures


def _trend_grid(report: Report, key: str, title: str, names: list[str]) -> Picture:
    data = report.figures["trends"]
    columns = len(shown_layers(report)) if len(shown_layers(report)) <= 4 else 3
    figure, pairs = panels(len(names), columns, 12.4 / columns, 3.3)
    labels = {each["observable"]: (each["label"], each["unit"]) for each in report.figures["histograms"]}
    for (main, ratio), name in zip(pairs, names, strict=True):
        label, unit = labels[name]
        factor = scale_and_unit(unit)[0]
        lines = {sample: _line(each, "mean", factor) for sample, each in data["observables"][name].items()}
        draw_trend(main, ratio, data["energy"], lines, report.samples)
        main.set_ylabel(axis_label(label, unit), fontsize=9)
    pairs[0][0].legend(fontsize=8)
    return Picture(f"trend/{key}", "Profiles", title, f"Mean {BINS}; below, the ratio to Geant4.", figure)


def response(report: Report) -> list[Picture]:
    """E_true − E_reco against E_true, and linearity and resolution."""
    return [_difference(report), _resolution(report)]


def _difference(report: Report) -> Picture:
    data = report.figures["response"]
    panel = (
        ("difference", "mean", "Mean of E$_{true}$ − E$_{reco}$ [GeV]", 1 / GeV),
        ("difference", "rms", "RMS of E$_{true}$ − E$_{reco}$ [GeV]", 1 / GeV),
        ("relative", "mean", "Mean of (E$_{true}$ − E$_{reco}$) / E$_{true}$", 1.0),
        ("relative", "rms", "RMS of (E$_{true}$ − E$_{reco}$) / E$_{true}$", 1.0),
    )
    figure, pairs = panels(4, 4, 3.1, 3.9)
    for (main, ratio), (kind, moment, label, factor) in zip(pairs, panel, strict=True):
        lines = {name: _line(each[kind], moment, factor) for name, each in data["samples"].items()}
        draw_trend(main, ratio, data["energy"], lines, report.samples)
        _log_if_wide(main, lines)
        main.set_ylabel(label, fontsize=9.5)
    pairs[0][0].legend(fontsize=8)
    caption = (
        f"Mean and RMS of incident energy (E_true) minus total energy of all cells (E_reco), absolute and relative, "
        f"{BINS}; below, the ratio to Geant4. The absolute RMS includes the spread of E_true within a bin."
        + _imposed(report)
    )
    return Picture("response/difference", "Energies", "True minus reconstructed energy", caption, figure)


def _resolution(report: Report) -> Picture:
    data = report.figures["response"]
    figure, pairs = panels(2, 2, 4.9, 3.9)
    labels = {"mu90": "Linearity: μ$_{90}$ of E$_{reco}$ / E$_{true}$", "resolution": "Resolution: σ$_{90}$ / μ$_{90}$"}
    for (main, ratio), (key, label) in zip(pairs, labels.items(), strict=True):
        lines = {name: _line(each["core"], key) for name, each in data["samples"].items()}
        draw_trend(main, ratio, data["energy"], lines, report.samples)
        main.set_ylabel(label)
    pairs[0][0].legend()
    caption = (
        f"μ90 and σ90 are mean and RMS of E_reco / E_true in the shortest interval that holds 90 % of the showers "
        f"(Getting High, arXiv 2005.05334), {BINS}; below, the ratio to Geant4." + _imposed(report)
    )
    return Picture("response/resolution", "Energies", "Linearity and resolution", caption, figure)


def _imposed(report: Report) -> str:
    """A sentence that names the samples whose total energy was given, not learned."""
    given = {row["sample"] for row in report.metrics if row["imposed"] and row["observable"] in TOTALS}
    names = [name for name in report.samples if name in given]
    return f" The total energy of {' and '.join(names)} was imposed, not learned." if names else ""


def _line(moments: dict[str, Any], key: str, factor: float = 1.0) -> tuple[Floats, Floats]:
    """Value and error in each bin; NaN where there is none."""
    value, error = (factor * np.asarray(moments[name], float) for name in (key, f"{key}_error"))
    return value, error


def draw_trend(main: Axes, ratio: Axes, energy: Sequence[float | None], lines: Lines, samples: Sequence[str]) -> None:
    """Points with error bars, Geant4 with a band; below, the ratio of each to Geant4's value."""
    x = np.asarray(energy, float) / GeV
    reference = lines[REFERENCE][0]
    drawn = []
    for name, color in colors(tuple(samples)).items():
        value, error = lines[name]
        _points(main, x, value, error, color, name)
        relative, spread = (
            np.divide(each, reference, out=np.full(len(x), np.nan), where=reference != 0) for each in (value, error)
        )
        _points(ratio, x, relative, np.abs(spread), color, name, marker="" if name == REFERENCE else "o")
        drawn.append(relative)
    ratio.set_ylim(*ratio_range(np.concatenate(drawn)))
    ratio.set_ylabel("Ratio")
    ratio.set_xlabel(TRUE)
    _energy_axis(ratio, x)
    grid(main)
    grid(ratio)


def ratio_range(ratios: Floats) -> tuple[float, float]:
    """A range that shows all ratios and 1, neither too narrow nor too wide."""
    defined = ratios[np.isfinite(ratios)]
    low, high = min([1.0, *defined]), max([1.0, *defined])
    margin = max(0.15 * (high - low), NARROWEST - (high - low) / 2)
    return max(low - margin, WIDEST[0]), min(high + margin, WIDEST[1])


def _points(axes: Axes, x: Floats, y: Floats, error: Floats, color: str, label: str, marker: str = "o") -> None:
    if label == REFERENCE:
        axes.fill_between(x, y - error, y + error, color=GREY, linewidth=0)
        axes.plot(x, y, color=color, linewidth=1.2, marker=marker, markersize=3, label=label)
    else:
        axes.errorbar(x, y, error, color=color, linewidth=1.2, marker=marker, markersize=3.5, label=label)


def _energy_axis(axes: Axes, energy: Floats) -> None:
    """Logarithmic if the energies span more than 8, with the same range in every panel of a report."""
    low, high = np.nanmin(energy), np.nanmax(energy)
    if high > 8 * low:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, low, high)
        axes.set_xlim(low / 1.3, high * 1.3)
    elif high > low:
        axes.set_xlim(low - 0.08 * (high - low), high + 0.08 * (high - low))


def _log_if_wide(axes: Axes, lines: Lines) -> None:
    values = np.concatenate([value for value, _ in lines.values()])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set_yscale("log")
        log_ticks(axes.yaxis, values.min(), values.max())


def longitudinal(report: Report) -> list[Picture]:
    """Mean energy per layer, and its ratio to Geant4."""
    data = report.figures["longitudinal"]
    if len(data["layers"]) < 2:
        return []
    figure, [(main, ratio)] = panels(1, 1, 9.4, 4.1)
    place = np.arange(len(data["layers"]), dtype=float)
    reference = np.asarray(data["mean"][REFERENCE], float) / GeV
    main.bar(place, reference, width=0.92, color=GREY, label=REFERENCE)
    ratio.axhline(1.0, color=DARK, linewidth=0.8)
    drawn = []
    for name, color in colors(report.samples).items():
        mean, error = (np.asarray(data[key][name], float) / GeV for key in ("mean", "error"))
        relative = np.divide(mean, reference, out=np.full(len(mean), np.nan), where=reference > 0)
        spread = np.divide(error, reference, out=np.full(len(mean), np.nan), where=reference > 0)
        drawn.append(relative)
        if name != REFERENCE:
            main.errorbar(place, mean, error, color=color, fmt="o", markersize=4, label=name)
        ratio.errorbar(place, relative, spread, color=color, fmt="o", markersize=3.5 if name != REFERENCE else 0)
    ratio.set_ylim(*ratio_range(np.concatenate(drawn)))
    _dress_layers(main, ratio, data)
    caption = "Mean energy per layer, front to back, over the whole spectrum; below, the ratio to Geant4."
    return [Picture("longitudinal", "Profiles", "Longitudinal profile", caption, figure)]


def _dress_layers(main: Axes, ratio: Axes, data: dict[str, Any]) -> None:
    main.set_ylabel("Mean energy [GeV]")
    if len(data["layers"]) <= FEW_LAYERS:
        main.set_yscale("log")
        ratio.set_xticks(range(len(data["layers"])), data["layers"])
    ratio.xaxis.set_minor_locator(NullLocator())
    ratio.set_xlabel("Layer, front to back")
    ratio.set_ylabel("Ratio")
    main.legend()
    grid(ratio)
