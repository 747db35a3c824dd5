"""The progress bar of a training: the first loss, the speed and the time left."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caloforge.training.loop import Loop

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(shown: bool) -> Iterator[Callable[["Loop"], None]]:
    """A bar on standard error with the first loss, the speed and the time left; yields what moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("Training"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description} left"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task("", total=1.0)
        drawn = -inf

        def show(loop: "Loop") -> None:
            nonlocal drawn
            if shown and (time.monotonic() - drawn > 0.5 or loop.progress == 1):
                drawn = time.monotonic()
                bar.update(task, completed=loop.progress, description=_describe(loop))

        yield show


def _describe(loop: "Loop") -> str:
    n = loop.step % loop.training.log_steps
    speed = f"{loop.step / max(loop.seconds, 1e-9):.0f} steps/s"
    if n == 0 or not loop.sums:
        return speed
    name, total = next(iter(loop.sums.items()))
    return f"{name} {float(total) / n:.4g}  {speed}"
