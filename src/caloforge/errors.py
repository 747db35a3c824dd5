"""The one exception that means "the input is wrong", not "the program is wrong".

Every message is one sentence that names what was got, what was expected and what to do. The command line prints it
and exits with code 2; any other exception is a fault of the program and keeps its traceback.
"""


class InputError(ValueError):
    """Something the user gave cannot be used."""


class DivergenceError(InputError):
    """A training whose losses are no numbers any more."""


class FormatError(InputError):
    """A file is not, or is no longer, the shower file that it should be."""


class WorkError(RuntimeError):
    """The input was right, but the work could not be finished: a worker process died, say."""
