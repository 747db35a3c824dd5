"""The parts of a long job on the way to one shower file, so that a killed job continues where it was.

Parts go to ``OUTPUT.partial/``, each renamed into place when it is complete; OUTPUT appears only when it is whole.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from caloforge.atomic import replacing
from caloforge.errors import InputError
from caloforge.files import ShowerFile, ShowerWriter, origin, write
from caloforge.geometry import Geometry
from caloforge.packing import ROUNDING
from caloforge.showers import Showers


class Parts:
    """The parts of a job on the way to `output`, in ``output.partial/``; one process at a time.

    `identity` is all that decides the content (it becomes the file's provenance, with `notes` added): parts made under
    another identity are refused, and so is a finished output of another identity, unless `overwrite`. `compact`
    rounds the energies, and the identity says so.
    """

    def __init__(
        self,
        output: str | os.PathLike[str],
        geometry: Geometry,
        n: int,
        part_size: int,
        identity: Mapping[str, Any],
        overwrite: bool = False,
        compact: bool = False,
    ) -> None:
        self.output, self.geometry, self.n, self.size, self.compact = Path(output), geometry, n, part_size, compact
        rounding = {"rounding": ROUNDING} if compact else {}
        self.identity = json.loads(json.dumps({**identity, **rounding, "n_events": n}))
        self.complete = is_complete(output, geometry, lambda found: origin(found) == self.identity, overwrite)
        self.folder = self.output.with_name(self.output.name + ".partial")
        if self.complete:
            shutil.rmtree(self.folder, ignore_errors=True)  # a kill may have come just before this
        else:
            self._open(overwrite)

    def _open(self, overwrite: bool) -> None:
        if overwrite and self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.folder / "lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise InputError(
                f"another process is writing {self.output}: wait for it, or choose another name."
            ) from None
        try:
            self._claim({"identity": self.identity, "geometry": self.geometry.to_json(), "part_size": self.size})
        except BaseException:
            self.close()
            raise

    def _claim(self, job: dict[str, Any]) -> None:
        """Make sure that the parts in the folder are of this job."""
        note = self.folder / "job.json"
        if not note.exists():
            with replacing(note) as part:
                part.write_text(json.dumps(job))
        elif _read(note) != job:
            raise InputError(
                f"{self.folder} holds parts of another command: finish that one, remove the folder, or add --overwrite."
            )

    def path(self, start: int) -> Path:
        """Where the part that begins at event `start` is, or will be."""
        return self.folder / f"part-{start:010d}.h5"

    def ranges(self) -> list[tuple[int, int]]:
        """(start, stop) of all parts."""
        return [(start, min(start + self.size, self.n)) for start in range(0, self.n, self.size)]

    def missing(self) -> list[tuple[int, int]]:
        """(start, stop) of the parts that are still to be made."""
        return [] if self.complete else [(start, stop) for start, stop in self.ranges() if not self._has(start, stop)]

    def _has(self, start: int, stop: int) -> bool:
        """Whether a part is there; one that cannot be opened, or is too short, is removed."""
        path = self.path(start)
        if not path.exists():
            return False
        try:
            with ShowerFile(path) as part:
                whole = len(part) == stop - start
        except InputError:
            whole = False
        if not whole:
            path.unlink()
        return whole

    def add(self, start: int, showers: Showers) -> None:
        """Write a part; it counts as soon as it is whole."""
        write(self.path(start), showers, self.identity, self.compact)

    def finish(self, notes: Mapping[str, Any]) -> None:
        """Join the parts into the output and remove them."""
        paths = [self.path(start) for start, _ in self.ranges()]
        with ShowerFile(paths[0]) as first:
            names = tuple(first.conditions)
        whole = self.folder / "whole.h5"
        story = {**self.identity, "notes": dict(notes)}
        with ShowerWriter(whole, self.geometry, self.n, story, names, self.compact) as writer:
            for path in paths:
                with ShowerFile(path) as part:
                    if not writer.append_chunks(part):
                        writer.append(part[:])
        whole.replace(self.output)
        self.close()
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Release the job; an empty folder of parts is removed."""
        if self.complete or self._lock.closed:
            return
        self._lock.close()
        if not any(self.folder.glob("part-*.h5")):
            shutil.rmtree(self.folder, ignore_errors=True)


def is_complete(
    output: str | os.PathLike[str],
    geometry: Geometry,
    same: Callable[[Mapping[str, Any]], bool],
    overwrite: bool = False,
) -> bool:
    """Whether the output is there; one of other cells, or whose provenance is not the `same`, is refused.

    With `overwrite` it counts as missing, whatever it is.
    """
    path = Path(output)
    if path.is_dir() or not path.name:
        raise InputError(f"{os.fspath(output)!r} is a folder: give the path of a file to write.")
    if not path.exists() or overwrite:
        return False
    with ShowerFile(path) as existing:
        if existing.geometry == geometry and same(existing.provenance):
            return True
    raise InputError(f"{path} exists and was made by another command: choose another name or add --overwrite.")


def _read(note: Path) -> Any:
    """What the note says; nothing, if it is damaged."""
    try:
        return json.loads(note.read_text())
    except ValueError:
        return None
