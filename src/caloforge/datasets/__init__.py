"""Bundled samples of real Geant4 showers, small, each with a card (``<name>.md`` beside it).

>>> names()
['atlas_lar_reference', 'atlas_lar_training', 'clic_ecal_electrons', 'ild_ecal_photons']
"""

from importlib.resources import files
from pathlib import Path

from caloforge.errors import InputError


def names() -> list[str]:
    """Names of the bundled samples."""
    return sorted(each.name.removesuffix(".h5") for each in files(__name__).iterdir() if each.name.endswith(".h5"))


def path(name: str) -> Path:
    """Where the shower file of a bundled sample is."""
    if name not in names():
        raise InputError(f"there is no bundled sample {name!r}; choose one of {', '.join(names())}.")
    return Path(str(files(__name__) / f"{name}.h5"))
