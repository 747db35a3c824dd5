"""Much work at once: in this process, on local processes, or on a batch system, through Dask.

The runs of a study keep what they make in folders, which all workers must see (a shared file system on a batch system);
simulated showers come back to the one who waits for them, who writes part after part. So little is lost when workers,
or the one who waits, are killed.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from caloforge.errors import InputError, WorkError

__all__ = ["CLUSTERS", "each_done", "workers"]

CLUSTERS = {"local": "LocalCluster", "slurm": "SLURMCluster", "htcondor": "HTCondorCluster"}
SUBMIT = {"slurm": "sbatch", "htcondor": "condor_submit"}
DEFAULTS = {"cores": 1, "processes": 1, "memory": "4GB", "scheduler_options": {"dashboard_address": ":0"}}
T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def workers(kind: str, count: int, options: Mapping[str, Any], alone: bool = True) -> Iterator[Any]:
    """A Dask client with `count` workers of one thread each; None for one local worker, if it may work `alone`.

    Parameters
    ----------
    kind : ``local`` processes, or jobs of ``slurm`` or ``htcondor`` (dask-jobqueue).
    options : of dask-jobqueue's SLURMCluster or HTCondorCluster, such as memory, walltime, queue; what is not given is
        taken from Dask's own configuration (``~/.config/dask/jobqueue.yaml``).
    """
    if not isinstance(kind, str) or kind not in CLUSTERS or count < 1:
        raise InputError(f"{count} workers on {kind!r}: give one or more, on {', '.join(CLUSTERS)}.")
    if kind == "local" and options:
        raise InputError(f"local workers take no options, got {', '.join(map(str, options))}.")
    if kind != "local" and shutil.which(SUBMIT[kind]) is None:
        raise InputError(f"{kind} needs its command {SUBMIT[kind]}, which is not here: start where jobs are submitted.")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told in our own words
    if kind == "local" and count == 1 and alone:
        yield None
        return
    with _cluster(kind, count, options) as cluster, _dask().Client(cluster) as client:
        yield client


def _cluster(kind: str, count: int, options: Mapping[str, Any]) -> Any:
    if kind == "local":
        return _dask().LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
        )
    try:
        import dask_jobqueue
    except ImportError as error:
        raise InputError(f"{kind} needs dask-jobqueue: pip install 'caloforge[study]'.") from error
    try:
        cluster = getattr(dask_jobqueue, CLUSTERS[kind])(**{**DEFAULTS, **options})
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{kind} does not take the options {dict(options)}: {error}.") from error
    cluster.scale(jobs=count)
    return cluster


def _dask() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise InputError("several workers need Dask: pip install 'caloforge[study]', or ask for one worker.") from error
    return distributed


def each_done(client: Any, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[T, R]]:
    """Each task with its result, as they are done; the first error ends it."""
    running = Running(client, function)
    for task in tasks:
        running.add(task)
    while running:
        yield running.next()


class Running:
    """Tasks on their way: add one, take the next that is done."""

    def __init__(self, client: Any, function: Callable[[Any], Any]) -> None:
        self.client, self.function = client, function
        self.tasks: dict[Any, Any] = {}
        self.waiting: list[Any] = []

    def __len__(self) -> int:
        return len(self.tasks) + len(self.waiting)

    def add(self, task: Any) -> None:
        """Send a task to a worker."""
        if self.client is None:
            self.waiting.append(task)
        else:
            self.tasks[self.client.submit(self.function, task, pure=False, retries=1)] = task

    def next(self) -> tuple[Any, Any]:
        """The next task that is done, with its result."""
        if self.client is None:
            task = self.waiting.pop(0)
            return task, self.function(task)
        distributed = _dask()
        done = distributed.wait(list(self.tasks), return_when="FIRST_COMPLETED").done
        future = next(iter(done))
        task = self.tasks.pop(future)
        try:
            return task, future.result()
        except distributed.KilledWorker as error:
            raise WorkError(
                f"a worker died twice at {task}: is there enough memory? The same command goes on."
            ) from error
