"""The folder of a run: its files, and whom it belongs to."""

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from caloforge.atomic import replacing
from caloforge.errors import InputError
from caloforge.models.configuration import read_config
from caloforge.training import CHECKPOINT, LOG

__all__ = [
    "CONFIG",
    "MIXTURE",
    "PROVENANCE",
    "WEIGHTS",
    "abandon",
    "check",
    "check_config",
    "final",
    "finished",
    "versions",
    "write_config",
    "write_description",
]

CONFIG, WEIGHTS, PROVENANCE = "config.yaml", "surrogate.safetensors", "provenance.json"
MIXTURE = "mixture.json"


def final(run: Path | str) -> Path:
    """The file that a run ends with: the weights of a surrogate, or the list of an ensemble's components."""
    mixture = Path(run, MIXTURE)
    return mixture if mixture.exists() else Path(run, WEIGHTS)


def finished(run: Path | str) -> bool:
    """Whether the training of a surrogate, or of an ensemble, is finished."""
    return final(run).exists()


def check(run: Path, resume: bool, config: Mapping[str, Any], fingerprint: str) -> None:
    """Refuse a folder that holds something else, or that is to be resumed with something else."""
    finished, begun = (run / WEIGHTS).exists(), (run / CHECKPOINT).exists()
    if (finished or begun) and not resume:
        raise InputError(f"{run} already holds a run: resume it, or give another folder.")
    if not (finished or begun) and (run / CONFIG).exists() and not (run / PROVENANCE).exists():
        raise InputError(f"{run / CONFIG} was not written by a training and would be lost: give another folder.")
    if finished or begun:
        check_config(run, config)
        story = read_config(run / PROVENANCE, {"fingerprint"})
        if story["fingerprint"] != fingerprint:
            raise InputError(f"{run} was begun with other showers: give the same, or another folder.")


def check_config(run: Path, config: Mapping[str, Any]) -> None:
    """Refuse to continue a run with another configuration."""
    old = read_config(run / CONFIG, set())
    if changed := [key for key in config if old.get(key) != config[key]]:
        raise InputError(f"{run} was begun with another {' and '.join(changed)}: see {run / CONFIG}.")


def write_description(run: Path, config: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
    """Write the two files that say what a run is."""
    run.mkdir(parents=True, exist_ok=True)
    with replacing(run / PROVENANCE) as part:  # first: a configuration without it is taken for somebody else's
        part.write_text(json.dumps(provenance, indent=2) + "\n")
    write_config(run, config)


def write_config(run: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.yaml``."""
    with replacing(run / CONFIG) as part:
        part.write_text(yaml.safe_dump(dict(config), sort_keys=False))


def abandon(run: Path) -> None:
    """Leave nothing of a run that failed before its first checkpoint."""
    if not (run / CHECKPOINT).exists() and not (run / WEIGHTS).exists():
        with suppress(OSError):
            for name in (CONFIG, PROVENANCE, LOG):
                (run / name).unlink(missing_ok=True)
            run.rmdir()


def versions() -> dict[str, str]:
    """Versions of what the result depends on."""
    found = {"python": platform.python_version()}
    for name in ("caloforge", "torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
