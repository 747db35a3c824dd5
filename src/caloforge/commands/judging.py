"""The commands that compare: ``validate`` and ``study``."""

import math
from collections.abc import Sequence
from pathlib import Path

from caloforge.commands.terminal import say, show
from caloforge.errors import InputError

__all__ = ["study", "validate"]


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
    show(report.metrics if json else report.summary(), json)
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
    show(table)
    say(f"open {folder.joinpath('report.html').resolve()}")


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
