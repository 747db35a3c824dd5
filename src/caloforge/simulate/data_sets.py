"""The Geant4 data sets: which are here, and the installation of the official ones.

A set is found through its environment variable, else as a folder of ``GEANT4_DATA_DIR``, else where geant4-pybind
installs it. A variable or folder counts only if it holds what the set cannot lack.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from caloforge.errors import InputError, WorkError

INSTALLED = Path.home() / ".geant4_pybind"  # fixed by geant4-pybind


@dataclass(frozen=True)
class DataSet:
    """A data set: its environment variable, how its folder's name begins, and a file or folder that it cannot lack."""

    variable: str
    folder: str
    contains: str

    def path(self) -> Path | None:
        """Where the set is; None if it is not to be found."""
        given = os.environ.get(self.variable)
        roots = [Path(os.environ["GEANT4_DATA_DIR"])] if "GEANT4_DATA_DIR" in os.environ else []
        places = (
            [Path(given)]
            if given
            else [
                place for root in (*roots, INSTALLED) if root.is_dir() for place in sorted(root.glob(f"{self.folder}*"))
            ]
        )
        return next((place for place in places if (place / self.contains).exists()), None)


ELECTROMAGNETIC = (
    DataSet("G4LEDATA", "G4EMLOW", "brem_SB"),
    DataSet("G4ENSDFSTATEDATA", "G4ENSDFSTATE", "ENSDFSTATE.dat"),
)
HADRONIC = (
    DataSet("G4PARTICLEXSDATA", "G4PARTICLEXS", "neutron"),
    DataSet("G4LEVELGAMMADATA", "PhotonEvaporation", "z6.a12"),
    DataSet("G4SAIDXSDATA", "G4SAIDDATA", "p_p.dat"),
)
NEVER_OPENED = (
    "G4NEUTRONHPDATA",
    "G4PIIDATA",
    "G4RADIOACTIVEDATA",
    "G4REALSURFACEDATA",
    "G4ABLADATA",
    "G4INCLDATA",
    "G4CHANNELINGDATA",
)


def have(sets: tuple[DataSet, ...]) -> bool:
    """Whether all these sets are here."""
    return all(each.path() for each in sets)


def found() -> dict[str, str | None]:
    """Folder of each set by its environment variable; None where it is missing."""
    paths = {each.variable: each.path() for each in (*ELECTROMAGNETIC, *HADRONIC)}
    return {variable: str(path) if path else None for variable, path in paths.items()}


def set_environment() -> None:
    """Set every variable that importing geant4_pybind or starting Geant4 asks for; needs the electromagnetic sets."""
    here = {variable: path for variable, path in found().items() if path}
    anywhere = str(Path(here["G4LEDATA"]).parent)
    for variable in ("GEANT4_DATA_DIR", *found(), *NEVER_OPENED):
        os.environ.setdefault(variable, here.get(variable, anywhere))


def install() -> None:
    """Download the official sets (about 2 GB) with geant4-pybind, into its folder; it checks their MD5 sums."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GEANT4_DATA_DIR", *found(), *NEVER_OPENED)
    }
    importing = [sys.executable, "-c", "import geant4_pybind"]
    done = subprocess.run(importing, input="y\n", text=True, env=environment, stderr=subprocess.PIPE, check=False)
    if "No module named" in done.stderr:
        raise InputError("Geant4 is not installed: run pip install 'caloforge[geant4]' first.")
    if done.returncode != 0 or not any(INSTALLED.glob("G4EMLOW*")):
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise WorkError(
            f"the data sets could not be downloaded ({reason}): check the network, or fetch the archives from "
            "geant4.web.cern.ch and set their variables."
        )
