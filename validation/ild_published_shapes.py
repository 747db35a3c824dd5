"""Our `ild_ecal_photons` over the published shapes of 100 000 Geant4 photons in the full ILD detector.

python validation/ild_published_shapes.py Geant_4.npz [--figure ild_published_shapes.png]

The file is `Geant_4.npz` of the reference histograms of CaloClouds 3 (github.com/FLC-QU-hep/CaloClouds-3, Apache-2.0;
arXiv 2511.01460): photons of 10 to 90 GeV into the silicon-tungsten calorimeter of ILD. It holds no bin edges; those of
radius (32 bins of 15.6 mm) and layers are of the code that wrote it. Sums over layers and radii are in GeV. The
energies of single deposits are in 100 logarithmic bins from 0.001 to 1000 MeV: with these, and not with the 100 MeV of
another version of that code, they add up to the energy of the layers (to 0.1 %), which is checked here.

What can be compared, and what cannot. *Layers*: directly. *Radius*: the published one is that of deposits finer than a
cell, ours that of cell centres, inside a window of 75 mm; so both are cut near there, and the first bin (three cells)
says most. *Single deposits*: they are clusters of Geant4 steps, finer than cells, so only the position of the MIP peak
means the same, in 0.525 mm of silicon there and 0.5 mm here. *Visible energy*: the mean, over that of the incident
energy, which is taken for 50 GeV there.

Ours must differ: flat planes without boards, carbon fibre, glue, cables and the detectors before, no magnetic field, no
staggering. `docs/reference/detectors.md` quotes the numbers and says what is explained.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

import caloforge
from caloforge.errors import InputError
from caloforge.files import ShowerFile
from caloforge.metrics.mip import EDGES, block_spectra, peak
from caloforge.metrics.sample import BLOCKS
from caloforge.plots.style import COLORS, STYLE
from caloforge.showers import Showers
from caloforge.units import GeV

RADII = np.linspace(0, 500, 33)  # mm
WINDOW = 75.0  # mm
DEPOSITS = np.logspace(-3, 3, 101)  # MeV
HIGHEST = 90 * GeV
MEAN_ENERGY = 50 * GeV
CLOSURE = 0.01
SHOWN = np.logspace(-2, 1, 31)  # MeV
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shapes:
    """Averages over showers: shares of the layers (30,) and rings (bins,), visible over incident energy, MIP in MeV."""

    layers: Floats
    radial: Floats
    response: float
    mip: float
    edges: Floats  # of the spectrum of single deposits, in MeV
    deposits: Floats  # a shower and MeV


def published(path: Path) -> Shapes:
    """The shapes in a published file of histograms."""
    try:
        with np.load(path, allow_pickle=False) as file:
            radial, layers, deposits = (np.asarray(file[f"counts_{i}"], float) for i in (1, 3, 4))
            showers = float(file["counts_5"].sum())
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a file of published histograms such as Geant_4.npz ({error}).") from error
    if (len(radial), len(layers), len(deposits)) != (32, 30, 100) or not showers > 0:
        raise InputError(f"{path} has other histograms than Geant_4.npz: expected 32 radii, 30 layers, 100 energies.")
    center = np.sqrt(DEPOSITS[1:] * DEPOSITS[:-1])
    sums = np.array([radial.sum() * GeV, layers.sum() * GeV, deposits @ center]) / showers
    if not np.allclose(sums, sums[1], rtol=CLOSURE):
        raise InputError(f"the energies of radii, layers and deposits of {path} do not agree: {sums} MeV a shower.")
    inside = radial[np.flatnonzero(RADII[1:] <= WINDOW + 5)]
    response = float(sums[1] / MEAN_ENERGY)
    position = peak(rebinned(deposits))
    return Shapes(
        layers / layers.sum(),
        inside / inside.sum(),
        response,
        position,
        DEPOSITS,
        deposits / showers / np.diff(DEPOSITS),
    )


def rebinned(counts: Floats) -> Floats:
    """Counts in `DEPOSITS` as counts in the bins of the MIP peak, of equal density within each bin's logarithm."""
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    return np.diff(np.interp(np.log(EDGES), np.log(DEPOSITS), cumulative))


def ours(showers: Showers) -> Shapes:
    """The same of our showers up to 90 GeV."""
    chosen = showers[np.flatnonzero(showers.incident <= HIGHEST)]
    geometry, energies = chosen.geometry, chosen.energies
    cells = energies.sum(axis=0, dtype=np.float64)
    layers = cells.reshape(len(geometry.layers), -1).sum(axis=1)
    distance = np.hypot(*geometry.centers[:, :2].T)
    radial = np.histogram(distance, RADII[RADII <= WINDOW + 5], weights=cells)[0]
    response = float(cells.sum() / chosen.incident.sum())
    counts = np.histogram(energies[energies > 0], SHOWN)[0] / len(chosen) / np.diff(SHOWN)
    position = peak(block_spectra(energies).sum(axis=0))
    return Shapes(layers / layers.sum(), radial / radial.sum(), response, position, SHOWN, counts)


def numbers(shapes: Shapes) -> dict[str, float]:
    """What is printed of the shapes, by name."""
    thirds = [float(part.sum()) for part in np.array_split(shapes.layers, 3)]
    return {
        "mean layer (from 0)": float(shapes.layers @ np.arange(len(shapes.layers))),
        "share of the first ten layers": thirds[0],
        "share of the middle ten layers": thirds[1],
        "share of the last ten layers": thirds[2],
        "share within 15.6 mm, of that within 78 mm": float(shapes.radial[0]),
        "visible energy over incident energy": shapes.response,
        "MIP peak [MeV]": shapes.mip,
    }


def table(theirs: Shapes, showers: Showers) -> str:
    """The numbers side by side as a Markdown table, ours with jackknife errors over blocks of showers."""
    block = np.arange(len(showers)) % BLOCKS
    parts = [numbers(ours(showers[np.flatnonzero(block != each)])) for each in range(BLOCKS)]
    lines = ["| | published ILD | `ild_ecal_photons` |", "|---|---|---|"]
    here = numbers(ours(showers))
    for name, value in numbers(theirs).items():
        error = np.sqrt((BLOCKS - 1) * np.var([part[name] for part in parts]))
        lines.append(f"| {name} | {value:.4g} | {here[name]:.4g} ± {error:.1g} |")
    return "\n".join(lines)


def draw(theirs: Shapes, here: Shapes, path: Path) -> None:
    """Layers, radius and single deposits over each other."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, 3, figsize=(13, 4))
        for shapes, color, name in ((theirs, COLORS[1], "published ILD"), (here, COLORS[0], "ild_ecal_photons")):
            axes[0].stairs(shapes.layers, np.arange(31) - 0.5, color=color, label=name)
            axes[1].stairs(shapes.radial, RADII[: len(shapes.radial) + 1], color=color, label=name)
            axes[2].stairs(shapes.deposits, shapes.edges, color=color, label=name)
        axes[0].set(xlabel="Layer", ylabel="Share of the energy")
        axes[1].set(xlabel="Distance from the axis [mm]", ylabel="Share of the energy", yscale="log")
        axes[2].set(xlabel="Energy of a deposit or cell [MeV]", ylabel="Number a shower and MeV")
        axes[2].set(xscale="log", yscale="log", xlim=(SHOWN[0], SHOWN[-1]), ylim=(0.3, 3e4))
        axes[0].legend()
        figure.tight_layout()
        figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("published", type=Path, help="Geant_4.npz of CaloClouds 3")
    parser.add_argument("--figure", type=Path, default=Path("ild_published_shapes.png"))
    given = parser.parse_args()
    theirs = published(given.published)
    with ShowerFile(Path(caloforge.__file__).parent / "datasets" / "ild_ecal_photons.h5") as file:
        showers = file[:]
    print(table(theirs, showers))
    here = ours(showers)
    ratio = here.layers / theirs.layers
    print("ours / published, layer by layer:", " ".join(f"{each:.2f}" for each in ratio))
    draw(theirs, here, given.figure)


if __name__ == "__main__":
    main()
