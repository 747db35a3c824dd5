"""The workers of a batch system in place of processes of one's own, for engines that allow one instance per process.

`ClusterWorkers` is used like `caloforge.simulate.workers.Workers`. Each worker of the cluster builds the engine once,
with the first task that it gets, and keeps it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from caloforge.cluster import each_done, workers
from caloforge.errors import WorkError

__all__ = ["ClusterWorkers"]

Start = Callable[..., Callable[..., Any]]
_engine: tuple[tuple[Any, ...], Callable[..., Any]] | None = None  # of this process


class ClusterWorkers:
    """Engines ``start(*arguments)`` on `n` workers of a cluster (`caloforge.cluster`)."""

    def __init__(self, start: Start, arguments: tuple[Any, ...], n: int, cluster: str) -> None:
        self._stack = ExitStack()
        self._client = self._stack.enter_context(workers(cluster, n, {}, alone=False))
        self._task = partial(_work, start, arguments)

    def run(
        self, tasks: Sequence[dict[str, Any]], on_event: Callable[[int, int], None] = lambda task, n: None
    ) -> Iterator[tuple[int, Any]]:
        """Yield (number, result) of each task as it completes; `on_event` then hears (number, its events)."""
        for (number, task), result in each_done(self._client, self._task, list(enumerate(tasks))):
            on_event(number, len(task["conditions"]["energy"]))
            yield number, result

    def close(self) -> None:
        """End the workers."""
        self._stack.close()


def _work(start: Start, arguments: tuple[Any, ...], numbered: tuple[int, dict[str, Any]]) -> Any:
    """What a worker of the cluster does with a task."""
    global _engine
    if _engine is None:
        with open(os.devnull, "w") as nowhere:  # Geant4 introduces itself at length; what goes wrong is on stderr
            os.dup2(nowhere.fileno(), 1)
        _engine = arguments, start(*arguments)
    built, engine = _engine
    if built != arguments:
        raise WorkError(
            "this worker has built another detector, and Geant4 allows one in a process: start new workers."
        )
    return engine(**numbered[1], on_event=lambda: None)
