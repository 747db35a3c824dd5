"""The silicon-tungsten cylinder of Geant4's example Par04, with the meshes of data sets 2 and 3 of the CaloChallenge.

Sources: Geant4 examples/extended/parameterisations/Par04 (inner radius 800 mm, length 2 m, 90 shells of 1.4 mm tungsten
and 0.3 mm silicon); CaloChallenge homepage and write-up (arXiv 2410.21611): 45 × 16 × 9 and 45 × 50 × 18 cells in
(z, α, r), of 3.4 mm × 2π/16 × 4.65 mm and 3.4 mm × 2π/50 × 2.325 mm (a half and a quarter of the Molière radius of
tungsten), threshold 15.15 keV.

The mesh is virtual: it begins where the particle enters the cylinder, follows its direction, and is flat; two shells
share a cell in z. α is counted as in ``Par04SensitiveDetector.cc``, from −π, with its zero along −y (the beam axis) and
a quarter of a turn along +x (the azimuth). A step's energy goes to the cell of its middle; Par04 takes the step's end.

Cell energies are *not* what the silicon received: they are divided by 0.033, as in the CaloChallenge, which brings them
near the incident energy; the threshold is 0.5 keV / 0.033. No magnetic field.
"""

from math import pi

from caloforge.geometry import Geometry, Layer, Slab, regular
from caloforge.units import keV

INNER_RADIUS, LENGTH = 800.0, 2000.0
SHELLS, TUNGSTEN, SILICON = 90, 1.4, 0.3
SHARE = 0.033  # of the incident energy, that the challenge divided by
THRESHOLD = 15.15 * keV
N_Z, CELL_Z = 45, 3.4
OUTER = 41.85  # mm, radius of both meshes


def par04_ds2() -> Geometry:
    """45 layers of 16 × 9 cells (α × r)."""
    return _mesh("par04_ds2", 16, 9)


def par04_ds3() -> Geometry:
    """45 layers of 50 × 18 cells (α × r)."""
    return _mesh("par04_ds3", 50, 18)


def _mesh(name: str, n_alpha: int, n_r: int) -> Geometry:
    alpha, r = regular(n_alpha, -1.5 * pi, 0.5 * pi), regular(n_r, 0.0, OUTER)
    layers = tuple(
        Layer(f"layer_{number}", "r_alpha", alpha, r, (number + 0.5) * CELL_Z, 1 / SHARE, THRESHOLD)
        for number in range(N_Z)
    )
    stack = [
        slab
        for shell in range(SHELLS)
        for slab in (Slab("G4_W", TUNGSTEN), Slab("G4_Si", SILICON, layer=shell * N_Z // SHELLS))
    ]
    energy = "energy deposited in the silicon, divided by 0.033"
    return Geometry(name, layers, tuple(stack), LENGTH, energy=energy, inner_radius=INNER_RADIUS, mesh=True)
