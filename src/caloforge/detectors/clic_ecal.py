"""CLIC electromagnetic calorimeter, as the 3DGAN line sees it, in a simple and in a full version.

Sources: 25 layers, 17 × 2.4 mm and 8 × 4.8 mm tungsten, 0.5 mm silicon, cells of 5.1 mm × 5.1 mm: the barrel of
CLIC_o2_v04 (k4geo, ``ECalBarrel_o2_v01_01.xml``); windows of 25 × 25 cells for a fixed angle and of 51 × 51 for
variable ones (array shapes of the 3DGAN code). The planes are four windows wide, so that what leaves the window at the
side also comes back. The particle starts at the centre of the window, the middle of a cell, on the first tungsten face.

`clic_ecal`, `clic_ecal_51`
    Simplified: pure tungsten, and 1.5 mm air behind the silicon in place of all else.
`clic_ecal_full`
    The slices of that file: tungsten alloy, 0.25 mm air, 0.10 mm ground foil, silicon, 0.10 mm glue (air there),
    0.80 mm board, 0.25 mm air; behind the last layer 4.8 mm alloy and 10 mm carbon fibre. Compositions and densities:
    k4geo, CLIC ``Materials_v01.xml`` (alloy, carbon fibre) and ILD ``materials.xml`` (ground foil, board, fibre).
"""

from caloforge.geometry import Geometry, Layer, Material, Slab, regular

N_CELLS = 25
CELL = 5.1
THIN, THICK = (17, 2.4), (8, 4.8)
SILICON, AIR = 0.5, 1.5

ALLOY = Material("TungstenDens24", 17.8, (("W", 0.93), ("Ni", 0.061), ("Fe", 0.009)))
GROUND = Material(
    "GroundOrHVMix",
    5.19,
    (("H", 0.003606), ("C", 0.094548), ("N", 0.010023), ("O", 0.028624), ("Cu", 0.863199)),
)
BOARD = Material(
    "siPCBMix",
    5.05077,
    (("Cl", 0.014499), ("O", 0.083477), ("Si", 0.065486), ("H", 0.003511), ("C", 0.014264), ("Cu", 0.818763)),
)
FIBRE = Material("CarbonFiber_25percent", 0.375, (("C", 0.794092), ("H", 0.058409), ("O", 0.147499)))


def clic_ecal() -> Geometry:
    """25 layers of 25 × 25 cells, pure tungsten and air."""
    return _simple("clic_ecal", N_CELLS)


def clic_ecal_51() -> Geometry:
    """25 layers of 51 × 51 cells, pure tungsten and air, for polar angles from 60° to 120°.

    At 60° the axis of a shower moves by 75 mm (15 cells) from the first to the last layer and stays inside the window.
    """
    return _simple("clic_ecal_51", 51)


def clic_ecal_full() -> Geometry:
    """25 layers of 25 × 25 cells with the read-out slices and the tungsten alloy of CLIC_o2_v04."""
    before = [Slab("G4_AIR", 0.25), Slab(GROUND.name, 0.10)]
    behind = [Slab("G4_AIR", 0.10), Slab(BOARD.name, 0.80), Slab("G4_AIR", 0.25)]
    end = [Slab(ALLOY.name, THICK[1]), Slab(FIBRE.name, 10.0)]
    return _stack("clic_ecal_full", N_CELLS, ALLOY.name, before, behind, end, (ALLOY, GROUND, BOARD, FIBRE))


def _simple(name: str, n_cells: int) -> Geometry:
    return _stack(name, n_cells, "G4_W", [], [Slab("G4_AIR", AIR)], [], ())


def _stack(
    name: str,
    n_cells: int,
    tungsten: str,
    before: list[Slab],
    behind: list[Slab],
    end: list[Slab],
    materials: tuple[Material, ...],
) -> Geometry:
    """Layers of tungsten, `before`, silicon, `behind`; after the last one `end`."""
    edges = regular(n_cells, -n_cells * CELL / 2, n_cells * CELL / 2)
    layers: list[Layer] = []
    stack: list[Slab] = []
    front = 0.0
    for number, thickness in enumerate([THIN[1]] * THIN[0] + [THICK[1]] * THICK[0]):
        slabs = [Slab(tungsten, thickness), *before, Slab("G4_Si", SILICON, layer=number), *behind]
        silicon = front + sum(slab.thickness for slab in slabs[: 1 + len(before)]) + SILICON / 2
        layers.append(Layer(f"layer_{number}", "xy", edges, edges, depth=silicon))
        front += sum(slab.thickness for slab in slabs)
        stack += slabs
    energy = "energy deposited in the silicon"
    size = 4 * n_cells * CELL
    return Geometry(name, tuple(layers), (*stack, *end), size, energy=energy, materials=materials)
