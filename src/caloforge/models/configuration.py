"""Objects as files: a class path with the constructor's arguments in YAML, tensors in safetensors. No pickle.

The constructor's signature is the configuration, as jsonargparse reads it. So an object can be written down if it keeps
every argument as an attribute of the same name, and made again from that.
"""

import inspect
import json
from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from caloforge.atomic import replacing
from caloforge.errors import InputError

__all__ = ["construct", "describe", "read_config", "read_weights", "write_weights"]

FORMAT = "caloforge surrogate 1"

T = TypeVar("T")


def describe(value: Any) -> Any:
    """An object as ``{"class_path": …, "init_args": …}``; numbers and text as they are; sequences, tensors as lists."""
    if isinstance(value, list | tuple | nn.ModuleList):
        return [describe(item) for item in value]
    if isinstance(value, Tensor):
        return value.tolist()
    if not isinstance(value, nn.Module):
        return value
    kind = type(value)
    parameters = [] if kind.__init__ is nn.Module.__init__ else inspect.signature(kind).parameters
    arguments = {name: describe(getattr(value, name)) for name in parameters}
    return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": arguments}


def construct(config: Any, base: type[T]) -> T:
    """The object that `describe` wrote down; its class must be a subclass of `base`, anything else is refused."""
    if not isinstance(config, Mapping) or not isinstance(config.get("class_path"), str):
        raise InputError(f"expected class_path and init_args of a {base.__name__}, got {config!r}.")
    path, arguments = config["class_path"], config.get("init_args") or {}
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"there is no class {path!r} here ({error}): install what it comes from.") from error
    if not (isinstance(kind, type) and issubclass(kind, base)) or inspect.isabstract(kind):
        raise InputError(f"{path!r} is not a {base.__name__}: only such classes are made from a configuration.")
    try:
        return kind(**{key: _argument(value, base) for key, value in arguments.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} cannot be made from {arguments}: {error}.") from error


def _argument(value: Any, base: type[Any]) -> Any:
    if isinstance(value, list):
        return [_argument(item, base) for item in value]
    return construct(value, base) if isinstance(value, Mapping) and "class_path" in value else value


def read_config(path: Path, needed: set[str]) -> dict[str, Any]:
    """A YAML file that has (at least) the needed keys."""
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {path} ({reason}): is it in the folder of a run?") from error
    if not isinstance(config, dict) or not needed <= set(config):
        raise InputError(f"{path} is not what a run holds: it needs {', '.join(sorted(needed))}.")
    return config


def write_weights(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors, and notes as JSON beside them; the file appears when it is complete."""
    notes = {**notes, "sha256": _checksum(tensors)}
    content = save({name: each.contiguous() for name, each in tensors.items()}, {FORMAT: json.dumps(notes)})
    with replacing(path) as part:
        part.write_bytes(content)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and notes that `write_weights` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path} ({error}): is the training finished?") from error
    if FORMAT not in metadata:
        raise InputError(f"{path} is not a {FORMAT!r}; it says {', '.join(metadata) or 'nothing'}.")
    try:
        notes = json.loads(metadata[FORMAT])
        intact = notes["sha256"] == _checksum(tensors)
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise InputError(f"{path} is damaged, its weights do not match their checksum: train anew, or copy it again.")
    return tensors, notes


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors."""
    digest = sha256()
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
