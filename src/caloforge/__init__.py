"""caloforge: simulate calorimeter showers, learn them, generate them, validate them, export the model.

The names below are the ones most scripts need. They are imported when first used, so that ``import caloforge`` is
fast, prints nothing and does not import torch.

>>> import caloforge
>>> caloforge.Geometry.__module__
'caloforge.geometry'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caloforge.errors import FormatError, InputError
    from caloforge.files import ShowerFile
    from caloforge.geometry import Geometry, Layer
    from caloforge.report import Report, validate
    from caloforge.showers import Showers, Simulator, concatenate
    from caloforge.surrogate import Surrogate

__version__ = "0.1.0"

__all__ = [
    "FormatError",
    "Geometry",
    "InputError",
    "Layer",
    "Report",
    "ShowerFile",
    "Showers",
    "Simulator",
    "Surrogate",
    "concatenate",
    "validate",
]

_HOME = {
    "FormatError": "errors",
    "Geometry": "geometry",
    "InputError": "errors",
    "Layer": "geometry",
    "Report": "report",
    "ShowerFile": "files",
    "Showers": "showers",
    "Simulator": "showers",
    "Surrogate": "surrogate",
    "concatenate": "showers",
    "validate": "report",
}


def __getattr__(name: str) -> Any:
    """Import a name from its home module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'caloforge' has no attribute {name!r}")
    value = getattr(import_module(f"caloforge.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
