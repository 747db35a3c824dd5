"""The commands: one function each, whose signature and docstring are its options and its help.

Commands read, call one function, write. Progress and messages go to standard error, results to standard output
(``--json`` for programs). Heavy imports stay inside the commands, so that help, `check`, `info` and wrong arguments
answer at once.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from caloforge.arguments import configured
from caloforge.errors import InputError

__all__ = ["COMMANDS", "say"]


def quickstart(output: str = "quickstart", seconds: float = 85.0) -> None:
    """From a bundled Geant4 sample to a validation report: train two models, generate, validate.

    Args:
        output: the folder to write; the same command continues in it.
        seconds: training time of each of the two models.
    """
    from caloforge.quickstart import quickstart as run

    report = run(Path(output), seconds, say)
    print(report.summary())
    say(f"\nopen {Path(output, 'report.html').resolve()}")


def simulate(
    energy: str,
    events: int,
    output: str,
    detector: str | None = None,
    particle: str | None = None,
    simulator: str = "geant4",
    fit: str | None = None,
    library: str | None = None,
    symmetries: bool = False,
    seed: int = 1,
    first_event: int = 0,
    workers: int | None = None,
    theta: str | None = None,
    phi: str | None = None,
    position: str | None = None,
    cut: str | None = None,
    eta: str | None = None,
    compact: bool = False,
    overwrite: bool = False,
) -> None:
    """Simulate showers with real Geant4, with parametrised showers, or from a library of frozen ones.

    Args:
        detector: atlas_lar, atlas_lar_247, calogan, clic_ecal, clic_ecal_51, clic_ecal_full, ild_ecal, par04_ds2,
            par04_ds3 or testem3.
        particle: e-, e+, gamma, mu-, mu+; with hadronic data sets pi+, pi-, pi0, kaon+, kaon-, kaon0L, proton, neutron.
        energy: incident kinetic energy, as 50GeV (fixed), 10GeV,50GeV (cycled), 2GeV:500GeV (uniform), log:1GeV:1TeV.
        events: number of showers.
        output: the file to write; the same command continues a killed one.
        simulator: geant4, gflash (parametrised) or library (frozen showers).
        fit: for gflash, a file of showers to fit the parametrisation to first (the first 5000 of it).
        library: for library, the file of showers to draw from.
        symmetries: for library, turn and mirror the showers.
        seed: each event's random numbers are keyed by (seed, event).
        first_event: number of the first event, so that several machines can share a sample.
        workers: for geant4, processes; as many as there are cores by default.
        theta: angle from the layer plane (cylinder: polar angle); 90deg is normal incidence, smaller ones tilt along y.
        phi: turns the tilt from y towards x (in a cylinder: azimuth).
        position: center, cell (uniform over the central cell) or x,y in mm on the front face, seen along the particle.
        cut: for geant4, production range cut; 0.7mm by default.
        eta: for atlas_lar and atlas_lar_247, the pseudorapidity it is seen at; a range, 0.1:1.1, is drawn from.
        compact: round cell energies to 7 bits of mantissa (within 0.4 %) and compress hard: a third of the size.
        overwrite: replace an output of another command.
    """
    from caloforge.conditions import ConditionSampler
    from caloforge.production import check_numbers
    from caloforge.simulators import choose, is_range

    check_numbers(events, seed, first_event)
    for option, path in (("fit", fit), ("library", library)):
        if path is not None and Path(output).exists() and Path(path).exists() and Path(output).samefile(path):
            raise InputError(f"{output} is the file given as --{option}: choose another name for the output.")
    source = ConditionSampler({"energy": energy} | _given(theta=theta, phi=phi, eta=eta if is_range(eta) else None))
    own = {"workers": workers, "cut": cut, "fit": fit, "library": library, "symmetries": symmetries}
    chosen, story = choose(simulator, detector, particle, position, eta, own, say)
    try:
        _produce(chosen, source, events, output, seed, first_event, overwrite, story, compact)
    finally:
        chosen.close()


def train(config: str, data: str, output: str, resume: bool = False, overrides: list[str] | None = None) -> None:
    """Train the model that a YAML file describes; any entry can be set from here, as in --training.seed 3.

    Args:
        config: YAML file with model, transforms and training; with ensemble, several are trained, as AdaGAN does.
        data: the shower file to train on.
        output: the run folder to write.
        resume: continue a run that was interrupted; the result equals an uninterrupted one.
        overrides: not for the command line.
    """
    from caloforge.files import ShowerFile
    from caloforge.run_folder import complete

    with ShowerFile(data) as file:
        recipe = configured(config, overrides or [], file.geometry)
        story = {key: value for key, value in file.provenance.items() if key != "notes"}
        finished = complete(output)
        recipe.fit(file[:], output, resume, story, say)
    say(_complete(output) if finished else f"wrote {output}")


def generate(
    model: str,
    output: str,
    energy: str | None = None,
    events: int | None = None,
    seed: int = 1,
    first_event: int = 0,
    conditions_from: str | None = None,
    deposited: bool = False,
    thresholds: bool = True,
    members: int | None = None,
    theta: str | None = None,
    phi: str | None = None,
    eta: str | None = None,
    compact: bool = False,
    overwrite: bool = False,
) -> None:
    """Generate showers with a trained model, or with an ensemble of such.

    Args:
        model: run folder of the model.
        output: the file to write; the same command continues a killed one.
        energy: incident energy, as for simulate.
        events: number of showers; with conditions_from, all of that file by default.
        seed: showers are a function of (conditions, seed, event).
        first_event: number of the first event, so that several machines can share a sample.
        conditions_from: a shower file whose conditions to use, event by event, in place of energy.
        deposited: take also the deposited energy from conditions_from, in place of the model's own response.
        thresholds: false gives the showers before the detector's thresholds, as the model itself makes them.
        members: take only the first so many components of an ensemble.
        theta: if the model was trained with it.
        phi: if the model was trained with it.
        eta: if the model was trained with it.
        compact: round cell energies to 7 bits of mantissa (within 0.4 %) and compress hard: a third of the size.
        overwrite: replace an output of another command.
    """
    from caloforge.ensembles import load
    from caloforge.production import condition_source, surrogate_identity

    if conditions_from is not None and Path(output).exists() and Path(output).samefile(conditions_from):
        raise InputError(f"{output} is the file that conditions are taken from: choose another name for the output.")
    surrogate = load(model, members)
    surrogate.cuts = thresholds
    given = _given(energy=energy, theta=theta, phi=phi, eta=eta)
    source, available = condition_source(given, conditions_from, surrogate, deposited)
    if events is None and available is None:
        raise InputError("the number of events is missing: give --events, or --conditions-from a file.")
    if available is not None and first_event + (events or 1) > available:
        raise InputError(f"{conditions_from} has {available} showers: ask for events below number {available}.")
    count = (available or 0) - first_event if events is None else events
    if conditions_from is not None:
        say(f"conditions from {conditions_from}: {', '.join(source.provenance()['taken'])}")
    identity = surrogate_identity(surrogate, model, deposited)
    _produce(surrogate, source, count, output, seed, first_event, overwrite, identity, compact)


def validate(
    reference: str,
    sample: list[str],
    output: str,
    floor: str | None = None,
    training: str | None = None,
    fail_above: list[str] | None = None,
    seed: int = 0,
    quick: bool = False,
    thresholds: bool = True,
    json: bool = False,
) -> int:
    """Compare samples with Geant4: writes report.json and report.html.

    Args:
        reference: Geant4 showers that no model was trained on.
        sample: the file to judge, FILE or NAME=FILE; several after one another.
        output: folder of the report.
        floor: independent Geant4 showers for the floor; without them the reference is split in two.
        training: what the models were trained on, for the test of novelty; also the floor, if none is given.
        fail_above: NAME=VALUE; exit with 1 if that metric of any sample is above the value; several after one another.
        seed: of the metrics' random choices.
        quick: train the classifier for seconds, not minutes: a weaker test.
        thresholds: false compares showers before any threshold; by default cells below the reference's become zero.
        json: print the report's metrics on standard output as JSON.
    """
    from caloforge.judge import judge

    bounds = dict(_bound(each) for each in fail_above or [])
    report = judge(reference, _samples(sample), Path(output), floor, training, bounds, seed, quick, thresholds)
    _print(report.metrics if json else report.summary(), json)
    say(f"open {Path(output, 'report.html').resolve()}")
    failures = report.failures(bounds)
    for row in failures:
        say(f"above its bound: {row['name']} of {row['sample']} is {row['value']:g}, allowed {row['bound']:g}")
    return 1 if failures else 0


def study(
    file: str,
    output: str | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    reference: str | None = None,
) -> None:
    """Vary one parameter at a time over several seeds: train, generate, validate; one table, one report.

    Args:
        file: YAML file of the study.
        output: the folder to write, named like the file by default; the same command continues a study that was
            stopped or extended.
        workers: trainings at once, one thread each; as many as there are cores by default, or one job on a cluster.
        cluster: local, slurm or htcondor, if not what the file says.
        reference: held-out showers to judge on, if not those that the file names; nothing is trained anew.
    """
    from caloforge.progress import progress_bar
    from caloforge.studies import run_study

    folder = Path(Path(file).stem if output is None else output)
    with progress_bar("Study", "runs") as bar:
        table = run_study(file, folder, workers, cluster, reference, say, bar)
    print(table)
    say(f"open {folder.joinpath('report.html').resolve()}")


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
        _print(
            answer if json else f"{file} is a valid shower file: {len(showers)} showers of {showers.geometry.name}.",
            json,
        )


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
        kept = run(file, output, selection, compact, overwrite, {"command": _command()}, bar)
    say(f"kept {kept[0]} of {kept[1]} showers; wrote {output}" if kept else _complete(output))


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
        joined = run(files, output, overwrite, {"command": _command()}, bar)
    say(f"joined {joined} showers; wrote {output}" if joined else _complete(output))


def info(path: str, json: bool = False) -> None:
    """Say what a shower file, a run folder or a report holds.

    Args:
        path: file or folder.
        json: answer in JSON.
    """
    from caloforge.describe import describe, readable

    found = describe(Path(path))
    _print(found if json else readable(found), json)


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
    _print(found if json else "\n".join(found if name is None else found.values()), json)


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
    _print(found if json else "\n".join(f"{name:18s} {path or 'missing'}" for name, path in found.items()), json)


# --- what the commands share ----------------------------------------------------------------------------------------

COMMANDS: dict[str, Callable[..., Any]] = {
    "quickstart": quickstart,
    "simulate": simulate,
    "train": train,
    "generate": generate,
    "validate": validate,
    "study": study,
    "select": select,
    "join": join,
    "check": check,
    "info": info,
    "datasets": datasets,
    "geant4-data": geant4_data,
}


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _produce(
    simulator: Any,
    source: Any,
    events: int,
    output: str,
    seed: int,
    first_event: int,
    overwrite: bool,
    identity: dict[str, Any],
    compact: bool,
) -> None:
    from caloforge.production import produce
    from caloforge.progress import progress_bar

    notes = {"command": _command()}
    with progress_bar(Path(output).name) as bar:
        done = produce(simulator, source, events, output, seed, identity, first_event, overwrite, notes, bar, compact)
    say(f"wrote {output}" if done else _complete(output))


def _command() -> str:
    return " ".join(["caloforge", *sys.argv[1:]])


def _complete(output: str) -> str:
    return f"{output} is complete already; nothing to do"


def _samples(texts: Sequence[str]) -> dict[str, str]:
    """The files to judge by name; two of one name are refused."""
    named = [_named(text) for text in texts]
    names = [name for name, _ in named]
    if not all(names) or len(set(names)) < len(names):
        raise InputError(
            f"the samples are called {', '.join(map(repr, names))}: give each a name of its own, NAME=FILE."
        )
    return dict(named)


def _named(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    return (name, path) if separator and not Path(text).exists() else (Path(text).stem, text)


def _bound(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        raise InputError(f"{text!r} is no gate: write NAME=VALUE, as in correlation_mse=0.01.")
    return name, bound


def _print(answer: Any, as_json: bool) -> None:
    print(json.dumps(answer, indent=2) if as_json else answer)


def say(message: str) -> None:
    """Tell the user something, on standard error."""
    print(message, file=sys.stderr)
