"""The detectors we ship: each is a function that returns a `Geometry`. `DETECTORS` names them for the command line."""

from collections.abc import Callable

from caloforge.detectors.atlas_lar import atlas_lar, atlas_lar_247
from caloforge.detectors.calogan import calogan
from caloforge.detectors.clic_ecal import clic_ecal, clic_ecal_51, clic_ecal_full
from caloforge.detectors.ild_ecal import ild_ecal
from caloforge.detectors.par04 import par04_ds2, par04_ds3
from caloforge.detectors.testem3 import testem3
from caloforge.errors import InputError
from caloforge.geometry import Geometry

__all__ = [
    "DETECTORS",
    "atlas_lar",
    "atlas_lar_247",
    "calogan",
    "clic_ecal",
    "clic_ecal_51",
    "clic_ecal_full",
    "detector",
    "ild_ecal",
    "par04_ds2",
    "par04_ds3",
    "testem3",
]

DETECTORS: dict[str, Callable[..., Geometry]] = {
    each.__name__: each
    for each in (
        atlas_lar,
        atlas_lar_247,
        calogan,
        clic_ecal,
        clic_ecal_51,
        clic_ecal_full,
        ild_ecal,
        par04_ds2,
        par04_ds3,
        testem3,
    )
}


def detector(name: str, **arguments: float) -> Geometry:
    """The geometry of the detector called `name`; `arguments` are those of its function."""
    if name not in DETECTORS:
        raise InputError(f"there is no detector {name!r}; choose one of {', '.join(sorted(DETECTORS))}.")
    try:
        return DETECTORS[name](**arguments)
    except TypeError:
        raise InputError(f"detector {name!r} does not take {', '.join(arguments)}.") from None
