r"""What a shower sees of a stack of slabs: radiation lengths, critical energy, Molière radius.

Depth is counted in radiation lengths, :math:`t = \sum_i d_i / X_{0,i}`. The stack as a whole acts like one medium
(Grindhammer & Peters, hep-ex/0001020, §3): with mass shares :math:`w_i`, X0 in g/cm² and :math:`E_s` = 21.2 MeV,

.. math:: \frac1{X_0} = \sum_i \frac{w_i}{X_{0,i}}, \quad Z = \sum_i w_i Z_i, \quad
          E_c = X_0 \sum_i \frac{w_i E_{c,i}}{X_{0,i}}, \quad R_M = E_s \frac{X_0}{E_c}

Elements: Z, A and X0 from the Particle Data Group's tables (2024); critical energies from Rossi's definition as fitted
there, 610 MeV / (Z + 1.24) for solids and liquids. Densities of the NIST materials are Geant4's.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Geometry, Material

# fmt: off
ELEMENTS = {  # Z, X0 in g/cm²
    "H": (1, 63.04), "C": (6, 42.70), "N": (7, 37.99), "O": (8, 34.24), "Al": (13, 24.01), "Si": (14, 21.82),
    "Cl": (17, 19.28), "Ar": (18, 19.55), "Fe": (26, 13.84), "Ni": (28, 12.68), "Cu": (29, 12.86), "Br": (35, 11.42),
    "W": (74, 6.76), "Pb": (82, 6.37), "U": (92, 6.00),
}
# fmt: on


@dataclass(frozen=True)
class Composition:
    """A NIST material: density in g/cm³, (element, share of the mass) pairs."""

    name: str
    density: float
    elements: tuple[tuple[str, float], ...]


NIST = (
    Composition("G4_W", 19.3, (("W", 1.0),)),
    Composition("G4_Pb", 11.35, (("Pb", 1.0),)),
    Composition("G4_Fe", 7.874, (("Fe", 1.0),)),
    Composition("G4_Cu", 8.96, (("Cu", 1.0),)),
    Composition("G4_U", 18.95, (("U", 1.0),)),
    Composition("G4_Al", 2.699, (("Al", 1.0),)),
    Composition("G4_Si", 2.33, (("Si", 1.0),)),
    Composition("G4_lAr", 1.396, (("Ar", 1.0),)),
    Composition("G4_AIR", 0.00120479, (("N", 0.7553), ("O", 0.2318), ("Ar", 0.0129))),
    Composition("G4_POLYSTYRENE", 1.06, (("C", 0.922582), ("H", 0.077418))),
)
SCALE = 21.2  # MeV, E_s
MM = 0.1  # cm


@dataclass(frozen=True)
class Matter:
    """One material: Z, X0 in mm, critical energy in MeV, density in g/cm³."""

    z: float
    x0: float
    critical: float
    density: float


def matter(material: Material | Composition) -> Matter:
    """The shower properties of a mixture."""
    unknown = [element for element, _ in material.elements if element not in ELEMENTS]
    if unknown:
        raise InputError(
            f"no radiation length is known for {unknown[0]} in {material.name}: use {', '.join(ELEMENTS)}."
        )
    shares = [(share, *ELEMENTS[element]) for element, share in material.elements]
    x0 = 1 / sum(share / x for share, _, x in shares)
    critical = x0 * sum(share * 610 / (z + 1.24) / x for share, z, x in shares)
    return Matter(sum(share * z for share, z, _ in shares), x0 / material.density / MM, critical, material.density)


@dataclass(frozen=True)
class Medium:
    """The stack of a geometry as one medium."""

    geometry: Geometry

    @cached_property
    def slabs(self) -> list[Matter]:
        """The matter of each slab."""
        known: dict[str, Material | Composition] = {each.name: each for each in NIST}
        known |= {each.name: each for each in self.geometry.materials}
        missing = [slab.material for slab in self.geometry.stack if slab.material not in known]
        if not self.geometry.stack:
            raise InputError(f"geometry {self.geometry.name!r} has no material stack: nothing can be simulated.")
        if missing:
            raise InputError(
                f"geometry {self.geometry.name!r} names {missing[0]!r}, of unknown radiation length: give its "
                "composition as a Material (of another name)."
            )
        found = {name: matter(known[name]) for name in {slab.material for slab in self.geometry.stack}}
        return [found[slab.material] for slab in self.geometry.stack]

    @cached_property
    def fronts(self) -> NDArray[np.float64]:
        """Depth of each slab's front, and of the end, in radiation lengths, shape (n_slabs + 1,)."""
        lengths = [slab.thickness / each.x0 for slab, each in zip(self.geometry.stack, self.slabs, strict=True)]
        return np.concatenate([[0.0], np.cumsum(lengths)])

    @cached_property
    def whole(self) -> Matter:
        """The mean matter: X0 in mm of the stack as it stands, air included."""
        grams = np.array([s.thickness * m.density for s, m in zip(self.geometry.stack, self.slabs, strict=True)]) * MM
        x0 = grams.sum() / self.fronts[-1]  # g/cm²
        share = grams / grams.sum()
        critical = x0 * sum(w * m.critical / (m.x0 * MM * m.density) for w, m in zip(share, self.slabs, strict=True))
        z = float(sum(w * m.z for w, m in zip(share, self.slabs, strict=True)))
        thickness = sum(slab.thickness for slab in self.geometry.stack)
        return Matter(z, thickness / self.fronts[-1], float(critical), float(grams.sum() / thickness / MM))

    @property
    def moliere(self) -> float:
        """Molière radius in mm."""
        return SCALE * self.whole.x0 / self.whole.critical

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """Which slabs are read out."""
        return np.array([slab.layer is not None for slab in self.geometry.stack])

    @cached_property
    def sampling(self) -> float:
        """Radiation lengths of a period, an absorber and what is read out behind it: 1 / F_S; 0 if all is read out."""
        if self.active.all():
            return 0.0
        starts = self.active & ~np.concatenate([[False], self.active[:-1]])
        return float(self.fronts[-1] / max(1, int(starts.sum())))

    @cached_property
    def e_hat(self) -> float:
        """ê = 1 / (1 + 0.007 (Z_passive − Z_active)): electrons over minimum ionising particles in the active slabs."""
        mass = np.array([s.thickness * m.density for s, m in zip(self.geometry.stack, self.slabs, strict=True)])
        z = np.array([each.z for each in self.slabs])
        if self.active.all():
            return 1.0
        passive, active = (np.average(z[which], weights=mass[which]) for which in (~self.active, self.active))
        return float(1 / (1 + 0.007 * (passive - active)))
