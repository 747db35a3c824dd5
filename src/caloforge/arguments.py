"""Turning a command line into a call, and a YAML file into a model and a training, with jsonargparse.

Signatures are the configuration: options, their types and their help come from functions and classes. On top of that,
options are written with dashes, a flag alone means true, options that take several values may be repeated, a value may
begin with a minus sign, and whatever is wrong is one sentence and exit code 2.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

import caloforge
from caloforge.errors import InputError
from caloforge.yaml_files import read_yaml

Commands = Mapping[str, Callable[..., Any]]
POSITIONAL = ("select", "study", "check", "info", "datasets")
LISTS = ("--sample", "--fail-above", "--files")
FLAGS = ("--json", "--overwrite", "--resume", "--deposited", "--install", "--quick", "--symmetries", "--compact")
UNION = re.compile(
    r"Does not validate against any of the Union subtypes Subtypes: \[<class '(\w+)'>, .*Given value: (\S+)"
)
CONFIGURATION = re.compile(r"--(model|transforms|training|conditions|threshold|ensemble)\b")


def parse(commands: Commands, arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The command and its options; for ``train``, entries of its configuration are collected as ``overrides``."""
    if arguments[:1] == ["datasets"] and len(arguments) > 2 and not arguments[2].startswith("-"):
        arguments = [*arguments[:2], f"--name={arguments[2]}", *arguments[3:]]  # it has a default, so it is an option
    if arguments[:1] == ["join"]:  # what comes first are files
        files = 1 + next((i for i, each in enumerate(arguments[1:]) if each.startswith("-")), len(arguments) - 1)
        arguments = ["join", *arguments[files:], "--files", *arguments[1:files]] if files > 1 else arguments
    own, overrides = _sorted(arguments)
    chosen = _parser(commands, arguments[0] if arguments else "").parse_args(own)
    options = dict(chosen[chosen.subcommand].as_dict())
    return chosen.subcommand, options | ({"overrides": overrides} if overrides else {})


class _Parser(ArgumentParser):
    """A parser whose options are written with dashes, and whose errors are one sentence."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        sentence = re.sub(r"\s+", " ", message).strip().rstrip(".")
        sentence = re.sub(r"\b[a-z]+\.([a-z_]+)(?=,|$)", lambda found: "--" + found[1].replace("_", "-"), sentence)
        sentence = re.sub(r'Parser key "(\w+)"', lambda found: "--" + found[1].replace("_", "-"), sentence)
        sentence = UNION.sub(r"expected \1, got \2", sentence)
        sentence = re.sub(r"--(file|path|action)\b", lambda found: found[1].upper(), sentence)  # of POSITIONAL commands
        sentence = re.sub(r"a typing.Literal\[(.*?)\]\. Got value: ", r"one of \1, got ", sentence)
        print(f"caloforge: {sentence}. See {self.prog.replace(' [options]', '')} --help.", file=sys.stderr)
        sys.exit(2)

    def tidy(self) -> None:
        """Write options with dashes, and let a flag alone mean true."""
        for action in self._actions:
            if getattr(action, "_typehint", None) is bool:
                action.nargs, action.const, action.metavar = "?", True, "true|false"
            for name in [each for each in action.option_strings if "_" in each]:
                dashed = name.replace("_", "-")
                strings = list(action.option_strings)
                strings[strings.index(name)] = dashed
                action.option_strings = strings
                self._option_string_actions[dashed] = action


def _parser(commands: Commands, wanted: str) -> ArgumentParser:
    """The parser of all commands; only the options of the wanted one are looked up."""
    about = "Fast calorimeter simulation, from Geant4 to a validated model."
    parser = _Parser(prog="caloforge", description=about, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"caloforge {caloforge.__version__}")
    group = parser.add_subcommands()
    for name, function in commands.items():
        summary = (function.__doc__ or "").split("\n")[0]
        command = _Parser(description=summary, allow_abbrev=False)
        if name == wanted:
            command.add_function_arguments(function, as_positional=name in POSITIONAL, skip={"overrides"})
            command.tidy()
        group.add_subcommand(name, command, help=summary)
    return parser


def _sorted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's own arguments in plain form, and for ``train`` those that set entries of its configuration."""
    own: list[str] = []
    overrides: list[str] = []
    lists: dict[str, list[str]] = {}
    for name, *values in _grouped(arguments):
        if name in LISTS:
            lists.setdefault(name, []).extend(values)
        elif arguments[0] == "train" and CONFIGURATION.match(name):
            overrides.append("=".join([name, *values]))
        elif name in FLAGS and values[:1] not in (["true"], ["false"]):
            own += [f"{name}=true", *values]
        else:
            own += [f"{name}={values[0]}", *values[1:]] if values else [name]
    return own + [f"{name}={json.dumps(values)}" for name, values in lists.items()], overrides


def _grouped(arguments: Sequence[str]) -> list[list[str]]:
    """Each option with the values that follow it; what looks like a negative number is a value."""
    groups: list[list[str]] = []
    for argument in arguments:
        is_option = argument.startswith("-") and re.match(r"-[\d.]", argument) is None
        if is_option:
            groups.append(argument.split("=", 1) if argument.startswith("--") else [argument])
        elif groups and groups[-1][0].startswith("-"):
            groups[-1].append(argument)
        else:
            groups.append([argument])
    return groups


def configured(config: str, overrides: Sequence[str], geometry: Any) -> Any:
    """The `Recipe` for `geometry` that a YAML file and overrides describe."""
    from caloforge.ensembles import AdaGAN
    from caloforge.models.base import Model
    from caloforge.recipe import Recipe
    from caloforge.surrogate import Surrogate
    from caloforge.training import Training
    from caloforge.transforms import Transform

    if not Path(config).is_file():
        raise InputError(f"{config} is not a file: give the YAML file of a model and its training.")
    read_yaml(config)  # refuses keys that stand twice, of which jsonargparse takes the last
    parser = ArgumentParser(prog="caloforge train", allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--model", type=Model, required=True)
    parser.add_argument("--transforms", type=list[Transform], default=[])
    parser.add_argument("--conditions", type=list[str], default=["energy"])
    parser.add_argument("--threshold", type=bool, default=True)
    parser.add_class_arguments(Training, "training")
    parser.add_argument("--ensemble", type=AdaGAN | None, default=None)
    try:
        made = parser.instantiate(parser.parse_args(["--config", config, *overrides]))
    except (Exception, SystemExit) as error:
        raise InputError(f"{config} does not describe a training: {one_line(error)}") from error
    surrogate = Surrogate(geometry, made.model, made.transforms, made.conditions, made.threshold)
    return Recipe(surrogate, made.training, made.ensemble)


def one_line(error: BaseException) -> str:
    """An error's message without line breaks, at most 600 characters."""
    return re.sub(r"\s+", " ", str(error)).strip()[:600]
