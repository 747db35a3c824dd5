"""Measure the inverse sampling fractions of `atlas_lar`: photons of 50 GeV, whole plates, each section's passive and
active energy. Run ``python validation/atlas_lar_calibration.py [events] [workers]`` and copy the factors into the
detector.
"""

import sys
from dataclasses import replace

import numpy as np

from caloforge.detectors.atlas_lar import CALIBRATION, SIZE, atlas_lar, plates
from caloforge.geometry import Geometry, Layer
from caloforge.simulate.geant4 import Geant4


def sections() -> Geometry:
    """The plates of `atlas_lar` with two undivided read-out layers a section: passive and active, uncalibrated."""
    slabs = plates()
    names = [f"{section}/{'passive' if slab.layer is None else 'active'}" for section, slab in slabs]
    unique = list(dict.fromkeys(names))
    edges = (-SIZE / 2, SIZE / 2)
    layers = tuple(Layer(name, "xy", edges, edges, float(number)) for number, name in enumerate(unique))
    stack = tuple(replace(slab, layer=unique.index(name)) for (_, slab), name in zip(slabs, names, strict=True))
    return Geometry("atlas_lar_sections", layers, stack, SIZE)


def main(events: int = 1000, workers: int = 2) -> None:
    """Print each section's factor with its statistical error."""
    theta = np.pi / 2 - np.arctan(np.sinh(atlas_lar().eta))  # tilt along y of the direction η = 0.2
    geometry = sections()
    conditions = {"energy": np.full(events, 50e3), "theta": np.full(events, theta)}
    with Geant4(geometry, "gamma", position=(0.0, 0.0), workers=workers) as simulator:
        showers = simulator.sample(conditions, seed=50)
    for section in CALIBRATION:
        passive, active = (
            showers.energies[:, geometry.cells(f"{section}/{kind}")].sum(1, dtype=float)
            for kind in ("passive", "active")
        )
        factor = 1 + passive.mean() / active.mean()
        spread = np.std(passive - (factor - 1) * active) / active.mean() / np.sqrt(events)
        print(
            f"{section:12s} {factor:8.4f} ± {spread:.4f} ({active.mean():.2f} MeV active, {passive.mean():.2f} passive)"
        )
    print(f"sum {showers.energies.sum(1).mean():.1f} MeV")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
