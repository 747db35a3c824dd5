"""How figures look: mplhep's neutral `plothist` style, Geant4 in grey, samples in colour-blind-safe colours."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import matplotlib as mpl
import mplhep
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from caloforge.figures import REFERENCE
from caloforge.units import GeV

GREY, DARK, PALE = "#c6ccd6", "#4a5365", "#e9ecf1"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
STYLE: dict[str, Any] = {
    **mplhep.style.plothist,
    "font.family": ["Fira Sans", "DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "normal",
    "axes.labelsize": 10.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "mathtext.fontset": "custom",
    "mathtext.rm": "Fira Sans",
    "mathtext.cal": "Fira Sans",
    "mathtext.it": "Fira Sans",
    "mathtext.bf": "Fira Sans",
    "axes.edgecolor": DARK,
    "axes.labelcolor": "#1c2330",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "xtick.labelcolor": "#1c2330",
    "ytick.labelcolor": "#1c2330",
    "xtick.major.size": 4,
    "ytick.major.size": 4,
    "xtick.minor.size": 2,
    "ytick.minor.size": 2,
    "xtick.major.pad": 4,
    "ytick.major.pad": 4,
    "axes.labelpad": 4,
    "savefig.dpi": 140,
    "figure.dpi": 100,
}


@dataclass(frozen=True)
class Picture:
    """A figure with its place in the report, its title, what it shows and how that is defined.

    Pictures of one `group` stand together under its name.
    """

    name: str
    section: str
    title: str
    caption: str
    figure: Figure
    wide: bool = True
    group: str = ""

    def png(self) -> bytes:
        """The figure as PNG."""
        stream = io.BytesIO()
        with style():
            self.figure.savefig(stream, format="png", metadata={"Software": "caloforge"})
        return stream.getvalue()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the PNG in pixels."""
        width, height = self.figure.get_size_inches() * STYLE["savefig.dpi"]
        return int(width), int(height)


@contextmanager
def style() -> Iterator[None]:
    """The project's style, for as long as the block lasts."""
    with mpl.rc_context(cast(Any, STYLE)):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, outside pyplot, so that it is freed with its last reference."""
    return Figure(figsize=(width, height), layout="constrained")


def panels(
    n: int, columns: int, width: float, height: float, parts: tuple[int, ...] = (3, 1)
) -> tuple[Figure, list[tuple[Axes, ...]]]:
    """A figure of n panels of a size in inches, in rows of some columns; each is (panel, ratio panel below it).

    `parts` are the relative heights of what stands above one another, with one horizontal axis.
    """
    rows, columns = -(-n // columns), min(n, columns)
    figure = new_figure(width * columns, height * rows)
    axes = figure.subplots(len(parts) * rows, columns, height_ratios=parts * rows, squeeze=False)
    stacks = axes.reshape(rows, len(parts), columns).swapaxes(1, 2).reshape(-1, len(parts))
    for *upper, lowest in stacks[:n]:
        for axis in upper:
            axis.sharex(lowest)
            axis.tick_params(which="both", labelbottom=False)
    for axis in stacks[n:].flat:
        axis.set_axis_off()
    return figure, [tuple(stack) for stack in stacks[:n]]


def colors(samples: list[str] | tuple[str, ...]) -> dict[str, str]:
    """The colour of each sample; Geant4 is dark grey."""
    return {REFERENCE: DARK} | {name: COLORS[i % len(COLORS)] for i, name in enumerate(samples)}


def scale_and_unit(unit: str) -> tuple[float, str]:
    """Factor and unit in which a quantity is shown: energies in GeV, angles in mrad."""
    return {"MeV": (1 / GeV, "GeV"), "rad": (1e3, "mrad")}.get(unit, (1.0, unit))


def axis_label(label: str, unit: str) -> str:
    """``quantity [unit]``."""
    shown = scale_and_unit(unit)[1]
    return f"{label} [{shown}]" if shown else label


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers at 1, 2, 5, 10, … if a logarithmic axis spans little, else at powers of ten; no others."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 400 * low else (1,)))
    if high < 1e4 * low:
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def grid(axes: Axes) -> None:
    """A faint horizontal grid."""
    axes.grid(axis="y", color=PALE, linewidth=0.8)
