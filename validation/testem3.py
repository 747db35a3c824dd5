"""Energies of 10 GeV electrons in TestEm3 against the native Geant4 reference of AdePT: 2142.2 and 7728.6 MeV.

python validation/testem3.py [--events 2000] [--workers 2] (a few minutes; needs Geant4's data sets)
"""

import argparse

import numpy as np

from caloforge.detectors import testem3
from caloforge.simulate.geant4 import Geant4

EXPECTED = {"lead": 7728.6, "argon": 2142.2}  # MeV, https://github.com/apt-sim/AdePT


def main() -> None:
    """Simulate and print mean, error and difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with Geant4(testem3(), "e-", workers=given.workers) as simulator:
        energies = simulator.sample({"energy": np.full(given.events, 10e3)}, seed=1).energies.astype(float)
    for name, cells in (("lead", energies[:, 0::2]), ("argon", energies[:, 1::2])):
        total = cells.sum(axis=1)
        mean, error = total.mean(), total.std() / np.sqrt(given.events)
        difference = 100 * (mean / EXPECTED[name] - 1)
        print(f"{name}: {mean:.1f} ± {error:.1f} MeV, {difference:+.2f} % from {EXPECTED[name]} MeV")


if __name__ == "__main__":
    main()
