"""Join shower files that hold consecutive events of one sample, as several machines made them with ``--first-event``.

The joined file equals the one that a single machine would have written: same showers, same provenance.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from caloforge.errors import InputError
from caloforge.files import ShowerFile, ShowerWriter, chunk_rows
from caloforge.parts import is_complete

__all__ = ["join"]

RANGE = ("first_event", "n_events")
CHUNKS = 16  # of the file, read at a time
Progress = Callable[[int, int], None]
Story = Mapping[str, Any]


def join(
    paths: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    overwrite: bool = False,
    notes: Story | None = None,
    progress: Progress = lambda done, total: None,
) -> int | None:
    """Write the showers of all files, in the order of their events, to `output`: how many; None if that was done.

    Raises `InputError` if the files are not of one sample, or if events are missing or there twice.
    """
    if len({Path(each).resolve() for each in paths}) < max(len(paths), 2):
        raise InputError(f"got {', '.join(map(str, paths)) or 'no files'}: give two or more different files to join.")
    if Path(output).resolve() in {Path(each).resolve() for each in paths}:
        raise InputError(f"{output} is one of the files to join: choose another name for the output.")
    with ExitStack() as stack:
        files = sorted((stack.enter_context(ShowerFile(each)) for each in paths), key=_first)
        total = sum(map(len, files))
        identity = {**_sample(files[0]), "first_event": _first(files[0]), "n_events": total}
        _check(files)
        if is_complete(output, files[0].geometry, lambda found: _without(found, "notes") == identity, overwrite):
            return None
        compact = "rounding" in identity
        names = tuple(files[0].conditions)
        story = {**identity, "notes": dict(notes or {})}
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        with ShowerWriter(output, files[0].geometry, total, story, names, compact) as writer:
            done = 0
            for file in files:
                _copy(file, writer, lambda n, before=done: progress(before + n, total))  # type: ignore[misc]
                done += len(file)
        progress(total, total)
    return total


def _copy(file: ShowerFile, writer: ShowerWriter, progress: Callable[[int], None]) -> None:
    if writer.append_chunks(file):
        return
    size = CHUNKS * chunk_rows(file.geometry.n_cells)
    for start in range(0, len(file), size):
        progress(start)
        writer.append(file[start : start + size])


def _check(files: Sequence[ShowerFile]) -> None:
    """Refuse files that are not of one sample, and ranges of events that do not follow one another."""
    for before, file in pairwise(files):
        if file.geometry != files[0].geometry:
            raise InputError(
                f"{file.path} is of geometry {file.geometry.name!r}, {files[0].path} is not: join alike ones."
            )
        ours, theirs = _sample(files[0]), _sample(file)
        if ours != theirs:
            different = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
            raise InputError(
                f"{files[0].path} and {file.path} differ in {', '.join(different)}: they are of two samples."
            )
        end = _first(before) + len(before)
        if _first(file) != end:
            what = "are missing" if _first(file) > end else "are there twice"
            low, high = sorted((end, _first(file)))
            raise InputError(
                f"events {low} to {high - 1} {what} between {before.path} and {file.path}: join consecutive events."
            )


def _first(file: ShowerFile) -> int:
    """Number of the first event of a file in which none is missing."""
    story = file.provenance
    if "first_event" not in story or story.get("n_events", len(file)) != len(file):
        raise InputError(f"{file.path} does not hold a whole range of events: join files as simulate wrote them.")
    return int(story["first_event"])


def _sample(file: ShowerFile) -> dict[str, Any]:
    """What a file says of the sample that it is a part of."""
    return _without(file.provenance, *RANGE, "notes")


def _without(story: Story, *names: str) -> dict[str, Any]:
    return {name: value for name, value in story.items() if name not in names}
