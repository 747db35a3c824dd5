"""Pictures of cells: average and variance images, single showers, and showers beside their neighbours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.figures import REFERENCE
from caloforge.geometry import AXIS_NAMES, Geometry, Layer
from caloforge.observables import COORDINATES
from caloforge.plots.style import GREY, Picture, new_figure, scale_and_unit
from caloforge.report import Report
from caloforge.units import GeV

FEW_LAYERS = 6
LINE = 9  # layers side by side, where every layer is shown
DECADES = 3.5
COLORMAP, DIVERGING = "magma", "RdBu_r"
DIFFERENCE = 0.5
Floats = NDArray[np.float64]


def views(geometry: Geometry) -> list[str]:
    """What a set of cells is seen in: each layer, front to back, or the projections of a deep calorimeter."""
    if len(geometry.layers) > FEW_LAYERS and _is_block(geometry):
        return ["front", "side", "top"]
    order = sorted(geometry.layers, key=lambda layer: layer.depth)
    return [layer.name for layer in order[:: -(-len(order) // FEW_LAYERS)]]


def _is_block(geometry: Geometry) -> bool:
    """Whether all layers have the same grid."""
    first = geometry.layers[0]
    return all(
        (layer.axes, layer.slow, layer.fast) == (first.axes, first.slow, first.fast) for layer in geometry.layers
    )


def view(geometry: Geometry, cells: Floats, name: str) -> tuple[Floats, Floats, Floats]:
    """(horizontal edges, vertical edges, image) of cell values (n_cells,), as `draw` wants them."""
    if name in [layer.name for layer in geometry.layers]:
        layer = geometry.layers[geometry.index(name)]
        vertical, horizontal = (_edges(geometry, layer, axis) for axis in (0, 1))
        return horizontal, vertical, cells[geometry.cells(name)].reshape(layer.shape)
    layer = geometry.layers[0]
    block = cells.reshape(len(geometry.layers), *layer.shape)
    vertical, horizontal = (_edges(geometry, layer, axis) for axis in (0, 1))
    depth = np.arange(len(geometry.layers) + 1, dtype=np.float64) + 0.5
    if name == "front":
        return horizontal, vertical, block.sum(axis=0)
    return (depth, vertical, block.sum(axis=2).T) if name == "side" else (depth, horizontal, block.sum(axis=1).T)


def view_labels(geometry: Geometry, name: str) -> tuple[str, str]:
    """Labels of the horizontal and the vertical axis of a view."""
    names = [layer.name for layer in geometry.layers]
    layer = geometry.layers[names.index(name) if name in names else 0]
    vertical, horizontal = (_axis_label(axis) for axis in AXIS_NAMES[layer.axes])
    return {"side": ("Layer", vertical), "top": ("Layer", horizontal)}.get(name, (horizontal, vertical))


def _edges(geometry: Geometry, layer: Layer, axis: int) -> Floats:
    edges = np.asarray((layer.slow, layer.fast)[axis])
    name = AXIS_NAMES[layer.axes][axis]
    if name == "eta":
        return edges - (geometry.eta or 0.0)
    if name == "alpha":
        return np.asarray(np.degrees(edges))
    return edges * scale_and_unit("rad" if name == "phi" else "mm")[0]


def _axis_label(axis: str) -> str:
    symbol, unit = COORDINATES.get(axis, ("α", "°"))
    unit = scale_and_unit(unit)[1]
    return "η − η₀" if axis == "eta" else f"{symbol} [{unit}]"


def draw(axes: Axes, geometry: Geometry, cells: Floats, name: str, norm: Normalize, colormap: str = COLORMAP) -> None:
    """One view of cell values."""
    horizontal, vertical, image = view(geometry, cells, name)
    masked = np.ma.masked_where(~(image > 0), image) if isinstance(norm, LogNorm) else image
    axes.set_facecolor("#0b0a1c" if isinstance(norm, LogNorm) else "#f4f5f7")
    axes.pcolormesh(horizontal, vertical, masked, norm=norm, cmap=colormap, rasterized=True)
    axes.tick_params(which="both", length=2, labelsize=7.5)
    axes.minorticks_off()


def log_norm(*values: Floats) -> LogNorm:
    """A logarithmic colour scale that ends at the largest value and spans at most 3.5 decades."""
    everything = np.concatenate([np.ravel(each) for each in values])
    positive = everything[everything > 0]
    high = float(positive.max()) if len(positive) else 1.0
    low = float(positive.min()) if len(positive) else 0.1
    return LogNorm(max(low, high / 10**DECADES), high if high > low else 10 * high, clip=True)


def images(report: Report) -> list[Picture]:
    """Mean and variance of every cell: Geant4, each sample, and the relative difference, on one scale each."""
    kinds = {"mean": ("Average shower", GeV, "Mean energy [GeV]"), "variance": ("Variance", GeV**2, "Variance [GeV²]")}
    pictures = []
    for kind, (title, unit, label) in kinds.items():
        cells = {name: np.asarray(each[kind], float) / unit for name, each in report.figures["images"].items()}
        caption = (
            f"{label.split(' [')[0]} of each cell on one logarithmic colour scale, and (sample − Geant4) / Geant4 on "
            f"another, cut at ±{DIFFERENCE:.0%}; white: equal."
        )
        figure = _image_grid(report, cells, label)
        pictures.append(Picture(f"image/{kind}", "Images", f"{title}, cell by cell", caption, figure))
        if views(report.geometry)[0] == "front" and report.geometry.layers[0].n_cells > 1:
            figure = _layer_grid(report, cells, label)
            caption = f"{label.split(' [')[0]} of each cell, layer by layer, all on one logarithmic colour scale."
            pictures.append(Picture(f"image/{kind}/layers", "Images", f"{title}, layer by layer", caption, figure))
    return pictures


def _layer_grid(report: Report, cells: dict[str, Floats], label: str) -> Figure:
    """Every layer of a block as a small picture: lines of `LINE` layers, in each line a row per sample."""
    geometry, names = report.geometry, [REFERENCE, *report.samples]
    layers = sorted(geometry.layers, key=lambda layer: layer.depth)
    lines = [layers[start : start + LINE] for start in range(0, len(layers), LINE)]
    figure = new_figure(1.5 + 1.15 * LINE, 0.4 + 1.25 * len(names) * len(lines))
    axes = figure.subplots(len(names) * len(lines), LINE, squeeze=False)
    norm = log_norm(*cells.values())
    for axis in axes.flat:
        axis.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
        axis.set_axis_off()
    for i, line in enumerate(lines):
        for j, name in enumerate(names):
            row = axes[i * len(names) + j]
            for axis, layer in zip(row, line, strict=False):
                axis.set_axis_on()
                draw(axis, geometry, cells[name], layer.name, norm)
                axis.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
                axis.set_title(layer.name if j == 0 else "", fontsize=8)
            row[0].set_ylabel(name, fontsize=8)
    figure.colorbar(ScalarMappable(norm, COLORMAP), ax=axes, label=label, fraction=0.025, pad=0.01, aspect=40)
    return figure


def _image_grid(report: Report, cells: dict[str, Floats], label: str) -> Figure:
    geometry, names = report.geometry, views(report.geometry)
    columns = [REFERENCE, *report.samples, *(f"{name} / Geant4 − 1" for name in report.samples)]
    figure = new_figure(1.3 + 2.15 * len(columns), 0.7 + 1.75 * len(names))
    axes = figure.subplots(len(names), len(columns), squeeze=False)
    shown = {name: [view(geometry, each, which)[2] for which in names] for name, each in cells.items()}
    norm, difference = (
        log_norm(*(image for each in shown.values() for image in each)),
        Normalize(-DIFFERENCE, DIFFERENCE),
    )
    for row, which in enumerate(names):
        for column, name in enumerate((REFERENCE, *report.samples)):
            draw(axes[row, column], geometry, cells[name], which, norm)
            if column:
                _draw_difference(axes[row, len(report.samples) + column], geometry, cells, name, which, difference)
        _label_row(axes[row], geometry, which, row == len(names) - 1)
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=9.5)
    split = len(report.samples) + 1
    figure.colorbar(ScalarMappable(norm, COLORMAP), ax=axes[:, :split], label=label, fraction=0.04, pad=0.01, aspect=30)
    figure.colorbar(
        ScalarMappable(difference, DIVERGING),
        ax=axes[:, split:],
        label="Relative difference",
        extend="both",
        fraction=0.08 / len(report.samples),
        pad=0.01,
        aspect=30,
    )
    return figure


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


def dense(geometry: Geometry, shower: Mapping[str, Any]) -> Floats:
    """All cell energies of a stored shower in GeV, shape (n_cells,)."""
    cells = np.zeros(geometry.n_cells)
    cells[np.asarray(shower["cells"], int)] = np.asarray(shower["energies"], float) / GeV
    return cells


def gallery(report: Report) -> list[Picture]:
    """Single showers: Geant4 above, generated ones of the same energy below."""
    pictures = []
    for i, entry in enumerate(report.figures["gallery"]):
        showers = {name: entry["showers"][name] for name in (REFERENCE, *report.samples)}
        labels = [f"{name}\n{shower['incident'] / GeV:.3g} GeV" for name, shower in showers.items()]
        figure = _shower_rows(report.geometry, list(showers.values()), labels)
        title = f"Single showers at about {entry['energy'] / GeV:.3g} GeV"
        caption = "One Geant4 shower, and the generated shower nearest to it in incident energy; one colour scale."
        pictures.append(Picture(f"gallery/{i}", "Gallery", title, caption, figure))
    return pictures


def _shower_rows(geometry: Geometry, showers: list[Mapping[str, Any]], labels: list[str]) -> Figure:
    names = views(geometry)
    figure = new_figure(1.2 + 2.3 * len(names), 0.5 + 1.6 * len(showers))
    axes = figure.subplots(len(showers), len(names), squeeze=False)
    cells = [dense(geometry, shower) for shower in showers]
    norm = log_norm(*(view(geometry, each, name)[2] for each in cells for name in names))
    for row, each in enumerate(cells):
        for column, name in enumerate(names):
            draw(axes[row, column], geometry, each, name, norm)
            axes[row, column].tick_params(
                labelleft=column == 0 or names[0] == "front", labelbottom=row == len(cells) - 1
            )
        axes[row, 0].set_ylabel(labels[row], fontsize=9)
    for axis, name in zip(axes[-1], names, strict=True):
        axis.set_xlabel(view_labels(geometry, name)[0], fontsize=8.5)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, fontsize=9.5)
    figure.colorbar(ScalarMappable(norm, COLORMAP), ax=axes, label="Energy [GeV]", fraction=0.025, pad=0.01, aspect=30)
    return figure


def neighbours(report: Report) -> list[Picture]:
    """Showers beside their nearest neighbours: generated in the training set, and Geant4 among generated."""
    data = report.figures["neighbours"]
    kinds = {
        "training_pairs": ("{} shower", "nearest training shower"),
        "generated_pairs": ("Geant4 shower", "nearest {}"),
    }
    pictures = []
    for kind, (first, second) in kinds.items():
        for name, pairs in data.get(kind, {}).items():
            title = f"{first.format(name)} and its {second.format(name)}"
            pictures.append(_pair_picture(report.geometry, pairs, f"neighbours/{kind}/{name}", title))
    return pictures


def _pair_picture(geometry: Geometry, pairs: list[dict[str, Any]], name: str, title: str) -> Picture:
    names = views(geometry)[:4]
    figure = new_figure(0.9 + 1.55 * 2 * len(names), 0.6 + 1.5 * len(pairs))
    axes = figure.subplots(len(pairs), 2 * len(names), squeeze=False)
    for row, pair in enumerate(pairs):
        both = [dense(geometry, pair[key]) / pair[key]["incident"] * GeV for key in ("shower", "neighbour")]
        norm = log_norm(*(view(geometry, each, which)[2] for each in both for which in names))
        for column, which in enumerate(names):
            for side, each in enumerate(both):
                axis = axes[row, column + side * len(names)]
                draw(axis, geometry, each, which, norm)
                axis.tick_params(labelleft=False, labelbottom=False, length=0)
                axis.set_title(which if row == 0 else "", fontsize=9)
        axes[row, 0].set_ylabel(f"d = {pair['distance']:.3g}", fontsize=9)
        axes[row, len(names)].set_ylabel("neighbour", fontsize=9)
    caption = (
        "Left half: showers from the closest to the farthest from their neighbour; right half: that neighbour. Cell "
        "energy over incident energy, one colour scale a row; d is the Euclidean distance of these."
    )
    return Picture(name, "Neighbours", title, caption, figure)
