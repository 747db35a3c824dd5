"""TestEm3: the sandwich of Geant4's extended example of that name, read out completely, lead and argon.

Sources: 50 layers of 2.3 mm lead and 5.7 mm liquid argon, 400 mm wide, as in the example's ``TestEm3.in`` and in the
validation of AdePT (https://github.com/apt-sim/AdePT, Apache-2.0), whose native Geant4 reference for 10 GeV electrons
is 2142.2 MeV in argon and 7728.6 MeV in lead.
"""

from caloforge.geometry import Geometry, Layer, Slab

N_LAYERS = 50
LEAD, ARGON = 2.3, 5.7
SIZE = 400.0


def testem3() -> Geometry:
    """100 cells: Pb 1, LAr 1, Pb 2, LAr 2, …; each is a whole slab of 400 mm × 400 mm."""
    layers: list[Layer] = []
    stack: list[Slab] = []
    front = 0.0
    edges = (-SIZE / 2, SIZE / 2)
    for number in range(1, N_LAYERS + 1):
        for name, material, thickness in (("lead", "G4_Pb", LEAD), ("argon", "G4_lAr", ARGON)):
            stack.append(Slab(material, thickness, layer=len(layers)))
            layers.append(Layer(f"{name}_{number}", "xy", edges, edges, depth=front + thickness / 2))
            front += thickness
    return Geometry("testem3", tuple(layers), tuple(stack), SIZE, energy="energy deposited in the slab, lead or argon")
