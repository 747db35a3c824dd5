"""What a shower file, a run folder or a report holds, as data and as text; without importing torch."""

import json
import math
from pathlib import Path
from typing import Any

import yaml

from caloforge.errors import InputError
from caloforge.files import ShowerFile
from caloforge.geometry import Geometry

MANY = 6  # equal layers are not listed one by one


def describe(path: Path) -> dict[str, Any]:
    """The contents of a shower file, a run folder or a report, as JSON-like data."""
    if path.is_dir() and (path / "config.yaml").is_file():
        return _run(path)
    if path.is_dir() and (path / "report.json").is_file():
        return _report(path / "report.json")
    if path.is_dir():
        raise InputError(f"{path} holds no config.yaml or report.json: give a shower file, a run folder or a report.")
    if path.suffix == ".json" and path.is_file():
        return _report(path)
    return _showers(path)


def _showers(path: Path) -> dict[str, Any]:
    with ShowerFile(path) as file:
        ranges = {
            name: [float(values.min()), float(values.max())] for name, values in file.conditions.items() if len(values)
        }
        return {
            "kind": "shower file",
            "path": str(path),
            "showers": len(file),
            "conditions": ranges,
            "geometry": _cells(file.geometry),
            "provenance": file.provenance,
        }


def _cells(geometry: Geometry) -> dict[str, Any]:
    layers = [[layer.name, *layer.shape] for layer in geometry.layers]
    return {"name": geometry.name, "cells": geometry.n_cells, "layers": layers, "energy": geometry.energy}


def _run(path: Path) -> dict[str, Any]:
    mixture = path / "mixture.json"
    weights = path / ("component-00" if mixture.is_file() else "") / "surrogate.safetensors"
    found = {"kind": "run", "path": str(path), "complete": weights.is_file()}
    try:
        found["config"] = yaml.safe_load((path / "config.yaml").read_text())
        if weights.is_file():
            found |= _weights(weights)
        if mixture.is_file():
            found |= {"kind": "ensemble", "components": json.loads(mixture.read_text())["weights"]}
        if (path / "provenance.json").is_file():
            found["provenance"] = json.loads((path / "provenance.json").read_text())
    except (yaml.YAMLError, ValueError, KeyError, TypeError, OSError, OverflowError, MemoryError) as error:
        raise InputError(f"{path} is not a run that can be read ({str(error).splitlines()[0]}).") from error
    return found


def _weights(path: Path) -> dict[str, Any]:
    """Geometry, trained range and size, from the header of a safetensors file (its length, then JSON)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size:
            raise ValueError("its weights are damaged")
        header = json.loads(file.read(length))
    if 8 + length + max(each["data_offsets"][1] for each in header.values() if "data_offsets" in each) != size:
        raise ValueError("its weights are not whole")
    (notes,) = header.pop("__metadata__").values()
    metadata = json.loads(notes)
    sizes = [math.prod(tensor["shape"]) for tensor in header.values()]
    return {
        "geometry": _cells(Geometry.from_json(metadata["geometry"])),
        "trained": metadata["trained"],
        "numbers": sum(sizes),
    }


def _report(path: Path) -> dict[str, Any]:
    from caloforge.report import Report

    report = Report.from_json(path)
    return {
        "kind": "report",
        "path": str(path),
        "geometry": _cells(report.geometry),
        "samples": list(report.samples),
        "sizes": report.sizes,
        "summary": report.summary().splitlines(),
        "notes": report.notes,
    }


def readable(found: Any, indent: str = "") -> str:
    """Nested data as indented text."""
    lines = []
    for name, value in found.items():
        if name == "layers" and len(value) > MANY and len({tuple(each[1:]) for each in value}) == 1:
            lines.append(f"{indent}{name}: {len(value)} of {value[0][1]} × {value[0][2]} cells")
        elif isinstance(value, dict) and value:
            lines += [f"{indent}{name}:", readable(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], str):
            lines += [f"{indent}{name}:", *(f"{indent}  {each}" for each in value)]
        else:
            lines.append(f"{indent}{name}: {value}")
    return "\n".join(lines)
