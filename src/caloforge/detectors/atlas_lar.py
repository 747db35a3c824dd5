r"""An ATLAS-like liquid-argon barrel: the radial depths and granularities of ATLAS on flat plates. It is not ATLAS.

The accordion is replaced by flat lead and liquid-argon plates that are seen from the interaction point at a fixed η,
the cells are projective, and there is no steel, no electrode, no magnetic field and no electronics.

=============  =======================================  ==============================================================
what           value                                    source
=============  =======================================  ==============================================================
upstream       2 X0 aluminium (178 mm)                  assumption: the order of ATLAS's tracker, solenoid and cryostat
presampler     11 mm LAr, Δη × Δφ = 0.025 × 4·0.0245    depth: Egede, thesis (Lund 1997), §4; granularity: Klein's 3 × 2
strips         4.3 X0, 0.025/8 × 4·0.0245               Egede, thesis (0.0031 × 0.098)
middle         16 X0, 0.025 × 0.0245                    Egede, thesis (depth); Klein's 3 × 7 cells
back           2 X0, 0.05 × 0.0245                      Egede, thesis (depth); Klein's 2 × 7 cells
lead, argon    1.53 mm and 2 × 2.1 mm in a period       ATLAS, JINST 3 S08003 (2008), §5.2 (lead at abs(η) < 0.8)
inner radius   1500 mm, first lead plate                ATLAS, JINST 3 S08003 (2008), §5.2
thresholds     120, 60, 200, 200 MeV                    Klein, CERN report (2017), eqs. 1-4
=============  =======================================  ==============================================================

Each section holds a whole number of periods; its lead is thinned or thickened (1.56, 1.53, 1.44 mm) so that the depth
is the published one at normal incidence. Δφ of a middle cell is 2π/256.

**Order and phase.** The 89 cells are those of Klein's clusters, in his order: middle 3 × 7, strip 24 × 2, presampler
3 × 2, back 2 × 7; η is the slow axis, φ the fast one. The middle window is centred on (η₀, 0), and the particle aims
at its central cell, row 1, column 3. All other boundaries lie on middle-cell edges: the strips and the presampler cover
middle rows 0-2 (eight strips a row) and, in φ, middle columns 0-3 and 4-7, column 7 being the one beyond the window;
the back covers middle rows 0-1 and 2-3, row 3 being the one beyond the window, and columns 0-6.

`atlas_lar_247` has the wider clusters of the same study, 247 cells with the same phase: middle 7 × 11, strip 56 × 2,
presampler 7 × 2, back 4 × 11. The strips and the presampler still cover eight middle columns, 2-5 and 6-9 of 11.

**Calibration.** Each layer's energy is multiplied by the inverse sampling fraction of its section: (energy in lead and
argon) / (energy in argon) over the whole plates, for the presampler (energy upstream and in its argon) / (energy in its
argon). The factors are means over photons of 50 GeV at η = 0.2, with their statistical error;
``python validation/atlas_lar_calibration.py`` measures them again.
"""

import math

from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer, Slab, regular

RADIATION_LENGTH = {"G4_Al": 88.9632, "G4_Pb": 5.61253, "G4_lAr": 140.034}  # mm, Geant4 11.4
UPSTREAM = 2 * RADIATION_LENGTH["G4_Al"]
PRESAMPLER = 11.0
ARGON = 2 * 2.1
ACCORDION_RADIUS = 1500.0
SIZE = 2400.0
SECTIONS = {"strip": (4.3, 14), "middle": (16.0, 53), "back": (2.0, 7)}  # depth in X0, number of periods
DETA, DPHI = 0.025, 2 * math.pi / 256
# Mean and error of 600 photons: 10.17 ± 0.12, 3.797 ± 0.004, 4.198 ± 0.003, 4.593 ± 0.024.
CALIBRATION = {"presampler": 10.17, "strip": 3.797, "middle": 4.198, "back": 4.593}
THRESHOLD = {"presampler": 120.0, "strip": 60.0, "middle": 200.0, "back": 200.0}  # MeV
ORDER = ("middle", "strip", "presampler", "back")


def lead_thickness(section: str) -> float:
    """Thickness in mm of the lead plates of a section, from its depth and its number of periods."""
    depth, periods = SECTIONS[section]
    return (depth / periods - ARGON / RADIATION_LENGTH["G4_lAr"]) * RADIATION_LENGTH["G4_Pb"]


def plates() -> list[tuple[str, Slab]]:
    """All slabs, front to back, each with the name of its section; the argon carries its layer's number."""
    slabs = [("presampler", Slab("G4_Al", UPSTREAM)), ("presampler", Slab("G4_lAr", PRESAMPLER, 2))]
    for section, (_, periods) in SECTIONS.items():
        period = Slab("G4_Pb", lead_thickness(section)), Slab("G4_lAr", ARGON, ORDER.index(section))
        slabs += [(section, slab) for _ in range(periods) for slab in period]
    return slabs


def atlas_lar(eta: float = 0.2) -> Geometry:
    """The 89 cells seen by a photon from the interaction point at pseudorapidity `eta`."""
    return _cluster("atlas_lar", eta, 3, 7)


def atlas_lar_247(eta: float = 0.2) -> Geometry:
    """The 247 cells of the wider cluster seen by a photon from the interaction point at pseudorapidity `eta`."""
    return _cluster("atlas_lar_247", eta, 7, 11)


def _cluster(name: str, eta: float, n_rows: int, n_columns: int) -> Geometry:
    """A cluster of middle cells, centred on (`eta`, 0), and the cells of the other layers that go with it."""
    if not 0 <= eta <= 0.8:
        raise InputError(f"atlas_lar is flat and has the lead of |eta| < 0.8: got eta = {eta}; give 0 to 0.8.")
    rows = regular(n_rows, eta - n_rows / 2 * DETA, eta + n_rows / 2 * DETA)
    columns = regular(n_columns, -n_columns / 2 * DPHI, n_columns / 2 * DPHI)
    n_back = (n_rows + 1) // 2
    strip_columns = regular(2, -3.5 * DPHI, 4.5 * DPHI)
    edges = {
        "middle": (rows, columns),
        "strip": (regular(8 * n_rows, rows[0], rows[-1]), strip_columns),
        "presampler": (rows, strip_columns),
        "back": (regular(n_back, rows[0], rows[0] + 2 * n_back * DETA), columns),
    }
    slabs = plates()
    depths = _argon_centers(slabs)
    layers = [Layer(each, "eta_phi", *edges[each], depths[each], CALIBRATION[each], THRESHOLD[each]) for each in ORDER]
    front = ACCORDION_RADIUS - UPSTREAM - PRESAMPLER
    return Geometry(
        name,
        tuple(layers),
        tuple(slab for _, slab in slabs),
        SIZE,
        front,
        eta,
        "cell",
        "energy in the liquid argon times the layer's calibration factor",
    )


def _argon_centers(slabs: list[tuple[str, Slab]]) -> dict[str, float]:
    """Depth in mm of the middle of each section's argon: halfway between its first and its last plate."""
    spans: dict[str, list[float]] = {}
    front = 0.0
    for section, slab in slabs:
        if slab.layer is not None:
            spans.setdefault(section, []).append(front + slab.thickness / 2)
        front += slab.thickness
    return {section: (centers[0] + centers[-1]) / 2 for section, centers in spans.items()}
