"""What Geant4 says about each stack: linearity, resolution, shower maximum, containment, profile, production cut.

python validation/physics.py [--folder /tmp/physics] [--workers 2] [--share 1.0] [--only clic_ecal …]

About an hour on two cores; interrupted, it continues. Writes physics.json beside this file;
`validation/physics_figures.py` draws it. A *probe* has the slabs of a detector, wide and flat, each read out as a whole
(or, for the containment, in rings around the axis), so that leakage out of a detector's window is told from the
response of its stack. Electrons at normal incidence.

*Visible* is the energy in silicon or argon. *Weighted* gives each of these slabs the depth in radiation lengths that it
stands for; for the resolution a detector's own calibration, if its layers have different ones. The profile is that of
the energy in the active slabs; the deposited one is that in all slabs of a period, per radiation length.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit
from scipy.stats import gamma as gamma_distribution

from caloforge.conditions import ConditionSampler
from caloforge.detectors import atlas_lar, calogan, clic_ecal, clic_ecal_full, ild_ecal, par04_ds2, testem3
from caloforge.files import ShowerFile
from caloforge.geometry import Geometry, Layer, Slab, regular
from caloforge.production import produce
from caloforge.progress import progress_bar
from caloforge.simulate.geant4 import Geant4
from caloforge.simulate.media import Medium
from caloforge.simulate.parametrisation import Coefficients, intervals, longitudinal
from caloforge.units import GeV

STACKS = {each.__name__: each for each in (testem3, clic_ecal, clic_ecal_full, ild_ecal, par04_ds2, calogan, atlas_lar)}
ACTIVE = ("G4_Si", "G4_lAr")
UPSTREAM = {"atlas_lar": 2}  # slabs in front (dead aluminium, and the presampler behind it) that are left out
ENERGIES = {1: 2000, 2: 2000, 5: 800, 10: 600, 20: 300, 50: 150, 100: 80}  # GeV: showers
RINGS = {10: 150}
CUTS = {"clic_ecal": 300, "ild_ecal": 300, "atlas_lar": 150}  # showers of 10 GeV
CUT_VALUES = (0.01, 0.05, 0.1, 0.3, 0.7, 2.0, 10.0)  # mm
SEED = 5


# --- simulation -----------------------------------------------------------------------------------------------------


def probe(geometry: Geometry, rings: int = 0) -> Geometry:
    """The same slabs, wide and flat, each a layer of one cell; or only the active ones, in rings of R_M / 4."""
    size, moliere = 2000.0, Medium(geometry).moliere
    layers: list[Layer] = []
    stack: list[Slab] = []
    front = 0.0
    for number, slab in enumerate(geometry.stack):
        middle, wanted = front + slab.thickness / 2, not rings or slab.material in ACTIVE
        if wanted and rings:
            r = (*(moliere * np.arange(rings + 1) / 4), size / 2)
            layers.append(Layer(f"slab_{number}", "r_alpha", regular(1, -np.pi, np.pi), r, middle))
        elif wanted:
            edges = (-size / 2, size / 2)
            layers.append(Layer(f"slab_{number}", "xy", edges, edges, middle))
        stack.append(replace(slab, layer=len(layers) - 1 if wanted else None))
        front += slab.thickness
    return Geometry(f"{geometry.name}_probe", tuple(layers), tuple(stack), size, materials=geometry.materials)


def simulated(geometry: Geometry, energy: int, events: int, path: Path, given: Any, cut: float = 0.7) -> np.ndarray:
    """Cell energies of electrons, shape (N, n_cells) in MeV; made once, then read."""
    with Geant4(geometry, "e-", "center", cut, given.workers) as simulator, progress_bar(path.name) as bar:
        source = ConditionSampler({"energy": f"{energy}GeV"})
        produce(simulator, source, max(events, 16), path, SEED, simulator.provenance(), progress=bar)
    with ShowerFile(path) as file:
        return file[:].energies.astype(float)


# --- analysis -------------------------------------------------------------------------------------------------------


def estimate(values: np.ndarray) -> list[float]:
    """Mean and its error."""
    return [float(values.mean()), float(values.std() / np.sqrt(len(values)))]


def weights(geometry: Geometry) -> np.ndarray:
    """Factor of each active slab: the depth in X0 that it stands for, to the middles of the gaps around it."""
    active = [slab.material in ACTIVE for slab in geometry.stack]
    layers = iter(range(sum(active)))
    stack = [replace(slab, layer=next(layers) if on else None) for slab, on in zip(geometry.stack, active, strict=True)]
    plain = replace(geometry, layers=tuple(_plain(n) for n in range(sum(active))), stack=tuple(stack), mesh=False)
    return np.diff(intervals(Medium(plain))[0].reshape(-1, 2), axis=1)[:, 0]


def calibrations(geometry: Geometry) -> np.ndarray | None:
    """Factor of each active slab that its detector uses, if it is not the same for all."""
    active = [slab for slab in geometry.stack if slab.material in ACTIVE]
    found = np.array([geometry.layers[slab.layer or 0].calibration for slab in active])
    return found if np.ptp(found) > 0 else None


def _plain(number: int) -> Layer:
    return Layer(f"layer_{number}", "xy", (-1.0, 1.0), (-1.0, 1.0), float(number))


def gamma(t: np.ndarray, height: float, t_max: float, beta: float) -> np.ndarray:
    """A gamma distribution in the depth that has its maximum at t_max."""
    a = beta * t_max
    return np.asarray(height * np.exp(a * np.log(np.maximum(t, 1e-9) / t_max) - beta * (t - t_max)))


def maximum(depth: np.ndarray, showers: np.ndarray) -> list[float]:
    """Depth of the maximum of the mean profile in X0, from a fit within a third of it, and its error by bootstrap."""
    rng = np.random.default_rng(1)

    def fitted(sample: np.ndarray) -> float:
        mean = sample.mean(0)
        use = mean > mean.max() / 3
        start = mean.max(), depth[mean.argmax()], 0.5
        return float(curve_fit(gamma, depth[use], mean[use], start, maxfev=20000, bounds=(0, np.inf))[0][1])

    again = [fitted(showers[rng.integers(0, len(showers), len(showers))]) for _ in range(20)]
    return [fitted(showers), float(np.std(again))]


def periods(medium: Medium, active: np.ndarray, slabs: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Mid depth of each period, up to and with an active slab, in X0, and energy per X0 deposited there, (N, n)."""
    ends = np.flatnonzero(active) + 1
    ends = ends[ends > first]
    starts = np.concatenate([[first], ends[:-1]])
    front, back = medium.fronts[starts], medium.fronts[ends]
    energy = np.add.reduceat(slabs[:, : ends[-1]], starts, axis=1)
    return (front + back) / 2, energy / (back - front)


def published(geometry: Geometry, energy: int, depth: np.ndarray) -> np.ndarray:
    """Mean profile of Grindhammer and Peters' formulas, averaged over the fluctuations of T and α."""
    medium, rng = Medium(geometry), np.random.default_rng(1)
    log_t, log_a, sigma_t, sigma_a, rho = longitudinal(Coefficients(), medium, False, np.full(2000, energy * GeV))
    first, second = rng.standard_normal((2, 2000))
    t_max = np.exp(log_t + sigma_t * first)[:, None]
    alpha = np.maximum(np.exp(log_a + sigma_a * (rho * first + np.sqrt(1 - rho**2) * second)), 1.05)[:, None]
    return np.asarray(gamma_distribution.pdf(depth, alpha, scale=t_max / (alpha - 1)).mean(0))


def stack_results(geometry: Geometry, given: Any) -> dict[str, Any]:
    """All numbers of one stack."""
    medium, wide = Medium(geometry), probe(geometry)
    active = np.array([slab.material in ACTIVE for slab in geometry.stack])
    depth = ((medium.fronts[:-1] + medium.fronts[1:]) / 2)[active]
    thickness = np.array([slab.thickness for slab in geometry.stack])[active]
    weight, own, front = weights(geometry), calibrations(geometry), UPSTREAM.get(geometry.name, 0)
    found: dict[str, Any] = {
        "x0_mm": medium.whole.x0,
        "critical_MeV": medium.whole.critical,
        "moliere_mm": medium.moliere,
        "depth_x0": float(medium.fronts[-1]),
        "sampling_x0": medium.sampling,
        "e_hat": medium.e_hat,
        "z": medium.whole.z,
        "energies": {},
    }
    for energy, events in ENERGIES.items():
        slabs = simulated(wide, energy, int(events * given.share), given.folder / f"{geometry.name}_{energy}.h5", given)
        seen = slabs[:, active]
        whole, deposited = slabs.sum(1), slabs[:, front:].sum(1)
        weighted = seen[:, active[:front].sum() :] @ weight[active[:front].sum() :]
        ratio = weighted.mean() / deposited.mean()
        spread = weighted - ratio * deposited  # the error of a ratio of means
        found["energies"][energy] = {
            "showers": len(slabs),
            "leakage": estimate(1 - whole / (energy * GeV)),
            "visible": estimate(seen.sum(1) / (energy * GeV)),
            "weighted_over_deposited": [float(ratio), float(spread.std() / np.sqrt(len(slabs)) / deposited.mean())],
            "resolution": _spread(weighted if own is None else seen @ own),
            "maximum_x0": maximum(depth, seen / thickness),
            "deposited_maximum_x0": maximum(*periods(medium, active, slabs, front)),
            "published": published(geometry, energy, depth).tolist(),
            "profile": (seen.mean(0) / thickness / (energy * GeV)).tolist(),
            "profile_error": (seen.std(0) / np.sqrt(len(slabs)) / thickness / (energy * GeV)).tolist(),
        }
    found["profile_depth_x0"] = depth.tolist()
    found["resolution_fit"] = resolution_fit(found["energies"])
    found["containment"] = containment(geometry, given)
    found["cuts"] = cuts(geometry, active, given)
    return found


def _spread(values: np.ndarray) -> list[float]:
    """σ/mean and its error."""
    width = float(values.std() / values.mean())
    return [width, width / np.sqrt(2 * len(values))]


def resolution_fit(energies: dict[int, Any]) -> dict[str, list[float]]:
    """The terms a in √GeV and b of σ/E = a/√E ⊕ b, with errors: a straight line of the variance against 1/E.

    If the line meets the axis below zero, b is 0 and its error the root of that of b².
    """
    x = 1 / np.array(list(energies), float)
    y, error = np.array([each["resolution"] for each in energies.values()]).T
    (slope, start), covariance = np.polyfit(x, y**2, 1, w=1 / (2 * y * error), cov="unscaled")
    a, b = float(np.sqrt(slope)), float(np.sqrt(max(start, 0.0)))
    errors = np.sqrt(np.diag(covariance))
    return {"a": [a, float(errors[0] / (2 * a))], "b": [b, float(np.sqrt(max(start, 0.0) + errors[1])) - b]}


def containment(geometry: Geometry, given: Any) -> dict[str, Any]:
    """Share of the active slabs' energy within a radius, in steps of a quarter of a Molière radius."""
    ((energy, events),) = RINGS.items()
    narrow = probe(geometry, rings=20)
    cells = simulated(narrow, energy, int(events * given.share), given.folder / f"{geometry.name}_rings.h5", given)
    rings = cells.reshape(len(cells), -1, 21).sum(1)
    inside = np.cumsum(rings, axis=1) / rings.sum(1, keepdims=True)
    radii = (np.arange(20) + 1) / 4
    mean = inside.mean(0)[:20]
    return {
        "energy_GeV": energy,
        "radius_moliere": radii.tolist(),
        "inside": mean.tolist(),
        "error": (inside.std(0)[:20] / np.sqrt(len(inside))).tolist(),
        "radius_of_90_percent_moliere": float(np.interp(0.9, mean, radii)),
    }


def cuts(geometry: Geometry, active: np.ndarray, given: Any) -> dict[str, Any]:
    """Visible share at 10 GeV against the production cut in mm."""
    found = {}
    for cut in CUT_VALUES if geometry.name in CUTS else ():
        events = int(CUTS[geometry.name] * given.share)
        path = given.folder / f"{geometry.name}_cut_{cut}.h5"
        slabs = simulated(probe(geometry), 10, events, path, given, cut)
        found[str(cut)] = estimate(slabs[:, active].sum(1) / (10 * GeV))
    return found


def main() -> None:
    """Simulate, analyse, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/physics"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0, help="of the numbers of showers")
    parser.add_argument("--only", nargs="*", choices=list(STACKS), default=list(STACKS))
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    found = json.loads(given.output.read_text()) if given.output.exists() else {}
    for name in given.only:
        found[name] = stack_results(STACKS[name](), given)
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
