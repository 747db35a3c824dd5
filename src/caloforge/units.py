"""Units: MeV = mm = rad = 1, as in Geant4's own convention for energy and length. Nothing else in the project converts.

>>> quantity("50GeV", "energy")
50000.0
>>> round(quantity("60deg", "angle"), 6)
1.047198
"""

import math
import re

from hepunits import GeV, MeV, TeV, cm, deg, eV, keV, m, mm, mrad, rad
from hepunits import micrometer as um

from caloforge.errors import InputError

__all__ = ["GeV", "MeV", "TeV", "cm", "deg", "eV", "keV", "m", "mm", "mrad", "quantity", "rad", "um"]

UNITS: dict[str, dict[str, float]] = {
    "energy": {"eV": eV, "keV": keV, "MeV": MeV, "GeV": GeV, "TeV": TeV},
    "length": {"um": um, "mm": mm, "cm": cm, "m": m},
    "angle": {"mrad": mrad, "rad": rad, "deg": deg},
    "number": {},
}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*")


def quantity(text: str | float, dimension: str) -> float:
    """Value of a quantity such as ``"50GeV"`` in MeV, mm or rad; a bare number already is in that unit."""
    units = UNITS[dimension]
    match = _QUANTITY.fullmatch(str(text))
    if match is None or (match[2] and match[2] not in units):
        example = f" and one of {', '.join(units)}, as in '50{list(units)[-2]}'" if units else " without unit"
        raise InputError(f"{text!r} is no {dimension}: write a number{example}.")
    value = float(match[1]) * (float(units[match[2]]) if match[2] else 1.0)
    if not math.isfinite(value):
        raise InputError(f"{text!r} is too large for an {dimension}: give a finite number.")
    return value
