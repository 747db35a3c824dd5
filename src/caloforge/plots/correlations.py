"""Correlation matrices of cells and of observables: Geant4, samples, and differences."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.figures import REFERENCE
from caloforge.plots.style import DARK, Picture, new_figure
from caloforge.report import Report, number

DIFFERENCE = 0.3
FEW_LAYERS = 6
MOST_NAMES = 48


def correlations(report: Report) -> list[Picture]:
    """Correlation matrices of the cells and of the observables, and their differences from Geant4's."""
    return [_cells(report), _observables(report)]


def _cells(report: Report) -> Picture:
    data = report.figures["cell_correlations"]
    cells = np.asarray(data["cells"], int)
    shown = " of all cells" if len(cells) == report.geometry.n_cells else f" of {len(cells)} evenly numbered cells"
    rows = {row["sample"]: row for row in report.rows("correlation_mse")}
    squares = {name: f"mean square {number(row['value'], row['error'])}" for name, row in rows.items()}
    figure, first, every = matrices(report, data["matrices"], 3.4, squares)
    layers = report.geometry.layers
    if len(layers) <= FEW_LAYERS:
        borders = np.searchsorted(cells, report.geometry.offsets)
        for axis in every:
            for border in borders[1:-1]:
                axis.axhline(border - 0.5, color=DARK, linewidth=0.5)
                axis.axvline(border - 0.5, color=DARK, linewidth=0.5)
        for axis in first:
            name_rows(axis, (borders[1:] + borders[:-1]) / 2 - 0.5, [layer.name for layer in layers], 8)
    floors = [number(row["floor"], row["floor_error"]) for row in rows.values()][:1]
    caption = (
        f"Pearson coefficients of the energies{shown}, in the flat cell order; lines part layers, and cells that never "
        "vary have 0."
        + "".join(f" The mean square of the differences between Geant4 samples is {floor} (floor)." for floor in floors)
    )
    return Picture("correlation/cells", "Correlations", "Correlations of cells", caption, figure)


def _observables(report: Report) -> Picture:
    data = report.figures["observable_correlations"]
    names = list(data["observables"])
    figure, first, _ = matrices(report, data["matrices"], 4.2, {})
    caption = "Pearson coefficients of the observables, over the showers in which both are defined."
    if len(names) <= MOST_NAMES:
        for axis in first:
            name_rows(axis, np.arange(len(names), dtype=float), names, 6)
    else:
        caption += f" In this order: {', '.join(names)}."
    return Picture("correlation/observables", "Correlations", "Correlations of observables", caption, figure)


def name_rows(axis: Axes, places: NDArray[np.float64], names: list[str], size: float) -> None:
    """Names at the left; those of the lower row reach into the empty place beside it."""
    axis.set_yticks(places, names, fontsize=size)
    axis.tick_params(length=0, pad=2)
    if axis.get_subplotspec().rowspan.start:  # type: ignore[union-attr]
        for label in axis.get_yticklabels():
            label.set_in_layout(False)


def matrices(
    report: Report, each_matrix: dict[str, Any], size: float, squares: dict[str, str]
) -> tuple[Figure, list[Axes], list[Axes]]:
    """(figure, leftmost matrices, all matrices); of one sample in one row, of several with differences below."""
    samples = list(report.samples)
    columns, rows = (3, 1) if len(samples) == 1 else (len(samples) + 1, 2)
    figure = new_figure((size + 0.15) * columns + 1.4, (size + 0.35) * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    upper, lower = (axes[0, :2], axes[0, 2:]) if rows == 1 else (axes[0], axes[1, 1:])
    arrays = {name: np.asarray(each, float) for name, each in each_matrix.items()}
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.minorticks_off()
    for axis, name in zip(upper, (REFERENCE, *samples), strict=True):
        image = axis.imshow(arrays[name], norm=Normalize(-1, 1), cmap="RdBu_r", interpolation="nearest")
        axis.set_title(name)
    narrow = Normalize(-DIFFERENCE, DIFFERENCE)
    for axis, name in zip(lower, samples, strict=True):
        change = axis.imshow(arrays[name] - arrays[REFERENCE], norm=narrow, cmap="PuOr_r", interpolation="nearest")
        axis.set_title("\n".join([f"{name} − Geant4", *filter(None, [squares.get(name)])]), fontsize=10)
    if rows == 2:
        axes[1, 0].set_axis_off()
    figure.colorbar(image, ax=upper, label="r", shrink=0.9, fraction=0.03, pad=0.01)
    figure.colorbar(change, ax=lower, label="Difference of r", shrink=0.9, fraction=0.03, pad=0.01, extend="both")
    first = [upper[0]] if rows == 1 else [upper[0], lower[0]]
    return figure, first, [*upper, *lower]
