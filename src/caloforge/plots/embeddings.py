"""Principal components, t-SNE, and the structural similarity of pairs: is the variety of Geant4's showers there?"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.figures import REFERENCE
from caloforge.plots.style import DARK, PALE, Picture, colors, grid, new_figure
from caloforge.report import Report
from caloforge.units import GeV

COLUMNS = 4
SIZE = 3.1
LOW = 0.2  # of the highest energy: if half of the showers are below, colours are logarithmic


def principal_components(report: Report) -> list[Picture]:
    """Each sample on the first two principal components of Geant4's, coloured by incident energy."""
    data = report.figures["principal_components"]
    figure, axes = _squares(1 + len(report.samples))
    scores = {name: np.asarray(each["scores"], float) for name, each in data["samples"].items()}
    energy = {name: np.asarray(each["energy"], float) / GeV for name, each in data["samples"].items()}
    low, high = min(each.min() for each in energy.values()), max(each.max() for each in energy.values())
    norm = LogNorm(low, high) if float(np.median(energy[REFERENCE])) < LOW * high else Normalize(low, high)
    shares = np.asarray(data["explained"], float)
    for axis, name in zip(axes, (REFERENCE, *report.samples), strict=True):
        _scatter(axis, scores[name] / GeV, c=energy[name], norm=norm, cmap="viridis")
        spread = data["samples"][name]["spread"]
        head = f"\nspread {spread[0]:.2f}, {spread[1]:.2f} of Geant4's" if name != REFERENCE else "\nfitted to these"
        axis.set_title(name + head, fontsize=9.5)
        axis.set_xlabel(f"PC 1 ({shares[0]:.0%}) [GeV]", fontsize=9)
        axis.set_ylabel(f"PC 2 ({shares[1]:.0%}) [GeV]", fontsize=9)
    _same_range(axes, np.concatenate(list(scores.values())) / GeV)
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, label="Incident energy [GeV]", fraction=0.03, pad=0.01)
    caption = (
        f"Principal components fitted to Geant4's cell energies, and their share of the variance; every sample, at "
        f"most {max(map(len, scores.values()))} showers of each, on the first two."
    )
    return [Picture("pca", "Variability", "Principal components", caption, figure)]


def tsne(report: Report) -> list[Picture]:
    """One t-SNE of all samples, and each of them in it, with the numbers that say how far they are apart."""
    data = report.figures["tsne"]
    if data is None:
        return []
    figure, axes = _squares(2 + len(report.samples))
    places = {name: np.asarray(each, float) for name, each in data["places"].items()}
    everything = np.concatenate(list(places.values()))
    order = np.random.default_rng(0).permutation(len(everything))
    tints = np.concatenate([[color] * len(places[name]) for name, color in colors(report.samples).items()])
    _scatter(axes[0], everything[order], c=tints[order])
    together = data["components"]
    axes[0].set_title("All" + (f"; samples among each other:\n{_apart(together)}" if together else ""), fontsize=9.5)
    for axis, (name, color) in zip(axes[1:], colors(report.samples).items(), strict=True):
        _scatter(axis, everything, c=PALE)
        _scatter(axis, places[name], c=color)
        axis.set_title(name + (f"\n{_apart(data['apart'][name])}" if name != REFERENCE else ""), fontsize=9.5)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.minorticks_off()
    _same_range(axes, everything)
    caption = (
        f"t-SNE of {len(places[REFERENCE])} showers of each input together (logarithms of the cells, 50 principal "
        "components, perplexity 30), and each input in it. A t-SNE keeps neighbourhoods only, and islands in it may be "
        "none; the numbers are of the components. Purity: share of the 5 nearest neighbours that are of the same input "
        "(in brackets: by chance); AUC: of a random forest. They compare a sample with Geant4, or the samples with "
        "each other."
    )
    return [Picture("tsne", "Variability", "t-SNE", caption, figure)]


def _apart(numbers: dict[str, float]) -> str:
    return f"purity {numbers['purity']:.2f} ({numbers['chance']:.2f}), AUC {numbers['auc']:.2f}"


def structural_similarity(report: Report) -> list[Picture]:
    """SSIM of pairs against the data range."""
    data = report.figures["structural_similarity"]
    if data is None:
        return []
    figure = new_figure(6.2, 4.0)
    axes = figure.subplots()
    for name, color in colors(report.samples).items():
        for kind, line, label in (("within", "-", f"{name}–{name}"), ("across", "--", f"{REFERENCE}–{name}")):
            if name in data[kind]:
                value, error = (np.asarray(data[kind][name][key], float) for key in ("value", "error"))
                axes.errorbar(data["ranges"], value, error, color=color, linestyle=line, linewidth=1.3, label=label)
    axes.axvline(data["chosen"], color=DARK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlabel("Data range L [incident energy]")
    axes.set_ylabel("Mean SSIM of pairs")
    axes.legend(fontsize=8)
    grid(axes)
    caption = (
        "Structural similarity of pairs of showers that are neighbours in incident energy, layer by layer, Gaussian "
        "window of 1.5 cells, against the data range L; dotted: that of the metrics. A large L sees the hottest cells "
        "only, a small one every fluctuation. Pairs that are more alike than Geant4's are a sign of mode collapse."
    )
    return [Picture("ssim", "Variability", "Structural similarity", caption, figure, wide=False)]


def _squares(n: int) -> tuple[Figure, list[Axes]]:
    """A figure of n square panels in rows of four."""
    columns = min(n, COLUMNS)
    rows = -(-n // columns)
    figure = new_figure(SIZE * columns + 0.6, (SIZE + 0.2) * rows)
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in every[n:]:
        axis.set_axis_off()
    return figure, every[:n]


def _scatter(axis: Axes, places: NDArray[np.float64], **tint: Any) -> None:
    """A dot at each place (N, 2)."""
    axis.scatter(places[:, 0], places[:, 1], s=5, linewidths=0, rasterized=True, **tint)


def _same_range(axes: list[Axes], places: NDArray[np.float64]) -> None:
    """The same range in all panels: that of all places (N, 2) and a margin."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-9)
    for axis in axes:
        axis.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axis.set_ylim(low[1] - margin[1], high[1] + margin[1])
