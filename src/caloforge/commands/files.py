"""The commands for files that are there: ``select``, ``join``, ``check``, ``info``, ``datasets``, ``geant4-data``."""

from pathlib import Path
from typing import Literal

from caloforge.commands.terminal import command_line, complete, say, show
from caloforge.errors import InputError

__all__ = ["check", "datasets", "geant4_data", "info", "join", "select"]


def select(
    file: str,
    output: str | None = None,
    events: str | None = None,
    eta: str | None = None,
    cells: str | None = None,
    noise: str | None = None,
    seed: int = 1,
    total_energy: str | None = None,
    energy: str | None = None,
    compact: bool = False,
    overwrite: bool = False,
) -> None:
    """Make another shower file of a part of one: by event, eta, cells or energy, and with electronics noise.

    Args:
        file: the shower file.
        output: the file to write; always needed.
        events: event numbers, as 0:10000 (up to 9999), :10000 or 10000: (the split into training and reference).
        eta: absolute pseudorapidity, as 0.1:0.4.
        cells: a detector whose cells consist of whole cells of the file's, as atlas_lar in a file of atlas_lar_247.
        noise: standard deviation in each cell of a layer, as strip=20MeV,middle=50MeV; before all thresholds.
        seed: of the noise, which is keyed by (seed, event).
        total_energy: energy in all cells above threshold, as :300GeV.
        energy: incident energy, as 10GeV:100GeV.
        compact: round cell energies to 7 bits of mantissa (within 0.4 %) and compress hard: a third of the size.
        overwrite: replace an output of another command.
    """
    from caloforge.progress import progress_bar
    from caloforge.selection import Selection
    from caloforge.selection import select as run

    if output is None:
        raise InputError("the file to write is missing: give --output.")
    selection = Selection(events, eta, cells, noise, seed, total_energy, energy)
    with progress_bar(Path(output).name) as bar:
        kept = run(file, output, selection, compact, overwrite, {"command": command_line()}, bar)
    say(f"kept {kept[0]} of {kept[1]} showers; wrote {output}" if kept else complete(output))


def join(files: list[str], output: str, overwrite: bool = False) -> None:
    """Join files of consecutive events of one sample, as several machines made them with --first-event.

    Args:
        files: the shower files, in any order; or without --files, as in join A B --output ALL.
        output: the file to write.
        overwrite: replace an output of another command.
    """
    from caloforge.joining import join as run
    from caloforge.progress import progress_bar

    with progress_bar(Path(output).name) as bar:
        joined = run(files, output, overwrite, {"command": command_line()}, bar)
    say(f"joined {joined} showers; wrote {output}" if joined else complete(output))


def check(file: str, json: bool = False) -> None:
    """Verify a shower file against the format, reading all of it.

    Args:
        file: the shower file.
        json: answer in JSON.
    """
    from caloforge.files import ShowerFile

    with ShowerFile(file) as showers:
        showers.check()
        answer = {"file": file, "valid": True, "showers": len(showers), "geometry": showers.geometry.name}
        show(
            answer if json else f"{file} is a valid shower file: {len(showers)} showers of {showers.geometry.name}.",
            json,
        )


def info(path: str, json: bool = False) -> None:
    """Say what a shower file, a run folder or a report holds.

    Args:
        path: file or folder.
        json: answer in JSON.
    """
    from caloforge.describe import describe, readable

    found = describe(Path(path))
    show(found if json else readable(found), json)


def datasets(action: Literal["list", "path"], name: str | None = None, json: bool = False) -> None:
    """List the bundled samples of Geant4 showers, or say where one is.

    Args:
        action: list, or path.
        name: of the sample, for path.
        json: answer in JSON.
    """
    from caloforge import datasets as bundled

    if (action == "path") == (name is None):
        raise InputError("write caloforge datasets list, or caloforge datasets path NAME.")
    found = {each: str(bundled.path(each)) for each in (bundled.names() if name is None else [name])}
    show(found if json else "\n".join(found if name is None else found.values()), json)


def geant4_data(install: bool = False, json: bool = False) -> None:
    """Show which Geant4 data sets are here; install the official ones.

    Args:
        install: download them with geant4-pybind (about 2 GB).
        json: answer in JSON.
    """
    from caloforge.simulate import data_sets

    if install:
        data_sets.install()
    found = data_sets.found()
    show(found if json else "\n".join(f"{name:18s} {path or 'missing'}" for name, path in found.items()), json)
