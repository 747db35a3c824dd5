"""Searching where a grid is too large: Optuna proposes settings, runs are their trials.

The section ``search`` of a study's file:

.. code-block:: yaml

    search:
      minimize: correlation_mse/ratio      # a metric, or a list of them
      trials: 40
      space:
        model.learning_rate: {low: 1.0e-5, high: 1.0e-2, log: true}
        model.depth: {low: 1, high: 5}     # whole numbers
        model.width: [64, 128, 256]

Every trial is a run with the study's first seed. What was tried lies in ``search.log`` (Optuna's journal), so that a
search that was stopped goes on: its trials that were not finished are proposed again, and find their checkpoints.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from caloforge.cluster import Running
from caloforge.errors import InputError
from caloforge.studies.definition import Setting, Study, digest, text_of
from caloforge.studies.runs import AFTER, Run, perform, runs_of

__all__ = ["checked", "run"]

JOURNAL = "search.log"
MOST = 10  # trials for each that is wanted: if most diverge, it ends


def run(study: Study, plan: Mapping[Setting, list[Run]], output: Path, client: Any, count: int, say: Any) -> list[Any]:
    """Do the trials that are missing; all trials, the best first."""
    assert study.search is not None
    metrics, trials, space = checked(study)
    base = study.settings[0]
    _check_entries(study, base, space, output)
    name = digest([metrics, space, plan[base][0].judged.relative_to(output).as_posix(), study.classifier])
    found = _optuna_study(name, output / JOURNAL, len(metrics))
    work = _Trials(study, space, output, found, Running(client, perform))
    while True:
        while work.missing(trials) and len(work.asked) < count and len(found.trials) < MOST * trials:
            work.ask()
        if not work.running:
            break
        work.take(metrics, say)
    done = (
        {"number": each.number, **each.params, "values": each.values, "metrics": metrics} for each in _complete(found)
    )
    return sorted(done, key=lambda each: each["values"])


class _Trials:
    """The trials of a search that are under way, by the folder that judges them; two of one setting share its run."""

    def __init__(self, study: Study, space: Mapping[str, Any], output: Path, found: Any, running: Running) -> None:
        self.study, self.space, self.output, self.found, self.running = study, space, output, found, running
        self.asked: dict[Path, list[Any]] = {}

    def missing(self, trials: int) -> bool:
        """Whether there are to be more than are complete or under way."""
        return trials > len(_complete(self.found)) + sum(map(len, self.asked.values()))

    def ask(self) -> None:
        """Have a setting proposed, and send it to the workers."""
        trial, base = self.found.ask(), self.study.settings[0]
        entries = tuple(f"--{entry}={_suggest(trial, entry, choice)}" for entry, choice in self.space.items())
        setting = replace(base, parameter="search", label=str(trial.number), overrides=(*base.overrides, *entries))
        (each,) = runs_of(self.study, setting, self.study.seeds[:1], self.output)
        self.asked.setdefault(each.judged, []).append(trial)
        if len(self.asked[each.judged]) == 1:
            self.running.add(each)

    def take(self, metrics: list[str], say: Any) -> None:
        """Wait for the next result, and tell Optuna."""
        run, result = self.running.next()
        scores = result.get("scores", {}).get(AFTER)
        values = [scores[metric][0] for metric in metrics] if scores else None
        for trial in self.asked.pop(run.judged):
            self.found.tell(trial, values, state=None if values else _state("FAIL"))
            say(f"trial {trial.number}: {trial.params} gives {values or result['failed']}")


def checked(study: Study) -> tuple[list[str], int, dict[str, Any]]:
    """Metrics, number of trials and space of a search, or what is wrong with them."""
    section = dict(study.search or {})
    metrics, trials, space = (section.pop(key, None) for key in ("minimize", "trials", "space"))
    metrics = [metrics] if isinstance(metrics, str) else metrics
    named = isinstance(metrics, list) and metrics and all(isinstance(each, str) for each in metrics)
    if section or not named or type(trials) is not int or trials < 1 or not isinstance(space, dict) or not space:
        raise InputError(
            f"{study.path}: the search needs minimize (metrics), trials (a number) and space, and knows no "
            f"{', '.join(map(str, section)) or 'other'}."
        )
    for name, choice in space.items():
        if not (_is_list(choice) or _is_range(choice)):
            raise InputError(
                f"{study.path}: {name} is {choice!r}; give a list of choices, or low and high (low < high, above zero "
                "with log: true)."
            )
    return metrics, trials, space


def _is_list(choice: Any) -> bool:
    return isinstance(choice, list) and bool(choice) and all(isinstance(each, str | int | float) for each in choice)


def _is_range(choice: Any) -> bool:
    if not isinstance(choice, dict) or not {"low", "high"} <= set(choice) <= {"low", "high", "log"}:
        return False
    low, high, log = choice["low"], choice["high"], choice.get("log", False)
    numbers = all(type(each) in (int, float) for each in (low, high))
    return numbers and isinstance(log, bool) and low < high and (low > 0 or not log)


def _check_entries(study: Study, base: Setting, space: Mapping[str, Any], output: Path) -> None:
    """Refuse entries and choices that the configuration does not take, before anything is trained."""
    for name, choice in space.items():
        for value in choice if isinstance(choice, list) else (choice["low"], choice["high"]):
            entry = f"--{name}={text_of(value)}"
            runs_of(study, replace(base, overrides=(*base.overrides, entry)), study.seeds[:1], output)


def _suggest(trial: Any, name: str, choice: Any) -> Any:
    if isinstance(choice, list):
        return text_of(trial.suggest_categorical(name, choice))
    low, high, log = choice["low"], choice["high"], bool(choice.get("log", False))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, float(low), float(high), log=log)


def _optuna_study(name: str, journal: Path, n_metrics: int) -> Any:
    """The search of this name; trials that were under way when it was stopped are queued again."""
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise InputError("a search needs Optuna: pip install 'caloforge[study]'.") from error

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(journal))),
                study_name=name,
                directions=["minimize"] * n_metrics,
                load_if_exists=True,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{journal} is damaged ({error}): remove it; the runs are kept.") from error
        found.sampler = optuna.samplers.TPESampler(seed=len(found.trials))  # one that goes on repeats no proposal
    for trial in found.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        found.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        found.enqueue_trial(trial.params)
    return found


def _complete(found: Any) -> list[Any]:
    return list(found.get_trials(states=(_state("COMPLETE"),)))


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]
