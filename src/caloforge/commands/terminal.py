"""What commands say: results on standard output, all else on standard error."""

import json
import sys
from typing import Any

__all__ = ["command_line", "complete", "say", "show"]


def show(answer: Any, as_json: bool = False) -> None:
    """Print a result on standard output, as it is or in JSON."""
    print(json.dumps(answer, indent=2) if as_json else answer)


def say(message: str) -> None:
    """Tell the user something, on standard error."""
    print(message, file=sys.stderr)


def command_line() -> str:
    """The command as it was given, for the notes of a file."""
    return " ".join(["caloforge", *sys.argv[1:]])


def complete(output: str) -> str:
    """The sentence for an output that the same command has made before."""
    return f"{output} is complete already; nothing to do"
