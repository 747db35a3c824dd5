"""Bad input on the command line: one sentence, exit code 2, no traceback, nothing left behind; and quick answers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caloforge.datasets import path
from caloforge.detectors import testem3
from caloforge.files import write
from caloforge.showers import Showers

SIMULATE = {"--detector": "testem3", "--particle": "e-", "--energy": "1GeV", "--events": "5"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "caloforge.cli", *arguments], capture_output=True, text=True, check=False
    )


def refused(*arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--detector", "atlas"),
        ("--particle", "electron"),
        ("--energy", "-5GeV"),
        ("--energy", "5GeV:1GeV"),
        ("--energy", "5parsec"),
        ("--events", "0"),
        ("--energy", "1e308"),
        ("--energy", "1000000TeV"),
        ("--workers", "100000"),
        ("--first-event", "9223372036854775807"),
        ("--cut", "1e30"),
        ("--events", "many"),
        ("--workers", "0"),
        ("--theta", "0"),
        ("--position", "here"),
        ("--cut", "0"),
        ("--seed", "-1"),
        ("--colour", "red"),
    ],
)
def test_impossible_simulations_are_refused(option: str, value: str, tmp_path: Path) -> None:
    options = SIMULATE | {"--output": str(tmp_path / "a.h5"), option: value}
    refused("simulate", *(word for pair in options.items() for word in pair))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["check", "info"])
def test_what_is_no_shower_file_is_refused(command: str, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no showers")
    assert "not an HDF5 file" in refused(command, str(tmp_path / "text.h5"))
    assert "is not a file" in refused(command, str(tmp_path / "missing.h5"))


def test_a_missing_model_and_a_bad_configuration_are_refused(tmp_path: Path) -> None:
    showers = Showers(np.ones((20, 100)), {"energy": np.full(20, 1e3)}, testem3())
    write(tmp_path / "a.h5", showers, {})
    refused(
        "generate",
        "--model",
        str(tmp_path / "no"),
        "--energy",
        "1GeV",
        "--events",
        "3",
        "--output",
        str(tmp_path / "b"),
    )
    (tmp_path / "c.yaml").write_text("model: {class_path: WGANGP}\nlayers: 3\ntraining: {steps: 1}\n")
    message = refused(
        "train",
        "--config",
        str(tmp_path / "c.yaml"),
        "--data",
        str(tmp_path / "a.h5"),
        "--output",
        str(tmp_path / "run"),
    )
    assert "layers" in message
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.h5", "c.yaml"]


def test_check_and_info_answer_in_json(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", Showers(np.ones((3, 100)), {"energy": np.full(3, 1e3)}, testem3()), {"seed": 4})
    assert json.loads(run("check", str(tmp_path / "a.h5"), "--json").stdout)["showers"] == 3
    assert json.loads(run("info", "--json", str(tmp_path / "a.h5")).stdout)["provenance"] == {"seed": 4}
    assert "layers: 100 of 1 × 1 cells" in run("info", str(tmp_path / "a.h5")).stdout


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    command = f"{sys.executable} -m caloforge.cli info {path('clic_ecal_electrons')} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stdout == "kind: shower file\n"
    assert done.stderr == ""


def test_light_commands_do_not_import_torch(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", Showers(np.ones((3, 100)), {"energy": np.full(3, 1e3)}, testem3()), {})
    select = ["select", str(tmp_path / "a.h5"), "--energy", ":2GeV", "--output", str(tmp_path / "b.h5")]
    for arguments in (["--help"], ["check", str(tmp_path / "a.h5")], ["info", str(tmp_path / "a.h5")], select):
        code = (
            "import sys\nfrom caloforge.cli import main\n"
            f"try: main({arguments!r})\nexcept SystemExit as end: assert not end.code\n"
            "assert not {'torch', 'lightning_fabric', 'matplotlib'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("output", [".", "/", ""])
def test_a_folder_as_output_is_refused(output: str) -> None:
    options = SIMULATE | {"--output": output}
    assert "folder" in refused("simulate", *(word for pair in options.items() for word in pair))


def test_comparisons_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    for seed, name in enumerate(("reference", "first", "second")):
        cells = np.random.default_rng(seed).exponential(size=(60, 100))
        write(tmp_path / f"{name}.h5", Showers(cells, {"energy": np.full(60, 1e3)}, testem3()), {"seed": seed})
    reference, first, second = (str(tmp_path / f"{name}.h5") for name in ("reference", "first", "second"))
    validate = ["validate", "--reference", reference, "--output", str(tmp_path / "report"), "--sample"]
    assert "name of its own" in refused(*validate, f"a={first}", f"a={second}")
    assert "name of its own" in refused(*validate, f"={first}")
    assert "did you mean" in refused(*validate, first, "--fail-above", "corelation_mse=1")
    assert "is no gate" in refused(*validate, first, "--fail-above", "correlation_mse=nan")
    assert "seed" in refused(*validate, first, "--seed", "-1")
    assert not (tmp_path / "report").exists()


def test_a_selection_says_how_much_it_kept(tmp_path: Path) -> None:
    whole, part = str(tmp_path / "whole.h5"), str(tmp_path / "part.h5")
    energy = np.arange(1.0, 101) * 1e3
    write(whole, Showers(np.ones((100, 100)), {"energy": energy}, testem3()), {"first_event": 0, "seed": 1})
    select = ["select", whole, "--events", "1:30", "--energy", ":10GeV", "--output", part]
    done = run(*select)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"kept 8 of 100 showers; wrote {part}\n"
    assert run(*select).stderr == f"{part} is complete already; nothing to do\n"
    found = json.loads(run("info", part, "--json").stdout)
    assert found["provenance"]["notes"]["command"] == " ".join(["caloforge", *select])
    assert found["conditions"]["energy"] == [2e3, 9e3]
    assert "another command" in refused("select", "--output", part, whole)
    assert run("select", "--overwrite", "--output", part, whole, "--total-energy=:300GeV").returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--events", "5"], "'5' is no range"),
        (["--energy", "2GeV:1GeV"], "is empty"),
        (["--eta", "x:y"], "'x' is no number"),
        (["--eta", ":1"], "has no eta"),
        (["--cells", "atlas_lar"], "differ in"),
        (["--noise", "strip=20MeV"], "no layer 'strip'"),
        (["--seed", "many"], "--seed"),
        (["--events", "7:"], "is left"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_impossible_selections_are_refused(options: list[str], message: str, tmp_path: Path) -> None:
    write(tmp_path / "a.h5", Showers(np.ones((3, 100)), {"energy": np.full(3, 1e3)}, testem3()), {"first_event": 0})
    assert message in refused("select", str(tmp_path / "a.h5"), "--output", str(tmp_path / "b.h5"), *options)
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5"]


def test_a_selection_needs_a_file_and_an_output(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", Showers(np.ones((3, 100)), {"energy": np.full(3, 1e3)}, testem3()), {})
    assert "give --output" in refused("select", str(tmp_path / "a.h5"))
    assert "FILE" in refused("select", "--output", str(tmp_path / "b.h5"))


def test_bundled_samples_are_listed_and_found() -> None:
    names = run("datasets", "list").stdout.split()
    assert names == ["atlas_lar_reference", "atlas_lar_training", "clic_ecal_electrons", "ild_ecal_photons"]
    path = run("datasets", "path", "atlas_lar_training").stdout.strip()
    assert json.loads(run("check", path, "--json").stdout)["showers"] == 12000
    for wrong in (["path"], ["path", "atlas"], ["list", "atlas_lar_training"], ["remove"], []):
        refused("datasets", *wrong)
