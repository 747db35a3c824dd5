"""What a study is: one base configuration, a few parameters that are varied one at a time, and seeds.

A study is a YAML file:

.. code-block:: yaml

    training: atlas_lar_training      # shower files (seen from this file's folder) or bundled samples
    reference: atlas_lar_reference
    config: wgan_gp_klein.yaml        # of a model and its training, as for caloforge train
    set: {training.epochs: 150}       # entries of the configuration that all runs share
    seeds: 5                          # 1 to 5; or a list
    before_thresholds: true           # score the showers before the thresholds as well
    reports: true                     # a validation report of each parameter, half a minute each or more
    parameters:
      layers: {model.depth: [1, 2, 3]}            # one entry, several values
      penalty:                                    # settings with names, of several entries each
        none: {model.penalty: 0}
        clipping: {model.penalty: 0, model.clip: 0.01}

Beside entries of the configuration a setting may hold ``config``, ``training`` and ``reference``, to compare another
model or another sample in the same study. ``extends: other.yaml`` takes what is not given from another study.

Trainings are named by what they are (configuration with all defaults, data, seed), so settings that come to the same
are trained once, and a study that is extended keeps what it has. So does one that is judged on another reference.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from caloforge import datasets
from caloforge.comparison import FLOOR
from caloforge.errors import InputError
from caloforge.figures import REFERENCE
from caloforge.files import ShowerFile, origin
from caloforge.report import TRAINING
from caloforge.yaml_files import read_yaml

__all__ = ["DEFAULT", "Data", "Setting", "Study", "slug"]

DEFAULT = "default"
RESERVED = {REFERENCE, FLOOR, TRAINING}  # names that a report has of its own
CLASSIFIERS = ("quick", "full", "none")
OWN = ("training", "reference", "config")
OPTIONAL = (
    "extends",
    "set",
    "seeds",
    "parameters",
    "before_thresholds",
    "reports",
    "metrics",
    "classifier",
    "cluster",
    "search",
)
Overrides = Mapping[str, Any]


@dataclass(frozen=True)
class Data:
    """A training set and the held-out showers that judge what was trained on it."""

    training: Path
    reference: Path


@dataclass(frozen=True)
class Setting:
    """One value of one parameter: the configuration file, the entries that it sets, and the data."""

    parameter: str
    label: str
    config: Path
    overrides: tuple[str, ...]
    data: Data

    @property
    def name(self) -> str:
        """Parameter and label in one."""
        return self.label if self.parameter == DEFAULT else f"{self.parameter}: {self.label}"


@dataclass(frozen=True)
class Study:
    """A study as its file describes it; `settings` begins with the default."""

    path: Path
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    before_thresholds: bool
    reports: bool
    metrics: tuple[str, ...]
    classifier: str
    cluster: dict[str, Any]
    search: dict[str, Any] | None

    @classmethod
    def read(cls, path: str | Path, reference: str | Path | None = None) -> "Study":
        """The study of a YAML file, judged on another reference if one is given."""
        path = Path(path)
        content = _content(path)
        if reference is not None:
            _check_shared(path, content)
            content["reference"] = str(reference if reference in datasets.names() else Path(reference).absolute())
        classifier = content.get("classifier", "quick")
        if classifier not in CLASSIFIERS:
            raise InputError(f"{path}: classifier is {classifier!r}; expected one of {', '.join(CLASSIFIERS)}.")
        before, reports = content.get("before_thresholds", False), content.get("reports", True)
        if not isinstance(before, bool) or not isinstance(reports, bool):
            raise InputError(f"{path}: before_thresholds is {before!r}, reports {reports!r}; expected true or false.")
        return cls(
            path,
            _settings(path, content),
            _seeds(path, content.get("seeds", 5)),
            before,
            reports,
            tuple(_list(path, "metrics", content.get("metrics", []))),
            classifier,
            dict(_mapping(path, "cluster", content.get("cluster", {}))),
            dict(_mapping(path, "search", content["search"])) if "search" in content else None,
        )


def _check_shared(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse another reference for all, if there are settings that have their own."""
    for parameter, values in _mapping(path, "parameters", content.get("parameters", {})).items():
        if isinstance(values, Mapping) and any(
            isinstance(each, Mapping) and "reference" in each for each in values.values()
        ):
            raise InputError(f"{path}: settings of {parameter!r} have references of their own: leave --reference out.")


def _content(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The entries of a study's file, over those of the one that it extends."""
    if path.resolve() in seen:
        raise InputError(f"{path} extends itself: name another study, or none.")
    own, base = _read(path), {}
    if "extends" in own:
        other = Path(str(own.pop("extends")))
        if other.name != str(other):
            raise InputError(f"{path} extends {other}: give the name of a study in the same folder.")
        base = _content(path.parent / other, (*seen, path.resolve()))
    content = {**base, **own}
    if seen:
        return content
    if not set(OWN) <= set(content):
        raise InputError(f"{path} is not a study: it needs {', '.join(OWN)}.")
    return content


def _read(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a study: it needs {', '.join(OWN)}.")
    if unknown := sorted(set(map(str, content)) - {*OWN, *OPTIONAL}):
        raise InputError(f"{path} has {unknown[0]!r}, which a study does not know; it knows {', '.join(OPTIONAL)}.")
    return content


def _settings(path: Path, content: Mapping[str, Any]) -> tuple[Setting, ...]:
    shared = {**{key: content[key] for key in OWN}, **_mapping(path, "set", content.get("set", {}))}
    found = [_setting(path, DEFAULT, DEFAULT, shared)]
    parameters = _mapping(path, "parameters", content.get("parameters", {}))
    if not parameters and "search" not in content:
        raise InputError(f"{path} varies nothing: give parameters, or a search.")
    names = [slug(str(parameter)) for parameter in parameters]
    if DEFAULT in names or "" in names or len(set(names)) < len(names):
        raise InputError(
            f"{path}: parameters are {list(parameters)}; give them names of letters, all different, not {DEFAULT}."
        )
    for parameter, values in parameters.items():
        for label, overrides in _labelled(path, str(parameter), values).items():
            found.append(_setting(path, str(parameter), label, {**shared, **overrides}))
    return tuple(found)


def slug(*parts: str) -> str:
    """A folder's name from words."""
    words = "-".join(part for part in parts if part)
    return "".join(each if each.isalnum() or each in "-_" else "-" for each in words).strip("-").lower()


def _labelled(path: Path, parameter: str, values: Any) -> dict[str, Overrides]:
    """The settings of a parameter by label: one entry with a list of values, or settings with names."""
    values = _mapping(path, parameter, values)
    if len(values) == 1 and isinstance(next(iter(values.values())), list):
        ((entry, several),) = values.items()
        pairs = [(text_of(value), {entry: value}) for value in several]
    else:
        none: Overrides = {}
        items = [(str(label), none if each is None else each) for label, each in values.items()]
        pairs = [(label, dict(_mapping(path, f"{parameter}: {label}", each))) for label, each in items]
    found = dict(pairs)
    if not pairs or len(found) < len(pairs) or RESERVED & set(found):
        raise InputError(
            f"{path}: the settings of {parameter} are {[label for label, _ in pairs]}; give one or more, all "
            f"different, none called {' or '.join(sorted(RESERVED))}."
        )
    return dict(found)


def _setting(path: Path, parameter: str, label: str, overrides: Overrides) -> Setting:
    training, reference, config = (str(overrides[key]) for key in OWN)
    if "training.seed" in overrides:
        raise InputError(f"{path}: {label} sets training.seed: the seeds of a study are given as seeds.")
    entries = tuple(f"--{key}={text_of(value)}" for key, value in overrides.items() if key not in OWN)
    data = Data(_sample(path, training), _sample(path, reference))
    return Setting(parameter, label, path.parent / config, entries, data)


def _sample(path: Path, name: str) -> Path:
    """A shower file beside the study, or a bundled sample."""
    return datasets.path(name) if name in datasets.names() else path.parent / name


def text_of(value: Any) -> str:
    """As the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _seeds(path: Path, seeds: Any) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        seeds = list(range(1, seeds + 1))
    if not isinstance(seeds, list) or not seeds or not all(type(each) is int and 0 <= each < 2**31 for each in seeds):
        raise InputError(f"{path}: seeds are {seeds!r}; give a number of seeds, one at least, or a list of them.")
    return tuple(dict.fromkeys(seeds))


def _mapping(path: Path, name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str | int | float) for key in value):
        raise InputError(f"{path}: {name} is {value!r}; expected names with values.")
    return value


def _list(path: Path, name: str, value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"{path}: {name} is {value!r}; expected a list of names.")
    return value


def identity(config: Mapping[str, Any], training: Path) -> str:
    """Twelve hex digits that name a training but for its seed: of its whole configuration and of its showers."""
    settings = {key: value for key, value in config["training"].items() if key not in ("seed", "threads", "progress")}
    return digest([{**config, "training": settings}, story(training)])


def story(path: Path) -> list[Any]:
    """What a shower file says of itself."""
    with ShowerFile(path) as file:
        return [len(file), origin(file.provenance), file.fingerprint()]


def digest(content: Any) -> str:
    """Twelve hex digits of anything that JSON can hold; 10 and 10.0 are the same."""
    plain = json.loads(json.dumps(content, default=str), parse_float=_number)
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value
