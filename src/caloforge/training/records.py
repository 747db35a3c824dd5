"""What a training keeps in its folder: checkpoints, to go on from, and the log.

A checkpoint is tensors and plain numbers (read with ``weights_only``), and is renamed into place when complete.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from caloforge.atomic import replacing
from caloforge.errors import InputError

__all__ = ["CHECKPOINT", "LOG", "append_row", "keep_rows", "read_checkpoint", "write_checkpoint"]

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, which replaces the one before only when it is complete."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    with replacing(folder / CHECKPOINT) as part:
        part.write_bytes(buffer.getbuffer())


def read_checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The folder's checkpoint; None if there is none."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, UnpicklingError) as error:
        raise InputError(f"{path} is damaged: remove it to start the training anew.") from error
    return state


def append_row(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a row to the log, which begins with the names of the columns."""
    path = folder / LOG
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def keep_rows(folder: Path, last_step: int) -> None:
    """Drop the rows of the log after a step; a row that a kill cut short goes too."""
    path = folder / LOG
    if not path.exists():
        return
    lines = path.read_text(errors="replace").splitlines(keepends=True)

    def keep(row: str) -> bool:
        step = row.split(",")[0]
        return row.endswith("\n") and step.isdecimal() and int(step) <= last_step

    path.write_text("".join([*lines[:1], *filter(keep, lines[1:])]))
