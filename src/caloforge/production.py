"""Fill a shower file with any simulator, in parts: what ``caloforge simulate`` and ``caloforge generate`` share.

Killed at any moment, the same call continues from the parts that were complete; since a shower depends on its
conditions, the seed and its event number alone, the file equals an uninterrupted one, for any number of workers.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

import caloforge
from caloforge.conditions import ConditionSampler
from caloforge.errors import InputError
from caloforge.files import ShowerFile, chunk_rows, origin
from caloforge.geometry import Geometry
from caloforge.parts import Parts
from caloforge.showers import SEED_LIMIT, Conditions, Showers, Simulator, check_seed

NOT_APPLIED = "not applied"  # what files generated without thresholds say
PART_BYTES = 2**25
CHECKED = 2**20  # events whose conditions are checked at a time
Progress = Callable[[int, int], None]
Arrays = dict[str, NDArray[np.float64]]
Deposited = Callable[[Showers], NDArray[np.float64]]


class ConditionSource(Protocol):
    """Where conditions come from: drawn (`conditions.ConditionSampler`) or read (`ConditionsFrom`)."""

    def sample(self, seed: int, first_event: int, n: int) -> Arrays:
        """Conditions of n events from `first_event` on, each of shape (N,)."""
        ...

    def provenance(self) -> dict[str, Any]:
        """What decides the conditions, besides the seed."""
        ...


class ConditionsFrom:
    """The conditions of another file, event by event; with `deposited`, also the deposited energy that it computes."""

    def __init__(self, path: str | os.PathLike[str], deposited: Deposited | None = None) -> None:
        self.file, self.deposited = ShowerFile(path), deposited

    def sample(self, seed: int, first_event: int, n: int) -> Arrays:
        """Conditions of the file's showers number `first_event` to `first_event` + n − 1."""
        if first_event + n > len(self.file):
            raise InputError(
                f"{self.file.path} has {len(self.file)} showers; events up to {first_event + n} were asked for."
            )
        conditions = {name: values[first_event : first_event + n] for name, values in self.file.conditions.items()}
        if self.deposited:
            conditions["deposited"] = self.deposited(self.file[first_event : first_event + n])
        return conditions

    def provenance(self) -> dict[str, Any]:
        """The names of the conditions that were taken, and the sample they come from."""
        names = [*self.file.conditions, *(["deposited"] if self.deposited else [])]
        return {"taken": names, "from": origin(self.file.provenance)}

    def check_geometry(self, geometry: Geometry) -> None:
        """Refuse a simulator of another geometry."""
        if self.file.geometry != geometry:
            raise InputError(
                f"{self.file.path} is of geometry {self.file.geometry.name!r}, the model of "
                f"{geometry.name!r}, or their cells differ: take conditions from the same geometry."
            )


def condition_source(
    texts: Mapping[str, str], path: str | None, surrogate: Any, deposited: bool
) -> tuple[Any, int | None]:
    """What the command line asks for: a source of conditions, and how many events it has, if that is limited.

    With `deposited`, the deposited energy is taken as well, as the surrogate counts it.
    """
    if path is None and not deposited and "energy" in texts:
        return ConditionSampler(texts), None
    if path is None or texts:
        raise InputError("give either --energy (and --theta, --phi), or --conditions-from FILE (and --deposited).")
    source = ConditionsFrom(path, surrogate.deposited if deposited else None)
    source.check_geometry(surrogate.geometry)
    return source, len(source.file)


@runtime_checkable
class Parallel(Protocol):
    """A simulator that has its own workers."""

    def stream(
        self, tasks: list[tuple[Arrays, int]], seed: int, on_event: Callable[[int, int], None]
    ) -> Iterator[tuple[int, Showers]]:
        """(number, showers) of each task (conditions, first event), as they complete."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A simulator that says beforehand which conditions it refuses, so that nothing is half written."""

    def check(self, conditions: Conditions) -> None:
        """Raise `InputError` for conditions that it cannot take."""


def surrogate_identity(surrogate: Any, run: str | os.PathLike[str], deposited: bool = False) -> dict[str, Any]:
    """What decides the showers of a surrogate or a mixture: its run's weights and what they were trained on.

    With `deposited`, the deposited energy is given, so that the observables made of it alone are imposed, not learned;
    unless thresholds still change it, because the model learned showers without them.
    """
    from caloforge.run_folder import final

    return {
        "simulator": surrogate.kind,
        "weights_sha256": sha256(final(Path(run)).read_bytes()).hexdigest(),
        "training": surrogate.provenance.get("data", {}),
        "imposed": ["energy_total", "response"] if deposited and (surrogate.threshold or not surrogate.cuts) else [],
        **({} if surrogate.cuts else {"thresholds": NOT_APPLIED}),
    }


def is_cut(provenance: Mapping[str, Any]) -> bool:
    """Whether a file says that its showers were generated, and then got the thresholds."""
    return "weights_sha256" in provenance and provenance.get("thresholds") != NOT_APPLIED


def produce(
    simulator: Simulator,
    source: ConditionSource,
    events: int,
    output: str | os.PathLike[str],
    seed: int,
    provenance: Mapping[str, Any],
    first_event: int = 0,
    overwrite: bool = False,
    notes: Mapping[str, Any] | None = None,
    progress: Progress = lambda done, total: None,
    compact: bool = False,
) -> bool:
    """Write `events` showers to `output`; False if they were there already.

    Parameters
    ----------
    seed, first_event : the events are numbered from `first_event` on, so that several machines can share a sample.
    provenance : all that decides the showers besides seed, events and conditions; it goes into the file.
    notes : further entries of the file's provenance that decide nothing, such as the command.
    progress : hears (events done, events in all).
    compact : round the energies to make the file smaller (`caloforge.packing`).
    """
    check_numbers(events, seed, first_event)
    identity = {
        **provenance,
        "caloforge": caloforge.__version__,
        "seed": seed,
        "first_event": first_event,
        "conditions": source.provenance(),
    }
    if isinstance(simulator, Checking):
        for start in range(0, events, CHECKED):
            simulator.check(source.sample(seed, first_event + start, min(CHECKED, events - start)))
    parts = Parts(output, simulator.geometry, events, _part_size(simulator, events), identity, overwrite, compact)
    if parts.complete:
        return False
    try:
        _fill(parts, simulator, source, seed, first_event, progress)
        parts.finish(notes or {})
    finally:
        parts.close()
    return True


def check_numbers(events: int, seed: int, first_event: int) -> None:
    """Refuse numbers of events and seeds that cannot be used."""
    if events < 1 or not 0 <= first_event <= SEED_LIMIT - events:
        raise InputError(
            f"{events} events from number {first_event} on cannot be made: give one or more events, numbered "
            f"from 0 to {SEED_LIMIT - 1}."
        )
    check_seed(seed)


def _part_size(simulator: Simulator, events: int) -> int:
    """Events in a part: few where showers are slow, so that a kill costs little; whole chunks where they are fast."""
    if isinstance(simulator, Parallel):
        return min(max(50, events // 400), -(-events // 16))
    rows = chunk_rows(simulator.geometry.n_cells)
    return max(rows, PART_BYTES // (4 * simulator.geometry.n_cells) // rows * rows)


def _fill(
    parts: Parts, simulator: Simulator, source: ConditionSource, seed: int, first_event: int, progress: Progress
) -> None:
    missing = parts.missing()
    done = parts.n - sum(stop - start for start, stop in missing)
    progress(done, parts.n)
    if isinstance(simulator, Parallel):
        running: dict[int, int] = {}

        def on_event(number: int, n: int) -> None:
            running[number] = running.get(number, 0) + n
            progress(done + sum(running.values()), parts.n)

        tasks = [
            (source.sample(seed, first_event + start, stop - start), first_event + start) for start, stop in missing
        ]
        for number, showers in simulator.stream(tasks, seed, on_event):
            parts.add(missing[number][0], showers)
            running.pop(number, None)
            done += len(showers)
    else:
        for start, stop in missing:
            conditions = source.sample(seed, first_event + start, stop - start)
            parts.add(start, simulator.sample(conditions, seed, first_event + start))
            done += stop - start
            progress(done, parts.n)
    progress(parts.n, parts.n)
