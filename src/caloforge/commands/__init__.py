"""The commands: one function each, whose signature and docstring are its options and its help.

Commands read, call one function, write. Progress and messages go to standard error, results to standard output
(``--json`` for programs). Heavy imports stay inside the commands, so that help, `check`, `info` and wrong arguments
answer at once.
"""

from collections.abc import Callable
from typing import Any

from caloforge.commands.files import check, datasets, geant4_data, info, join, select
from caloforge.commands.judging import study, validate
from caloforge.commands.making import generate, quickstart, simulate, train

__all__ = ["COMMANDS"]

COMMANDS: dict[str, Callable[..., Any]] = {
    "quickstart": quickstart,
    "simulate": simulate,
    "train": train,
    "generate": generate,
    "validate": validate,
    "study": study,
    "select": select,
    "join": join,
    "check": check,
    "info": info,
    "datasets": datasets,
    "geant4-data": geant4_data,
}
