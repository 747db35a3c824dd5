"""The measured rows of the detector cards: what a window sees of 10 GeV electrons, as a Markdown table.

python validation/detector_cards.py [--events 300] [--workers 2]   (about five minutes; needs Geant4's data sets)
"""

import argparse
import time

import numpy as np

from caloforge.detectors import DETECTORS
from caloforge.simulate.geant4 import Geant4
from caloforge.units import GeV

ENERGY = 10 * GeV


def main() -> None:
    """Simulate each detector and print its row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    print("| detector | cells | response | σ / mean | cells hit | core-seconds per shower |\n|---|---|---|---|---|---|")
    for name, make in DETECTORS.items():
        with Geant4(make(), "e-", workers=given.workers) as simulator:
            simulator.sample({"energy": np.full(given.workers, 1 * GeV)}, seed=1)  # builds the tables of physics
            begin = time.perf_counter()
            showers = simulator.sample({"energy": np.full(given.events, ENERGY)}, seed=1)
            seconds = (time.perf_counter() - begin) * given.workers / given.events
        response = showers.energies.sum(1, dtype=float) / ENERGY
        width = response.std() / response.mean()
        cells = [
            f"`{name}`",
            f"{showers.geometry.n_cells}",
            f"{response.mean():.4f} ± {response.std() / given.events**0.5:.4f}",
            f"{width:.4f} ± {width / (2 * given.events) ** 0.5:.4f}",
            f"{(showers.energies > 0).mean():.1%}",
            f"{seconds:.2f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
