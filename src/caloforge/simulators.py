"""The simulator that ``caloforge simulate`` is asked for, with what its files say about their making."""

from collections.abc import Callable
from typing import Any

from caloforge.errors import InputError

SIMULATORS = ("geant4", "gflash", "library")
OWN = {"geant4": ("workers", "cut", "cluster"), "gflash": ("fit",), "library": ("library", "symmetries")}
Chosen = tuple[Any, dict[str, Any]]


def choose(name: str, detector: str | None, particle: str | None, position: str | None, eta: str | None,
           own: dict[str, Any], say: Callable[[str], None] = lambda message: None) -> Chosen:  # fmt: skip
    """A simulator, not yet started, and its provenance; `own` are the options given that not all simulators have.

    `say` hears of long work.
    """
    if name not in SIMULATORS:
        raise InputError(f"there is no simulator {name!r}; choose one of {', '.join(SIMULATORS)}.")
    foreign = [option for option, value in own.items() if value not in (None, False) and option not in OWN[name]]
    if foreign:
        raise InputError(f"--{foreign[0]} is not for simulator {name}: leave it out.")
    if name == "library":
        if own["library"] is None or detector or particle or position or eta is not None:
            raise InputError("a library of frozen showers is given as --library FILE, and knows its detector itself.")
        return library(own["library"], own["symmetries"])
    if detector is None or particle is None:
        raise InputError(f"simulator {name} needs to know what to simulate: give --detector and --particle.")
    from caloforge.detectors import detector as find
    from caloforge.simulate.geant4 import position_of
    from caloforge.units import quantity

    follow = is_range(eta)
    geometry = find(detector, **({} if eta is None or follow else {"eta": quantity(eta, "number")}))
    if name == "gflash":
        if follow:
            raise InputError(f"gflash has one eta; got {eta!r}: give one number.")
        return gflash(geometry, particle, position_of(position), own["fit"], say)
    return geant4(geometry, particle, position_of(position), follow, own)


def is_range(eta: str | None) -> bool:
    """Whether eta is a condition, a range or several values, and not the one place that a detector is seen at."""
    return eta is not None and (":" in eta or "," in eta)


def geant4(geometry: Any, particle: str, position: Any, follow: bool, own: dict[str, Any]) -> Chosen:
    """Real Geant4; `own` are its options."""
    import os

    from caloforge.simulate.geant4 import Geant4
    from caloforge.units import quantity

    count = len(os.sched_getaffinity(0)) if own["workers"] is None else own["workers"]
    cut = quantity(own["cut"] or "0.7mm", "length")
    simulator = Geant4(geometry, particle, position, cut, count, follow, own["cluster"])
    return simulator, simulator.provenance()


def gflash(geometry: Any, particle: str, position: Any, fit: str | None, say: Callable[[str], None]) -> Chosen:
    """Parametrised showers, as published or fitted to a file of showers."""
    from caloforge.simulate.gflash import GFlash

    if fit is None:
        simulator = GFlash(geometry, particle, None, position)
        return simulator, simulator.provenance()
    from caloforge.files import ShowerFile
    from caloforge.simulate.gflash_fit import fit as fitted

    with ShowerFile(fit) as file:
        if file.geometry != geometry:
            raise InputError(
                f"{fit} is of geometry {file.geometry.name!r}, not {geometry.name!r}: fit to the same one."
            )
        made = {"particle": particle, "position": position or geometry.impact}
        for name, value in made.items():
            found = file.provenance.get(name, value)
            if found != value and found != list(value):
                raise InputError(f"the showers of {fit} have {name} {found!r}, not {value!r}: fit to the same.")
        showers = file[:MOST]
        say(f"fitting GFlash to {len(showers)} showers of {fit}; this takes half a minute or more, each time")
        simulator = fitted(showers, particle, position)
        return simulator, simulator.provenance(file.provenance, len(showers))


MOST = 5000  # showers that GFlash is fitted to


def library(path: str, symmetries: bool) -> Chosen:
    """Frozen showers."""
    from caloforge.files import ShowerFile
    from caloforge.simulate.library import Library

    with ShowerFile(path) as file:
        simulator = Library(file[:], symmetries=symmetries)
        return simulator, simulator.provenance(file.provenance)
