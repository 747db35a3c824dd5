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

from caloforge.errors import InputError
from caloforge.studies.definition import Setting, Study
from caloforge.studies.pool import Running
from caloforge.studies.runs import AFTER, Run, perform, runs_of

__all__ = ["checked", "run"]

JOURNAL = "search.log"


def run(study: Study, plan: Mapping[Setting, list[Run]], output: Path, client: Any, count: int, say: Any) -> list[Any]:
    """Do the trials that are missing; all trials, the best first."""
    assert study.search is not None
    metrics, trials, space = checked(study)
    base = study.settings[0]
    found = _optuna_study(study.path.stem, output / JOURNAL, len(metrics))
    running = Running(client, perform)
    asked: dict[Path, Any] = {}

    def ask() -> None:
        trial = found.ask()
        entries = tuple(f"--{name}={_suggest(trial, name, choice)}" for name, choice in space.items())
        setting = replace(base, parameter="search", label=str(trial.number), overrides=(*base.overrides, *entries))
        (each,) = runs_of(study, setting, study.seeds[:1], output)
        asked[each.judged] = trial
        running.add(each)

    left = trials - len(_complete(found))
    for _ in range(min(count, left)):
        ask()
    while running:
        done, result = running.next()
        trial = asked.pop(done.judged)
        scores = result.get("scores", {}).get(AFTER)
        values = [scores[metric][0] for metric in metrics] if scores else None
        found.tell(trial, values, state=None if values else _state("FAIL"))
        say(f"trial {trial.number}: {trial.params} gives {values or result['failed']}")
        if trials > len(_complete(found)) + len(running) and trial.number < 10 * trials:
            ask()
    return sorted(
        (
            {"number": each.number, **each.params, "values": each.values, "metrics": metrics}
            for each in _complete(found)
        ),
        key=lambda each: each["values"],
    )


def checked(study: Study) -> tuple[list[str], int, dict[str, Any]]:
    """Metrics, number of trials and space of a search, or what is wrong with them."""
    section = dict(study.search or {})
    metrics, trials, space = (section.pop(key, None) for key in ("minimize", "trials", "space"))
    metrics = [metrics] if isinstance(metrics, str) else metrics
    if section or not metrics or not isinstance(trials, int) or trials < 1 or not isinstance(space, dict) or not space:
        raise InputError(
            f"{study.path}: the search needs minimize (metrics), trials (a number) and space, and knows no "
            f"{', '.join(section) or 'other'}."
        )
    for name, choice in space.items():
        if not isinstance(choice, list) and not (isinstance(choice, dict) and {"low", "high"} <= set(choice)):
            raise InputError(f"{study.path}: {name} is {choice!r}; give a list of choices, or low and high.")
    return metrics, trials, space


def _suggest(trial: Any, name: str, choice: Any) -> Any:
    if isinstance(choice, list):
        return trial.suggest_categorical(name, choice)
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
        found = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=name,
            directions=["minimize"] * n_metrics,
            load_if_exists=True,
        )
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
