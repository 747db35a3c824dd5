"""How well parametrised showers, fitted to Geant4 showers, agree with others of the same detector.

python validation/gflash.py FILE --particle e- [--events 2000]   (FILE from `caloforge simulate`, one condition: energy)

GFlash is fitted to the first half of the showers and compared with the second; the floor is one half against the other.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from caloforge.files import ShowerFile
from caloforge.observables import layer_energy
from caloforge.showers import Showers
from caloforge.simulate.gflash import GFlash
from caloforge.simulate.gflash_fit import fit


def resolution(showers: Showers) -> float:
    """RMS of the response about its straight line in ln E, over its mean."""
    response, x = showers.energies.sum(1, dtype=float) / showers.incident, np.log(showers.incident)
    return float(np.std(response - np.polyval(np.polyfit(x, response, 1), x)) / response.mean())


def largest(made: np.ndarray, true: np.ndarray) -> float:
    """Largest relative difference where the true mean is above 1 % of its maximum."""
    large = true > 0.01 * true.max()
    return float(np.abs(made / np.maximum(true, 1e-12) - 1)[large].max())


def rings(showers: Showers) -> np.ndarray:
    """Mean energy in rings of one cell's width around the axis, summed over the layers."""
    x, y, _ = showers.geometry.centers.T
    layer = showers.geometry.layers[0]
    return np.bincount((np.hypot(x, y) / (layer.fast[1] - layer.fast[0])).astype(int), showers.energies.mean(0))


def main() -> None:
    """Fit, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--particle", default="e-")
    parser.add_argument("--events", type=int, default=2000)
    given = parser.parse_args()
    with ShowerFile(given.file) as file:
        showers = file[: given.events]
    half = len(showers) // 2
    train, test = showers[:half], showers[half:]
    begin = time.perf_counter()
    fitted = fit(train, given.particle)
    print(f"fit to {len(train)} showers: {time.perf_counter() - begin:.0f} s")
    candidates = {"published": GFlash(train.geometry, given.particle), "fitted": fitted, "floor": None}
    for name, simulator in candidates.items():
        begin = time.perf_counter()
        made = train if simulator is None else simulator.sample(test.conditions, seed=1)
        speed = "" if simulator is None else f", {len(test) / (time.perf_counter() - begin):.0f} showers/s"
        print(
            f"{name:9s} longitudinal {largest(layer_energy(made).mean(0), layer_energy(test).mean(0)):.3f}, "
            f"radial {largest(rings(made), rings(test)):.3f}, resolution {resolution(made):.4f} "
            f"(Geant4 {resolution(test):.4f}){speed}"
        )


if __name__ == "__main__":
    main()
