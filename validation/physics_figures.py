"""Draw physics.json: one page of figures, and the table of the detector page as Markdown on standard output.

python validation/physics_figures.py [--input validation/physics.json] [--output docs/images/physics.png]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from caloforge.plots.style import COLORS, STYLE

NAMES = {
    "testem3": "TestEm3 (Pb, argon)",
    "clic_ecal": "CLIC (W, Si)",
    "clic_ecal_full": "CLIC, all slices",
    "ild_ecal": "ILD (W, Si)",
    "par04_ds2": "Par04 (W, Si)",
    "calogan": "CaloGAN (Pb, argon)",
    "atlas_lar": "ATLAS-like (Pb, argon)",
}
SHADES = dict(zip(NAMES, (*COLORS, "#4a5365"), strict=True))
Results = dict[str, Any]


def energies(stack: Results) -> np.ndarray:
    """Incident energies in GeV."""
    return np.array([float(energy) for energy in stack["energies"]])


def values(stack: Results, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A measurement and its error against the energy."""
    value, error = np.array([each[name] for each in stack["energies"].values()]).T
    return value, error


def textbook(stack: Results) -> np.ndarray:
    """Depth of the maximum in X0, ln(E / Ec) − 0.5 (Particle Data Group)."""
    return np.asarray(np.log(energies(stack) * 1e3 / stack["critical_MeV"]) - 0.5)


def linearity(axes: Axes, found: Results) -> None:
    for name, stack in found.items():
        value, error = values(stack, "weighted_over_deposited")
        at = value[list(stack["energies"]).index("10")]
        axes.errorbar(energies(stack), 100 * (value / at - 1), 100 * error / at, color=SHADES[name], label=NAMES[name])
    axes.axhspan(-1, 1, color="#e9ecf1", zorder=0)
    axes.set(xscale="log", xlabel="Energy [GeV]", ylabel="Response, relative to 10 GeV [%]", ylim=(-3, 3))
    axes.set_title("Linearity, leakage corrected")


def resolution(axes: Axes, found: Results) -> None:
    grid = np.geomspace(1, 100, 50)
    for name, stack in found.items():
        value, error = values(stack, "resolution")
        a, b = stack["resolution_fit"]["a"][0], stack["resolution_fit"]["b"][0]
        axes.errorbar(energies(stack), 100 * value, 100 * error, fmt="o", ms=3, color=SHADES[name])
        axes.plot(grid, 100 * np.hypot(a / np.sqrt(grid), b), lw=1, color=SHADES[name])
    axes.set(xscale="log", yscale="log", xlabel="Energy [GeV]", ylabel="σ / E [%]")
    axes.set_title(r"Resolution and fit $a/\sqrt{E} \oplus b$")


def shower_maximum(axes: Axes, found: Results) -> None:
    for name, stack in found.items():
        value, error = values(stack, "deposited_maximum_x0")
        axes.errorbar(energies(stack), value - textbook(stack), error, fmt="o-", ms=3, lw=1, color=SHADES[name])
    axes.axhspan(-0.3, 0.3, color="#e9ecf1", zorder=0)
    axes.set(
        xscale="log", xlabel="Energy [GeV]", ylabel=r"$t_\mathrm{max} - (\ln E/E_c - 0.5)$ [X$_0$]", ylim=(-1.2, 1.2)
    )
    axes.set_title("Shower maximum against the textbook")


def containment(axes: Axes, found: Results) -> None:
    for name, stack in found.items():
        part = stack["containment"]
        axes.plot(part["radius_moliere"], 100 * np.array(part["inside"]), color=SHADES[name])
    axes.axhline(90, color="#4a5365", lw=0.6, ls=":")
    axes.axvline(1, color="#4a5365", lw=0.6, ls=":")
    axes.set(xlabel="Radius [Molière radii]", ylabel="Visible energy inside [%]", xlim=(0, 5), ylim=(40, 100))
    axes.set_title("Containment, 10 GeV")


def profile(axes: Axes, found: Results) -> None:
    for name in ("clic_ecal", "ild_ecal", "par04_ds2"):
        stack = found[name]
        for energy, style in (("10", "-"), ("100", "--")):
            part, depth = stack["energies"][energy], np.array(stack["profile_depth_x0"])
            scale = np.array(part["profile"]).max()
            axes.errorbar(
                depth,
                np.array(part["profile"]) / scale,
                np.array(part["profile_error"]) / scale,
                fmt="o" if energy == "10" else "s",
                ms=2.5,
                lw=0.8,
                color=SHADES[name],
                label=f"{NAMES[name]}, {energy} GeV",
            )
            published = np.array(part["published"])
            axes.plot(depth, published / published.max(), style, lw=1, color=SHADES[name])
    axes.set(xlabel="Depth [X$_0$]", ylabel="Energy per layer, relative to its maximum", ylim=(0, 1.1))
    axes.legend(fontsize=7)
    axes.set_title("Profiles; lines: Grindhammer and Peters")


def cuts(axes: Axes, found: Results) -> None:
    for name, stack in found.items():
        if stack["cuts"]:
            cut = np.array([float(each) for each in stack["cuts"]])
            value, error = np.array(list(stack["cuts"].values())).T
            at = value[np.flatnonzero(cut == 0.7)[0]]
            axes.errorbar(cut, 100 * (value / at - 1), 100 * error / at, fmt="o-", ms=3, lw=1, color=SHADES[name])
    axes.axvline(0.7, color="#4a5365", lw=0.6, ls=":")
    axes.set(xscale="log", xlabel="Production cut [mm]", ylabel="Visible energy, relative to 0.7 mm [%]")
    axes.set_title("Dependence on the production cut, 10 GeV")


def table(found: Results) -> str:
    """The numbers of each stack as a Markdown table."""
    heads = ["stack", "depth [X0]", "Molière radius [mm]", "Ec [MeV]", "visible, 10 GeV [%]", "a [%√GeV]", "b [%]"]
    heads.append("leakage, 50 GeV [%]")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, stack in found.items():
        at10, at50 = stack["energies"]["10"], stack["energies"]["50"]
        cells = [
            f"`{name}`", f"{stack['depth_x0']:.1f}", f"{stack['moliere_mm']:.1f}", f"{stack['critical_MeV']:.1f}",
            _pair(at10["visible"]), _pair(stack["resolution_fit"]["a"]), _pair(stack["resolution_fit"]["b"]),
            _pair(at50["leakage"]),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _pair(value: list[float]) -> str:
    return f"{100 * value[0]:.2f} ± {100 * value[1]:.2f}"


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--input", type=Path, default=Path(__file__).with_name("physics.json"))
    parser.add_argument("--output", type=Path, default=Path("docs/images/physics.png"))
    given = parser.parse_args()
    read = json.loads(given.input.read_text())
    found = {name: read[name] for name in NAMES if name in read}
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure, grid = plt.subplots(3, 2, figsize=(10, 12), layout="constrained")
        draws = (linearity, resolution, shower_maximum, containment, profile, cuts)
        for draw, axes in zip(draws, grid.flat, strict=True):
            draw(axes, found)
        grid[0, 0].legend(fontsize=7, ncols=2, loc="upper left")
        figure.savefig(given.output, dpi=110)
    print(table(found))


if __name__ == "__main__":
    main()
