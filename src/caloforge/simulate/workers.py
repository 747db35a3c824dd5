"""Worker processes for engines that allow one instance per process and may die in it.

`Workers(start, arguments, n)` runs ``engine = start(*arguments)`` in each of `n` fresh processes, then feeds them
tasks: ``engine(**task, on_event=...)`` returns a result. A worker ends by itself when its parent is gone, and its
standard output and error go to a temporary log, whose last lines explain a death. A worker that a run left at work (it
was stopped, or the worker failed) is replaced before the next run, so that old results never pass for new ones.
"""

import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from caloforge.errors import InputError, WorkError


class Workers:
    """A pool of `n` processes, each with an engine of its own."""

    def __init__(self, start: Callable[..., Any], arguments: tuple[Any, ...], n: int) -> None:
        if n < 1:
            raise InputError(f"{n} workers cannot work: give one or more.")
        self._start = start, arguments
        self._runs = 0
        self._busy: dict[Connection, tuple[_Member, int]] = {}
        self._members = [self._new() for _ in range(n)]

    def _new(self) -> "_Member":
        return _Member(multiprocessing.get_context("spawn"), *self._start)

    def _replace(self) -> None:
        """New workers for those that are not waiting for a task."""
        left = [member for member, _ in self._busy.values()]
        left += [member for member in self._members if member not in left and not member.process.is_alive()]
        for member in left:
            member.close()
        self._busy = {}
        self._members = [self._new() if member in left else member for member in self._members]

    def run(
        self, tasks: Sequence[dict[str, Any]], on_event: Callable[[int, int], None] = lambda task, n: None
    ) -> Iterator[tuple[int, Any]]:
        """Yield (number, result) of each task as it completes; `on_event` hears (number, events finished since)."""
        self._replace()
        self._runs += 1
        run, todo, busy = self._runs, iter(enumerate(tasks)), self._busy
        for member in self._members:
            self._next(member, todo, busy)
        while busy:
            if run != self._runs:
                raise WorkError("this run was stopped by a later one that uses the same workers: start it again.")
            for connection in wait(list(busy)):
                member, number = busy[connection]  # type: ignore[index]
                kind, value = member.receive()
                if kind == "events":
                    on_event(number, value)
                    continue
                del busy[connection]  # type: ignore[arg-type]
                self._next(member, todo, busy)
                yield number, value

    @staticmethod
    def _next(member: "_Member", todo: Iterator[Any], busy: dict[Connection, Any]) -> None:
        for number, task in todo:
            busy[member.connection] = member, number
            member.send(task)
            return

    def close(self) -> None:
        """End all processes."""
        for member in self._members:
            member.close()


class _Member:
    def __init__(self, context: Any, start: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.connection, theirs = context.Pipe()
        self.log = tempfile.NamedTemporaryFile(prefix="caloforge-worker-", delete=False)  # noqa: SIM115
        job = theirs, start, arguments, self.log.name, os.getpid()
        self.process = context.Process(target=_work, args=job, daemon=True)
        self.process.start()
        theirs.close()

    def send(self, task: dict[str, Any]) -> None:
        self.connection.send(task)

    def receive(self) -> tuple[str, Any]:
        try:
            kind, value = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(5)
            raise WorkError(
                f"a worker process died (exit code {self.process.exitcode}); it last said: {self._last_words()}"
            ) from None
        if kind == "error":
            raise WorkError(f"a worker process failed: {value}")
        return kind, value

    def _last_words(self) -> str:
        self.log.seek(0)
        lines = [line.strip() for line in self.log.read().decode(errors="replace").splitlines() if line.strip()]
        if not lines and self.process.exitcode == 1:
            return "nothing. In a script, start workers only under if __name__ == '__main__': they import the script"
        return " | ".join(lines[-8:]) or "nothing"

    def close(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(10)
        self.log.close()
        with contextlib.suppress(FileNotFoundError):  # the worker has unlinked it, if it came so far
            os.unlink(self.log.name)


def _work(connection: Connection, start: Callable[..., Any], arguments: tuple[Any, ...], log: str, parent: int) -> None:
    """The life of a worker: build the engine, then answer tasks until the parent hangs up."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.unlink(log)  # nothing stays behind, whoever dies first; the parent has it open
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    pulse = _Pulse(connection, parent)
    try:
        engine = start(*arguments)
        while True:
            pulse.reset()
            task = connection.recv()
            result = engine(**task, on_event=pulse)
            connection.send(("result", result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        connection.send(("error", f"{type(error).__name__}: {error}"))
    finally:
        sys.stdout.flush()
        os._exit(0)


class _Pulse:
    """Tells the parent ten times a second how many events are done; ends the process if the parent is gone."""

    def __init__(self, connection: Connection, parent: int) -> None:
        self.connection, self.parent = connection, parent
        self.reset()

    def reset(self) -> None:
        self.count, self.last = 0, time.monotonic()

    def __call__(self) -> None:
        self.count += 1
        if time.monotonic() - self.last > 0.1:
            if os.getppid() != self.parent:
                os._exit(1)
            self.connection.send(("events", self.count))
            self.reset()
