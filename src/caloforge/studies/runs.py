"""One run of a study: train, generate at the held-out showers' conditions, score. Each step is kept, none is repeated.

A run is a folder with ``training/`` (a run folder as ``caloforge train`` makes it) and, for each reference that it was
judged on, ``<name of the reference>/`` with ``showers.h5``, if asked for ``uncut.h5`` (before the thresholds), and
``result.json``, which appears last. A training that diverges is a result too.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge import __version__
from caloforge.arguments import configured
from caloforge.atomic import replacing
from caloforge.comparison import mean_over_observables
from caloforge.ensembles import Mixture
from caloforge.errors import DivergenceError, InputError
from caloforge.files import ShowerFile, origin
from caloforge.geometry import Geometry
from caloforge.metrics import AUC, QUICK_AUC, Estimate, Metric, Sample, default_metrics, survey
from caloforge.metrics.events import check_events, provenances, without_thresholds
from caloforge.metrics.sample import Rows, Source, random_rows
from caloforge.production import ConditionsFrom, produce, surrogate_identity
from caloforge.report import unknown_metric
from caloforge.studies.definition import CLASSIFIERS, Data, Setting, Study, digest, identity, story
from caloforge.surrogate import Surrogate
from caloforge.training import LOG

__all__ = ["AFTER", "BEFORE", "Run", "floors", "perform", "perform_all", "runs_of", "trains_cut"]

RESULT = "result.json"
AFTER, BEFORE = "after", "before"  # the thresholds
GENERATION_SEED = 1
SCORED = ("correlation_mse", "cell_mean", "cell_variance", "separation", "wasserstein")
CLASSIFIER = dict(zip(CLASSIFIERS, (QUICK_AUC, AUC(), None), strict=True))
Values = dict[str, list[float]]


@dataclass(frozen=True)
class Run:
    """A training with a seed, its judgement, and where both are kept.

    Parameters
    ----------
    folder : of the run.
    judged : folder, in that, of what depends on the reference.
    config, overrides : what is trained, as for ``caloforge train``.
    before_thresholds : score the showers before the thresholds as well.
    classifier : quick, full or none.
    """

    folder: Path
    judged: Path
    config: Path
    overrides: tuple[str, ...]
    seed: int
    data: Data
    before_thresholds: bool
    classifier: str

    @property
    def result(self) -> dict[str, Any] | None:
        """Scores by stage, seconds and steps, or why the training failed; None while the run is not complete."""
        path = self.judged / RESULT
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):  # not there, or damaged: it will be made (again)
            return None
        known = isinstance(found, dict) and ("scores" in found or "failed" in found)
        return found if known and found.get("request") == self.request else None

    @property
    def request(self) -> dict[str, Any]:
        """What decides the scores, beside the folder's name."""
        return {"before_thresholds": self.before_thresholds, "classifier": self.classifier}

    @property
    def samples(self) -> dict[str, Path]:
        """The showers it makes, by stage."""
        found = {AFTER: self.judged / "showers.h5"}
        return found | ({BEFORE: self.judged / "uncut.h5"} if self.before_thresholds else {})


def runs_of(study: Study, setting: Setting, seeds: Sequence[int], output: Path) -> list[Run]:
    """A setting's run with each seed, in folders that are named by what they are."""
    data = setting.data
    with ShowerFile(data.training) as training, ShowerFile(data.reference) as held_out:
        if training.geometry != held_out.geometry:
            raise InputError(
                f"{data.training} and {data.reference} of {setting.name!r} are of different geometries: train and "
                "judge on the same cells."
            )
        check_events(provenances({"reference": held_out, "training": training}, {}), "reference")
        name = named(setting.config, setting.overrides, data.training, training.geometry)
    folder = output / "runs" / name
    reference = f"{data.reference.stem}-{digest(story(data.reference))}"

    def run(seed: int) -> Run:
        place = folder / f"seed-{seed}"
        how = study.before_thresholds, study.classifier
        return Run(place, place / reference, setting.config, setting.overrides, seed, data, *how)

    return [run(seed) for seed in seeds]


def named(config: Path, overrides: Sequence[str], training: Path, geometry: Geometry) -> str:
    """The name of a training: what it is, but for its seed."""
    return identity(configured(str(config), overrides, geometry).config(), training)


def trains_cut(run: Run) -> bool:
    """Whether a run is trained on showers above the thresholds."""
    with ShowerFile(run.data.training) as file:
        return bool(configured(str(run.config), run.overrides, file.geometry).surrogate.threshold)


def perform_all(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The results of runs that share a training."""
    return [perform(run) for run in runs]


def perform(run: Run) -> dict[str, Any]:
    """Do what is missing of a run, on one thread; its result."""
    if run.result is None:
        run.judged.mkdir(parents=True, exist_ok=True)
        with _one_thread():
            try:
                result = _results(run)
            except DivergenceError as error:
                result = {"failed": str(error)}
        with replacing(run.judged / RESULT) as part:
            part.write_text(json.dumps({"caloforge": __version__, "request": run.request, **result}, indent=1) + "\n")
    found = run.result
    assert found is not None
    return found


def _results(run: Run) -> dict[str, Any]:
    surrogate = trained(run)
    scores = {}
    with ShowerFile(run.data.reference) as reference:
        for stage, path in run.samples.items():
            generate(surrogate, run, path, stage)
            with ShowerFile(path) as showers:
                theirs = surveyed(showers, stage == AFTER)
            scores[stage] = compared(surveyed(reference, geant4_cut(stage, surrogate)), theirs, run.classifier)
    return {"scores": scores, **duration(run.folder / "training")}


def duration(training: Path) -> dict[str, float]:
    """Seconds and steps of a training, or of all components of an ensemble."""
    logs = [training / LOG] if (training / LOG).exists() else sorted(training.glob(f"component-*/{LOG}"))
    rows = [list(csv.DictReader(log.read_text().splitlines()))[-1] for log in logs]
    return {"seconds": sum(float(row["seconds"]) for row in rows), "steps": sum(int(row["step"]) for row in rows)}


def trained(run: Run) -> Surrogate | Mixture:
    """The run's surrogate; a training that was interrupted goes on."""
    with ShowerFile(run.data.training) as file:
        if named(run.config, run.overrides, run.data.training, file.geometry) != run.folder.parent.name:
            raise InputError(f"{run.config} or {run.data.training} was changed while the study ran: start it again.")
        overrides = [*run.overrides, f"--training.seed={run.seed}"]
        recipe = configured(str(run.config), overrides, file.geometry).trained_by(threads=1, progress=False)
        story = origin(file.provenance)
        fitted: Surrogate | Mixture = recipe.fit(file[:], run.folder / "training", resume=True, provenance=story)
    return fitted


def generate(surrogate: Surrogate | Mixture, run: Run, path: Path, stage: str) -> None:
    """As many showers as the reference has, at its conditions."""
    surrogate.cuts = stage == AFTER
    source = ConditionsFrom(run.data.reference)
    identity = surrogate_identity(surrogate, run.folder / "training")
    produce(surrogate, source, len(source.file), path, GENERATION_SEED, identity, overwrite=True)


def geant4_cut(stage: str, surrogate: Surrogate | Mixture) -> bool:
    """Whether Geant4's showers get the thresholds: before those of the model, only if it was trained on such."""
    return stage == AFTER or surrogate.threshold


def surveyed(source: Source, cut: bool, rows: Rows | None = None) -> Sample:
    """Showers as the metrics see them, with or without the thresholds."""
    rows = np.arange(len(source)) if rows is None else rows
    return survey(source, [rows], source.geometry if cut else without_thresholds(source.geometry))[0]


def compared(reference: Sample, sample: Sample, classifier: str, floor: bool = False) -> Values:
    """Value and error of each metric; those that need no sample have no floor."""
    chosen = [each for each in metrics(reference.geometry, classifier) if not (floor and each.floor == "none")]
    return with_means({each.name: each.compare(reference, sample, np.random.default_rng(0)) for each in chosen})


def metrics(geometry: Geometry, classifier: str) -> list[Metric]:
    """What runs are scored by: the report's metrics but for those of neighbours and kernels."""
    auc = CLASSIFIER[classifier]
    offered = default_metrics(geometry, auc)
    names = (*SCORED, "auc") if auc else SCORED
    return [each for each in offered if each.name.split("/")[0] in names and each.name != "auc/low"]


def check_metrics(names: Sequence[str], run: Run) -> None:
    """Refuse names of metrics that the run will not be scored by."""
    with ShowerFile(run.data.reference) as file:
        known = {each.name for each in metrics(file.geometry, run.classifier)} | {"separation/mean", "wasserstein/mean"}
    for name in names:
        if name not in known:
            raise InputError(unknown_metric(name, known))


def floors(data: Data, cut: bool, classifier: str) -> Values:
    """Geant4 against Geant4: showers of the training set in the place of the generated ones."""
    with ShowerFile(data.reference) as reference, ShowerFile(data.training) as training, _one_thread():
        rows = random_rows(len(training), min(len(training), len(reference)))
        return compared(surveyed(reference, cut), surveyed(training, cut, rows), classifier, floor=True)


def with_means(found: Mapping[str, Estimate]) -> Values:
    """Value and error of each metric, and the means over the observables of those that have one for each."""
    values = {name: [each.value, each.error] for name, each in found.items()}
    for kind in ("separation", "wasserstein"):
        several = np.array([each for name, each in values.items() if name.startswith(f"{kind}/")])
        values[f"{kind}/mean"] = mean_over_observables(several)
    return values


@contextmanager
def _one_thread() -> Any:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
