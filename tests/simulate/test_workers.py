"""Worker processes: all tasks are answered, and their deaths are explained."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from caloforge.errors import InputError, WorkError
from caloforge.simulate.workers import Workers


def square(offset: int) -> Callable[..., int]:
    def engine(value: int, on_event: Callable[[], None]) -> int:
        on_event()
        return value**2 + offset

    return engine


def sick(kind: str) -> Callable[..., Any]:
    def engine(on_event: Callable[[], None]) -> None:
        if kind == "raises":
            raise KeyError("table")
        print("the table is missing", flush=True)
        os.abort()

    return engine


@pytest.mark.parametrize("n", [1, 3])
def test_every_task_is_answered(n: int) -> None:
    workers = Workers(square, (5,), n)
    assert dict(workers.run([{"value": i} for i in range(10)])) == {i: i**2 + 5 for i in range(10)}
    assert dict(workers.run([{"value": 7}])) == {0: 54}
    workers.close()


def test_a_death_is_explained() -> None:
    workers = Workers(sick, ("aborts",), 1)
    with pytest.raises(WorkError, match="the table is missing"):
        list(workers.run([{}]))
    workers.close()


def test_an_exception_is_passed_on() -> None:
    workers = Workers(sick, ("raises",), 1)
    with pytest.raises(WorkError, match=r"KeyError.*table"):
        list(workers.run([{}]))
    workers.close()


def test_no_workers_cannot_work() -> None:
    with pytest.raises(InputError):
        Workers(square, (1,), 0)


def slow(offset: int) -> Callable[..., Any]:
    def engine(value: int, on_event: Callable[[], None]) -> bytes:
        if value < 0:
            raise KeyError("table")
        return bytes([value + offset]) * 3_000_000  # more than a pipe holds

    return engine


def test_what_a_stopped_run_left_behind_is_not_taken_for_the_next_one() -> None:
    workers = Workers(slow, (5,), 2)
    left = workers.run([{"value": 100 + i} for i in range(6)])
    next(left)  # and no more: the user has stopped it, while a traceback still holds it
    for _ in range(2):
        found = {number: result[0] for number, result in workers.run([{"value": i} for i in range(6)])}
        assert found == {i: i + 5 for i in range(6)}
    with pytest.raises(WorkError, match="later one"):
        list(left)
    workers.close()


def test_after_a_death_or_a_stopped_run_that_would_have_failed_there_are_new_workers() -> None:
    workers = Workers(slow, (0,), 2)
    for tasks in ([{"value": 1}, {"value": -1}, {"value": -1}], [{"value": -1}]):
        with pytest.raises(WorkError, match=r"KeyError.*table"):
            list(workers.run(tasks))
        assert dict(workers.run([{"value": 3}]))[0][:1] == b"\x03"
    left = workers.run([{"value": 1}, {"value": -1}, {"value": -1}, {"value": -1}])
    with contextlib.suppress(WorkError):  # whichever comes first
        next(left)
    assert dict(workers.run([{"value": 3}]))[0][:1] == b"\x03"
    workers.close()
