"""The progress bar of long work: on standard error, with rate and time left; silent where nobody watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Update(Protocol):
    """Moves a progress bar: so many steps of so many are done, and the next one is called `label`."""

    def __call__(self, done: int, total: int, label: str = "") -> None: ...


@contextmanager
def progress_bar(title: str, unit: str = "showers") -> Iterator[Update]:
    """A function ``update(done, total, label)`` that draws the bar."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        def render(self, task: Task) -> str:
            speed = task.finished_speed or task.speed
            return "" if speed is None else f"{speed:,.{0 if speed >= 100 else 2}f} {unit}/s"

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[label]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=60) as progress:
        task = progress.add_task(title, total=None, label="")

        def update(done: int, total: int, label: str = "") -> None:
            progress.update(task, completed=done, total=total, label=label)

        yield update
