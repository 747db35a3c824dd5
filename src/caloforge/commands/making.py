"""The commands that make showers and models: ``quickstart``, ``simulate``, ``train``, ``generate``."""

from pathlib import Path
from typing import Any, Literal

from caloforge.arguments import configured
from caloforge.commands.terminal import command_line, complete, say, show
from caloforge.errors import InputError

__all__ = ["generate", "quickstart", "simulate", "train"]


def quickstart(output: str = "quickstart", seconds: float = 85.0) -> None:
    """From a bundled Geant4 sample to a validation report: train two models, generate, validate.

    Args:
        output: the folder to write; the same command continues in it.
        seconds: training time of each of the two models.
    """
    from caloforge.quickstart import quickstart as run

    report = run(Path(output), seconds, say)
    show(report.summary())
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
    cluster: Literal["local", "slurm", "htcondor"] | None = None,
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
        workers: for geant4, processes, or jobs on a cluster; as many as there are cores by default.
        cluster: for geant4, where workers are: slurm or htcondor (jobs, through Dask), or local (processes of Dask).
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
    own = {"workers": workers, "cluster": cluster, "cut": cut, "fit": fit, "library": library, "symmetries": symmetries}
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
    from caloforge.files import ShowerFile, origin
    from caloforge.run_folder import finished

    with ShowerFile(data) as file:
        recipe = configured(config, overrides or [], file.geometry)
        before = finished(output)
        recipe.fit(file[:], output, resume, origin(file.provenance), say)
    say(complete(output) if before else f"wrote {output}")


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

    notes = {"command": command_line()}
    with progress_bar(Path(output).name) as bar:
        done = produce(simulator, source, events, output, seed, identity, first_event, overwrite, notes, bar, compact)
    say(f"wrote {output}" if done else complete(output))
