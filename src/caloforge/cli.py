"""The command line: run one command, and turn whatever goes wrong into one sentence.

Exit code 0: done, 1: a gate failed, 2: bad input, with one sentence and no traceback.
"""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from caloforge.arguments import parse
from caloforge.commands import COMMANDS
from caloforge.commands.terminal import say
from caloforge.errors import InputError, WorkError

AGAIN = {
    "join": "give the command again to start over.",
    "select": "give the command again to start over.",
    "train": "continue with --resume (there is a checkpoint after the first minute).",
    "validate": "give the command again to start over.",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    name, options = parse(COMMANDS, list(sys.argv[1:] if arguments is None else arguments))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # batch systems ask to stop this way
    try:
        sys.exit(COMMANDS[name](**options) or 0)
    except (InputError, WorkError) as error:
        _fail(str(error))
    except BrokenPipeError:  # whoever read our output has had enough, as in: caloforge info FILE | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _fail(_system_error(error, options.get("output")))
    except KeyboardInterrupt:
        _fail(f"interrupted; {AGAIN.get(name, 'the same command continues from here.')}")


def _system_error(error: OSError, output: str | None) -> str:
    name = error.filename or output
    where = f" ({name})" if name else ""
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return f"the disk is full{where}: free some space, then give the same command again."
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{reason}{where}: check the path, its permissions and the space there."


def _fail(message: str) -> NoReturn:
    say(f"caloforge: {message}")
    sys.exit(2)


if __name__ == "__main__":
    main()
