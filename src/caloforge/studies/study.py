"""A study from its file to its report.

``OUTPUT/`` holds ``runs/<name>/seed-<k>/`` (see `runs`), ``reports/<parameter>/`` with the validation report that
compares the settings of one parameter, each by the union of its seeds, and, written last, ``table.csv``, ``table.md``,
``report.json`` and ``report.html``. All of it can be made again from the runs, which are what takes time.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from caloforge import __version__
from caloforge.cluster import each_done, workers
from caloforge.errors import InputError
from caloforge.files import ShowerFile
from caloforge.judge import write as write_report
from caloforge.metrics import QUICK_AUC, QUICK_KERNEL
from caloforge.report import plain, validate, write_text
from caloforge.studies import search, table
from caloforge.studies.definition import DEFAULT, Setting, Study, slug
from caloforge.studies.runs import AFTER, CLASSIFIER, Run, check_metrics, floors, perform_all, runs_of, trains_cut
from caloforge.studies.sources import Cut, Union

__all__ = ["run_study"]

Plan = dict[Setting, list[Run]]
Say = Callable[[str], None]
Progress = Callable[[int, int, str], None]


def run_study(
    path: str | Path,
    output: str | Path,
    count: int | None = None,
    cluster: str | None = None,
    reference: str | Path | None = None,
    say: Say = lambda message: None,
    progress: Progress = lambda done, total, label: None,
) -> str:
    """Do what is missing of a study; its table as text. Stopped at any moment, the same call goes on.

    Parameters
    ----------
    path : the study's YAML file.
    output : folder of the study.
    count : trainings at once; by default as many as there are cores, or one job on a cluster.
    cluster : local, slurm or htcondor, in place of what the file says.
    reference : showers to judge on, in place of those that the file names.
    say : hears of each run that is done.
    progress : hears (runs done, runs in all, the last one's name).
    """
    study, output = Study.read(path, reference), Path(output)
    plan = planned(study, output)
    first = next(iter(plan.values()))[0]
    check_metrics(study.metrics, first)
    if study.search is not None:
        check_metrics(search.checked(study)[0], first)
    output.mkdir(parents=True, exist_ok=True)
    options = dict(study.cluster)
    kind = options.pop("kind", "local")
    if cluster not in (None, kind):
        kind, options = str(cluster), {}
    if count is None:
        count = len(os.sched_getaffinity(0)) if kind == "local" else 1
    with _alone(output), workers(kind, count, options) as client:
        results = _performed(plan, client, say, progress)
        trials = search.run(study, plan, output, client, count, say) if study.search else []
        rows = tabulated(study, plan, results, say)
        reports = reported(study, plan, results, output, say) if study.reports else []
        return finished(study, rows, trials, reports, output)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Nobody else works in the folder as long as the block lasts."""
    with (output / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"another process is working on the study in {output}: wait for it.") from error
        yield


def planned(study: Study, output: Path) -> Plan:
    """The runs of each setting. Every configuration and file is read, so that mistakes show before any training."""
    return {setting: runs_of(study, setting, study.seeds, output) for setting in study.settings}


def _performed(plan: Plan, client: Any, say: Say, progress: Progress) -> dict[Path, dict[str, Any]]:
    """The result of every run, by its folder; runs that several settings share are done once, the first seeds first."""
    names: dict[Path, str] = {}
    groups: dict[tuple[int, Path], dict[Path, Run]] = {}  # trainings, with all that they are judged on
    for setting, runs in plan.items():
        for run in runs:
            names.setdefault(run.judged, f"{setting.name}, seed {run.seed}")
            groups.setdefault((run.seed, run.folder), {})[run.judged] = run
    found = {folder: run.result for group in groups.values() for folder, run in group.items()}
    results = {folder: each for folder, each in found.items() if each is not None}
    _tell_versions(results, say)
    order = sorted(groups, key=lambda key: key[0])
    missing = [tuple(run for run in groups[key].values() if run.judged not in results) for key in order]
    progress(len(results), len(found), "")
    for done, each in each_done(client, perform_all, [runs for runs in missing if runs]):
        for run, result in zip(done, each, strict=True):
            results[run.judged] = result
            progress(len(results), len(found), names[run.judged])
            say(f"{names[run.judged]}: {_outcome(result)}")
    return results


def _tell_versions(results: Mapping[Path, Mapping[str, Any]], say: Say) -> None:
    """Say how many results another version of caloforge made."""
    others = [each.get("caloforge", "an unknown version") for each in results.values()]
    others = [each for each in others if each != __version__]
    if others:
        say(
            f"{len(others)} of the runs were made with caloforge {', '.join(sorted(set(others)))}, this is "
            f"{__version__}: they are kept; remove their result.json to have them judged anew."
        )


def _outcome(result: Mapping[str, Any]) -> str:
    if "failed" in result:
        return str(result["failed"])
    scores = result["scores"][AFTER]
    first = next((name for name in table.HEADLINE if name in scores), next(iter(scores)))
    return f"{first} {scores[first][0]:.3g} after {result['steps']} steps in {result['seconds']:.0f} s"


def tabulated(
    study: Study, plan: Plan, results: Mapping[Path, Mapping[str, Any]], say: Say = lambda message: None
) -> list[table.Row]:
    """The table of all settings; the floors are measured once for each data set."""
    known: dict[Any, Any] = {}
    rows: list[table.Row] = []
    base = study.settings[0]
    default = [results[run.judged] for run in plan[base]]
    for setting, runs in plan.items():
        cut = trains_cut(runs[0])
        stages = list(runs[0].samples)
        for stage in stages:
            key = (setting.data, stage == AFTER or cut)
            if key not in known:
                say(f"measuring the floor of {setting.data.reference.name}")
                known[key] = floors(setting.data, key[1], study.classifier)
        bounds = {stage: known[setting.data, stage == AFTER or cut] for stage in stages}
        found = [results[run.judged] for run in runs]
        like = default if setting.data.reference == base.data.reference else []
        rows += table.rows(setting.parameter, setting.label, found, like, bounds, setting.data.reference.stem)
    return rows


def reported(study: Study, plan: Plan, results: Mapping[Path, Mapping[str, Any]], output: Path, say: Say) -> list[str]:
    """A validation report for each parameter (and stage, and data) that compares its settings; the reports' names.

    The default stands beside them, if it is none of them and was judged on the same showers.
    """
    default, names = study.settings[0], []
    for parameter in dict.fromkeys(setting.parameter for setting in study.settings if setting is not default):
        settings = [each for each in study.settings if each.parameter == parameter]
        data = list(dict.fromkeys(each.data for each in settings))
        for number, these in enumerate(data, 1):
            chosen = {each.label: plan[each] for each in settings if each.data == these}
            if default.data == these and plan[default] not in chosen.values() and DEFAULT not in chosen:
                chosen = {DEFAULT: plan[default], **chosen}
            scored = {label: [run for run in runs if "scores" in results[run.judged]] for label, runs in chosen.items()}
            scored = {label: runs for label, runs in scored.items() if runs}
            for stage in plan[default][0].samples if scored else ():
                name = slug(parameter, str(number) if len(data) > 1 else "", "" if stage == AFTER else stage)
                _report(study, scored, stage, output / "reports" / name, say)
                names.append(name)
    return names


def _report(study: Study, good: Mapping[str, Sequence[Run]], stage: str, folder: Path, say: Say) -> None:
    """Validate the unions of some settings and write the report, unless it is there already."""
    made_of = [[label, [str(run.judged) for run in runs]] for label, runs in good.items()]
    inputs = json.dumps([stage, study.classifier, made_of])
    marker = folder / "inputs.json"
    if marker.is_file() and marker.read_text() == inputs and (folder / "report.json").is_file():
        return
    say(f"comparing the settings of {folder.name}")
    run = next(iter(good.values()))[0]
    with ExitStack() as stack:
        unions = {
            label: Union([stack.enter_context(ShowerFile(each.samples[stage])) for each in runs])
            for label, runs in good.items()
        }
        reference = stack.enter_context(ShowerFile(run.data.reference))
        training = stack.enter_context(ShowerFile(run.data.training))
        cut = stage != AFTER and trains_cut(run)
        report = validate(
            Cut(reference) if cut else reference,
            unions,
            floor=Cut(training) if cut else training,
            classifier=CLASSIFIER[study.classifier] or QUICK_AUC,
            kernel=None if study.classifier == "full" else QUICK_KERNEL,
            imposed={label: union.provenance["imposed"] for label, union in unions.items()},
            provenance={"Geant4": reference.provenance, "floor": training.provenance},
            thresholds=stage == AFTER,
        )
    write_report(report, folder)
    write_text(marker, inputs)


def finished(
    study: Study, rows: list[table.Row], trials: list[dict[str, Any]], reports: list[str], output: Path
) -> str:
    """Write the table in its forms and the page; the table as text."""
    from caloforge.plots.study import write_page

    metrics = [*table.HEADLINE, *(each for each in study.metrics if each not in table.HEADLINE)]
    text = table.as_markdown(rows, metrics)
    write_text(output / "table.csv", table.as_csv(rows))
    write_text(output / "table.md", text)
    content: dict[str, Any] = {
        "format": "caloforge-study",
        "version": 1,
        "study": study.path.read_text(encoding="utf-8"),
    }
    content = plain(content | {"rows": rows, "trials": trials})
    write_text(output / "report.json", json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_page(study.path.stem, rows, metrics, trials, reports, output / "report.html")
    return text
