"""Silicon-tungsten calorimeter of ILD, as the 30 × 30 × 30 images of Getting High see it (Buhmann et al., 2005.05334).

Sources: 20 absorbers of 2.1 mm and 10 of 4.2 mm tungsten (k4geo, ``ecal_hybrid_defs.xml``), 0.5 mm silicon (Mokka),
cells of 5 mm, silicon at the radii of ``create_hdf5.py`` of that study. Simplified: flat planes without staggering; an
absorber ends where the silicon behind it begins; air in place of boards, glue, cables and carbon fibre. The calorimeter
begins with the first absorber, whose front face is at a radius of 1808.65 mm.

The window has an even number of cells: its centre, where a particle starts by default, is the common corner of the four
central cells of every layer.
"""

from caloforge.geometry import Geometry, Layer, Slab, regular

N_CELLS = 30
CELL = 5.0
SILICON = 0.5
TUNGSTEN = [2.1] * 20 + [4.2] * 10
# fmt: off
RADII = (
    1811, 1814, 1824, 1827, 1836, 1839, 1849, 1852, 1861, 1864, 1873, 1877, 1886, 1889, 1898,
    1902, 1911, 1914, 1923, 1926, 1938, 1943, 1955, 1960, 1971, 1976, 1988, 1993, 2005, 2010,
)  # mm, of the silicon's centre
# fmt: on
FRONT = RADII[0] - SILICON / 2 - TUNGSTEN[0]


def ild_ecal() -> Geometry:
    """30 layers of 30 × 30 cells of 5 mm; a particle starts at a cell corner on the first tungsten face."""
    edges = regular(N_CELLS, -N_CELLS * CELL / 2, N_CELLS * CELL / 2)
    layers: list[Layer] = []
    stack: list[Slab] = []
    behind = FRONT
    for number, (radius, tungsten) in enumerate(zip(RADII, TUNGSTEN, strict=True)):
        silicon = radius - SILICON / 2
        if silicon - tungsten > behind:
            stack.append(Slab("G4_AIR", silicon - tungsten - behind))
        stack += [Slab("G4_W", tungsten), Slab("G4_Si", SILICON, layer=number)]
        layers.append(Layer(f"layer_{number}", "xy", edges, edges, depth=radius - FRONT))
        behind = silicon + SILICON
    size = 4 * N_CELLS * CELL
    return Geometry("ild_ecal", tuple(layers), tuple(stack), size, energy="energy deposited in the silicon")
