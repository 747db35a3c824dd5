"""Average and variance of every cell: Geant4, each sample, and their relative difference.

Averages have one colour scale over all layers and samples, as P. Klein (2017) compares them; variances have one for
each layer, for those of a thin layer would be invisible beside those of a thick one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from caloforge.figures import REFERENCE
from caloforge.geometry import Geometry
from caloforge.plots.style import GREY, Picture, new_figure
from caloforge.plots.views import COLORMAP, Floats, draw, log_norm, view, view_labels, views
from caloforge.report import Report

LINE = 9  # layers side by side, where every layer is shown
DECADES = 6
DIVERGING = "RdBu_r"
DIFFERENCE = 0.5


@dataclass(frozen=True)
class Kind:
    """What is drawn of each cell, and whether each layer has a colour scale of its own."""

    key: str
    title: str
    label: str
    unit: str
    own: bool


KINDS = (
    Kind("mean", "Average shower", "Mean energy", "MeV", own=False),
    Kind("variance", "Variance of each cell", "Variance", "MeV²", own=True),
)


def images(report: Report) -> list[Picture]:
    """Mean and variance of every cell: Geant4, each sample, and the relative difference."""
    pictures = []
    for kind in KINDS:
        cells = {name: np.asarray(each[kind.key], float) for name, each in report.figures["images"].items()}
        scale = "each layer has" if kind.own else "all layers have"
        caption = (
            f"{kind.label} of each cell; {scale} one logarithmic colour scale for Geant4 and all samples, black: never "
            f"hit. Right: (sample − Geant4) / Geant4, cut at ±{DIFFERENCE:.0%}, white: equal, grey: never "
            "hit in Geant4."
        )
        figure = _grid(report, cells, kind)
        pictures.append(Picture(f"image/{kind.key}", "Images", f"{kind.title}, layer by layer", caption, figure))
        if views(report.geometry)[0] == "front" and report.geometry.layers[0].n_cells > 1:
            summed = "Summed over the cells behind one another. " + caption.replace("layer", "view", 1)
            pictures[-1] = Picture(f"image/{kind.key}", "Images", f"{kind.title}, projected", summed, figure)
            pictures.append(_every_layer(report, cells, kind))
    return pictures


def _grid(report: Report, cells: dict[str, Floats], kind: Kind) -> Figure:
    """A row for each layer (or projection); columns: Geant4, samples, relative differences."""
    geometry, names, split = report.geometry, views(report.geometry), len(report.samples) + 1
    columns = [REFERENCE, *report.samples, *(f"{name} / Geant4 − 1" for name in report.samples)]
    figure = new_figure(1.6 + (2.1 if split <= 2 else 1.75) * len(columns), 0.7 + 1.75 * len(names))
    axes = figure.subplots(len(names), len(columns), squeeze=False)
    shown = [[view(geometry, each, which)[2] for each in cells.values()] for which in names]
    difference = Normalize(-DIFFERENCE, DIFFERENCE)
    for row, which in enumerate(names):
        scaled = shown[row] if kind.own else [image for each in shown for image in each]
        norm = log_norm(*scaled, decades=DECADES)
        for column, name in enumerate((REFERENCE, *report.samples)):
            draw(axes[row, column], geometry, cells[name], which, norm)
            if column:
                _draw_difference(axes[row, len(report.samples) + column], geometry, cells, name, which, difference)
        _label_row(axes[row], geometry, which, row == len(names) - 1)
        if kind.own:
            _color_bar(figure, norm, axes[row, :split], f"{kind.label} [{kind.unit}]", 15)
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=9.5)
    if not kind.own:
        _color_bar(figure, norm, axes[:, :split], f"{kind.label} [{kind.unit}]", 30)
    mappable = ScalarMappable(difference, DIVERGING)
    bar = figure.colorbar(
        mappable, ax=axes[:, split:], extend="both", fraction=0.08 / len(report.samples), pad=0.01, aspect=30
    )
    bar.set_label("Relative difference")
    return figure


def _color_bar(figure: Figure, norm: Normalize, axes: Any, label: str, aspect: int) -> None:
    bar = figure.colorbar(ScalarMappable(norm, COLORMAP), ax=axes, fraction=0.04, pad=0.01, aspect=aspect)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _draw_difference(
    axes: Axes, geometry: Geometry, cells: Mapping[str, Floats], name: str, which: str, norm: Normalize
) -> None:
    horizontal, vertical, reference = view(geometry, cells[REFERENCE], which)
    image = view(geometry, cells[name], which)[2]
    relative = np.divide(image, reference, out=np.full(image.shape, np.nan), where=reference > 0) - 1
    axes.set_facecolor(GREY)
    axes.pcolormesh(horizontal, vertical, np.ma.masked_invalid(relative), norm=norm, cmap=DIVERGING, rasterized=True)
    axes.tick_params(which="both", length=2, labelsize=7.5)
    axes.minorticks_off()


def _label_row(axes: Any, geometry: Geometry, which: str, last: bool) -> None:
    horizontal, vertical = view_labels(geometry, which)
    axes[0].set_ylabel(f"{which}\n{vertical}", fontsize=9)
    for axis in axes[1:]:
        axis.tick_params(labelleft=False)
    if last or which in ("front", "side", "top"):
        for axis in axes:
            axis.set_xlabel(horizontal, fontsize=8.5)


def _every_layer(report: Report, cells: dict[str, Floats], kind: Kind) -> Picture:
    """Every layer of a block as a small picture: lines of `LINE` layers, in each line a row per sample."""
    geometry, names = report.geometry, [REFERENCE, *report.samples]
    layers = sorted(geometry.layers, key=lambda layer: layer.depth)
    lines = [layers[start : start + LINE] for start in range(0, len(layers), LINE)]
    figure = new_figure(1.5 + 1.15 * LINE, 0.4 + (1.25 * len(names) + 0.2 * kind.own) * len(lines))
    axes = figure.subplots(len(names) * len(lines), LINE, squeeze=False)
    largest = {each.name: max(float(cells[name][geometry.cells(each.name)].max()) for name in names) for each in layers}
    shown = {name: each / _spread(geometry, largest) for name, each in cells.items()} if kind.own else cells
    norm = log_norm(*shown.values(), decades=DECADES)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, line in enumerate(lines):
        for j, name in enumerate(names):
            row = axes[i * len(names) + j]
            for axis, layer in zip(row, line, strict=False):
                axis.set_axis_on()
                draw(axis, geometry, shown[name], layer.name, norm)
                axis.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
                head = f"{layer.name}\n{_two_digits(largest[layer.name])} {kind.unit}" if kind.own else layer.name
                axis.set_title(head if j == 0 else "", fontsize=8)
            row[0].set_ylabel(name, fontsize=8)
    _color_bar(figure, norm, axes, f"{kind.label} " + ("/ the layer's largest" if kind.own else f"[{kind.unit}]"), 40)
    caption = f"{kind.label} of each cell, layer by layer, on one logarithmic colour scale" + (
        ": of each layer, over its largest variance in Geant4 or a sample, which is given above it."
        if kind.own
        else " over all layers."
    )
    title = f"{kind.title}, layer by layer"
    return Picture(f"image/{kind.key}/layers", "Images", title, caption, figure)


def _spread(geometry: Geometry, values: Mapping[str, float]) -> Floats:
    """A number per layer for each of its cells, shape (n_cells,); 1 where it is zero."""
    return np.concatenate([np.full(layer.n_cells, values[layer.name] or 1.0) for layer in geometry.layers])


def _two_digits(value: float) -> str:
    """A number of two digits, in full: ``17,000``."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"
