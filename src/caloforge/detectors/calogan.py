"""The ATLAS-inspired calorimeter of CaloGAN (Paganini, de Oliveira, Nachman, arXiv 1705.02355).

Source: the CaloGAN repository and its data card: 2 mm lead and 4 mm liquid argon, 480 mm deep and 480 mm × 480 mm wide,
read out in three layers that end 90, 437 and 480 mm behind the front face, with cells (η × φ, here x × y) of
5 × 160, 40 × 40 and 80 × 40 mm². Lead and argon are both counted, so that a layer's energy is all that was deposited
in it. The window is the whole face: nothing outside it comes back.

The second boundary, at 437 mm, lies in the argon of the 73rd period, which is split there. The arrays have φ as their
slow and η as their fast axis: 3 × 96, 12 × 12, 12 × 6.
"""

from caloforge.geometry import Geometry, Layer, Slab, regular

LEAD, ARGON = 2.0, 4.0
PERIODS = 80
SIZE = 480.0
ENDS = (90.0, 437.0, 480.0)  # mm behind the front face
SHAPES = ((3, 96), (12, 12), (12, 6))
ROUNDING = 1e-9


def calogan() -> Geometry:
    """504 cells in three layers; all energy counts, that in the lead too."""
    stack: list[Slab] = []
    front = 0.0
    for material, thickness in (("G4_Pb", LEAD), ("G4_lAr", ARGON)) * PERIODS:
        back = front + thickness
        while back - front > ROUNDING:
            layer = next(number for number, end in enumerate(ENDS) if front < end - ROUNDING)
            stop = min(back, ENDS[layer])
            stack.append(Slab(material, stop - front, layer))
            front = stop
    begins = (0.0, *ENDS[:-1])
    layers = [
        Layer(f"layer_{n}", "xy", _edges(rows), _edges(columns), depth=(begins[n] + ENDS[n]) / 2)
        for n, (rows, columns) in enumerate(SHAPES)
    ]
    return Geometry("calogan", tuple(layers), tuple(stack), SIZE, energy="energy deposited in lead and argon")


def _edges(n: int) -> tuple[float, ...]:
    return regular(n, -SIZE / 2, SIZE / 2)
