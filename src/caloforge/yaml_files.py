"""YAML as users write it: read as plain data, with a key that stands twice refused, not overwritten by its second."""

import os
from pathlib import Path
from typing import Any

import yaml

from caloforge.errors import InputError

__all__ = ["read_yaml"]


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """The content of a YAML file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        _check_keys(path, yaml.compose(text, yaml.SafeLoader))
        return yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {path} ({' '.join(str(error).split())}).") from error


def _check_keys(path: str | os.PathLike[str], root: yaml.Node | None) -> None:
    """Refuse keys that stand twice anywhere below a node; one that is referred to is looked at once."""
    seen: set[int] = set()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            _check_mapping(path, node)
            nodes += [value for _, value in node.value]


def _check_mapping(path: str | os.PathLike[str], node: yaml.MappingNode) -> None:
    lines: dict[Any, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if (key.tag, str(key.value)) in lines:
            first = lines[key.tag, str(key.value)]
            raise InputError(f"{path} has {key.value!r} in line {first} and again in line {line}: keep one.")
        lines[key.tag, str(key.value)] = line
