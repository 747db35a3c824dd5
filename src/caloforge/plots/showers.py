"""Single showers, and showers beside their nearest neighbours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from caloforge.figures import REFERENCE
from caloforge.geometry import Geometry
from caloforge.plots.style import GREY, Picture, colors, grid, new_figure
from caloforge.plots.views import COLORMAP, Floats, dense, draw, log_norm, view, view_labels, views
from caloforge.report import Report
from caloforge.units import GeV


def gallery(report: Report) -> list[Picture]:
    """Single showers: Geant4 above, generated ones of the same energy below."""
    pictures = []
    for i, entry in enumerate(report.figures["gallery"]):
        showers = {name: entry["showers"][name] for name in (REFERENCE, *report.samples)}
        labels = [f"{name}\n{shower['incident'] / GeV:.3g} GeV" for name, shower in showers.items()]
        figure = _rows(report.geometry, list(showers.values()), labels)
        title = f"Single showers at about {entry['energy'] / GeV:.3g} GeV"
        caption = "One Geant4 shower, and the generated shower nearest to it in incident energy; one colour scale."
        pictures.append(Picture(f"gallery/{i}", "Gallery", title, caption, figure))
    return pictures


def _rows(geometry: Geometry, showers: list[Mapping[str, Any]], labels: list[str]) -> Figure:
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
    """A Geant4 shower beside its nearest generated ones, and generated showers beside the training set's nearest."""
    data = report.figures["neighbours"]
    pictures = [_nearest(report.geometry, name, entry) for name, entry in data["generated_nearest"].items()]
    return pictures + [_pairs(report.geometry, name, pairs) for name, pairs in data.get("training_pairs", {}).items()]


def _nearest(geometry: Geometry, name: str, entry: Mapping[str, Any]) -> Picture:
    """The layers down; across, a shower and its neighbours."""
    names = views(geometry)
    showers = [entry["shower"], *(each["shower"] for each in entry["neighbours"])]
    titles = [f"Geant4, {_energy(entry['shower'])}"] + [
        f"{_energy(each['shower'])}, d = {each['distance']:.2g}" for each in entry["neighbours"]
    ]
    figure = new_figure(1.6 + 1.75 * len(showers), 0.6 + 1.45 * len(names))
    axes = figure.subplots(len(names), len(showers), squeeze=False)
    shares = [_share(geometry, shower) for shower in showers]
    norm = log_norm(*(view(geometry, each, which)[2] for each in shares for which in names))
    for row, which in enumerate(names):
        for column, each in enumerate(shares):
            draw(axes[row, column], geometry, each, which, norm)
            axes[row, column].tick_params(labelleft=False, labelbottom=False, length=0)
        axes[row, 0].set_ylabel(which, fontsize=9.5)
        axes[row, 0].spines[:].set(color=colors(())[REFERENCE], linewidth=2.5)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9.5)
    bar = figure.colorbar(ScalarMappable(norm, COLORMAP), ax=axes, fraction=0.025, pad=0.01, aspect=35)
    bar.set_label("Cell energy / incident energy")
    caption = (
        f"Left, framed: a Geant4 shower of high energy, at the typical distance from the generated ones; then its "
        f"{len(showers) - 1} nearest of {name}, each with its incident energy and the Euclidean distance d of all cell "
        "energies over incident energy. Neighbours that are all alike would be a sign of mode collapse."
    )
    title = f"A Geant4 shower and its {len(showers) - 1} nearest neighbours of {name}"
    return Picture(f"neighbours/generated/{name}", "Neighbours", title, caption, figure)


def _pairs(geometry: Geometry, name: str, pairs: list[dict[str, Any]]) -> Picture:
    """A row for each generated shower; its layers left, those of the nearest training shower right."""
    names = views(geometry)[:4]
    figure = new_figure(0.9 + 1.55 * 2 * len(names), 0.6 + 1.5 * len(pairs))
    halves = figure.subfigures(1, 2, squeeze=False)[0]
    sides = [half.subplots(len(pairs), len(names), squeeze=False) for half in halves]
    for half, head in zip(halves, (name, "nearest training shower"), strict=True):
        half.suptitle(head, fontsize=10.5)
    for row, pair in enumerate(pairs):
        both = [_share(geometry, pair[key]) for key in ("shower", "neighbour")]
        norm = log_norm(*(view(geometry, each, which)[2] for each in both for which in names))
        for axes, each in zip(sides, both, strict=True):
            _row(axes[row], geometry, each, norm, names, row == 0)
        sides[0][row, 0].set_ylabel(f"{_energy(pair['shower'])}\nd = {pair['distance']:.2g}", fontsize=9)
        sides[1][row, 0].set_ylabel(_energy(pair["neighbour"]), fontsize=9)
    caption = (
        "Left: showers of the upper half of energies, from the closest to the farthest from their neighbour; right: "
        "that neighbour. Cell energy over incident energy, one colour scale a row; d is the Euclidean distance of "
        "these. A neighbour that equals the shower is a copy."
    )
    title = f"{name} showers and the nearest training showers"
    return Picture(f"neighbours/training/{name}", "Neighbours", title, caption, figure)


def _row(axes: Any, geometry: Geometry, cells: Floats, norm: Any, names: list[str], first: bool) -> None:
    axis: Axes
    for axis, which in zip(axes, names, strict=True):
        draw(axis, geometry, cells, which, norm)
        axis.tick_params(labelleft=False, labelbottom=False, length=0)
        axis.set_title(which if first else "", fontsize=9)


def _share(geometry: Geometry, shower: Mapping[str, Any]) -> Floats:
    """Cell energy over incident energy, shape (n_cells,)."""
    return dense(geometry, shower) / float(shower["incident"] / GeV)


def _energy(shower: Mapping[str, Any]) -> str:
    return f"{shower['incident'] / GeV:.3g} GeV"


def distances(report: Report) -> list[Picture]:
    """Distributions of the distance to the nearest neighbour."""
    data = report.figures["neighbours"]
    titles = {
        "generated": "Distance of a Geant4 shower to the nearest generated one",
        "training": "Distance to the nearest training shower",
    }
    kinds = [kind for kind in titles if kind in data]
    figure = new_figure(4.7 * len(kinds), 3.5)
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        for name, color in colors(report.samples).items():
            counts = np.asarray(data[kind]["counts"].get(name, []), float)
            if len(counts):
                filled: dict[str, Any] = (
                    {"fill": True, "color": GREY} if name == REFERENCE else {"color": color, "linewidth": 1.6}
                )
                axes.stairs(counts / counts.sum(), data[kind]["edges"], label=name, **filled)
        axes.set_title(titles[kind])
        axes.set_xlabel("Euclidean distance of E / E incident")
        axes.set_ylabel("Share of showers")
        axes.set_xlim(0, data[kind]["edges"][-1])
        axes.legend()
        grid(axes)
    rows = [report.rows(f"nearest/{kind}") for kind in kinds]
    caption = " ".join(f"{kind}: {found[0]['definition']}" for kind, found in zip(kinds, rows, strict=True) if found)
    caption = caption or "Euclidean distance of cell energies over incident energy."
    return [Picture("distance", "Neighbours", "Distances to the nearest neighbour", caption, figure)]
