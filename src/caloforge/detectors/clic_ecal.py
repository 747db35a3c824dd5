"""CLIC electromagnetic calorimeter, as the 25 × 25 × 25 windows of the 3DGAN line see it.

Sources: 25 layers, 17 × 2.4 mm and 8 × 4.8 mm tungsten, 0.5 mm silicon, cells of 5.1 mm × 5.1 mm: the barrel of
CLIC_o2_v04 (k4geo, ``ECalBarrel_o2_v01_01.xml``). Simplified: pure tungsten, and 1.5 mm air in place of glue, boards
and cables (0.25 air + 0.10 ground + 0.10 glue + 0.80 board + 0.25 air there). The window is 127.5 mm wide and the
planes four times that, so that what leaves the window at the side also comes back.
"""

from caloforge.geometry import Geometry, Layer, Slab, regular

N_CELLS = 25
CELL = 5.1
THIN, THICK = (17, 2.4), (8, 4.8)
SILICON, AIR = 0.5, 1.5


def clic_ecal() -> Geometry:
    """25 layers of 25 × 25 cells; the particle starts at the centre of the window on the first tungsten face."""
    edges = regular(N_CELLS, -N_CELLS * CELL / 2, N_CELLS * CELL / 2)
    layers, stack, front = [], [], 0.0
    for number, tungsten in enumerate([THIN[1]] * THIN[0] + [THICK[1]] * THICK[0]):
        stack += [Slab("G4_W", tungsten), Slab("G4_Si", SILICON, layer=number), Slab("G4_AIR", AIR)]
        layers.append(Layer(f"layer_{number}", "xy", edges, edges, depth=front + tungsten + SILICON / 2))
        front += tungsten + SILICON + AIR
    return Geometry(
        "clic_ecal", tuple(layers), tuple(stack), size=4 * N_CELLS * CELL, energy="energy deposited in the silicon"
    )
