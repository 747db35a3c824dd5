"""A disk that takes no more, and folders that cannot be written: one sentence, exit code 2, nothing left behind.

A limit on the size of files stands in for the full disk: it is the operating system's own refusal in the middle of a
write, and needs no administrator.
"""

import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from caloforge import datasets
from caloforge.atomic import replacing

REFERENCE = str(datasets.path("atlas_lar_reference"))
CONFIGURATION = """
model: {class_path: FlowMatching, init_args: {width: 16, blocks: 1}}
transforms: [{class_path: Fractions}, {class_path: Log}, {class_path: Standardize}]
training: {steps: 2, batch_size: 64, threads: 1, ema: 0}
"""


def run(*arguments: str, most: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command line in a process that cannot write files of more than `most` bytes."""
    command = [sys.executable, "-m", "caloforge.cli", *arguments]

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Each command that writes, but for its output; with a small model and a small sample."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "small.yaml").write_text(CONFIGURATION)
    train = ["train", "--config", str(folder / "small.yaml"), "--data", REFERENCE]
    assert run(*train, "--output", str(folder / "run")).returncode == 0
    generate = ["generate", "--model", str(folder / "run"), "--energy", "log:1GeV:300GeV", "--events", "2000"]
    assert run(*generate, "--output", str(folder / "sample.h5")).returncode == 0
    select = ["select", REFERENCE, "--events", ":14000"]
    validate = ["validate", "--quick", "--reference", REFERENCE, "--sample", str(folder / "sample.h5")]
    return {"train": train, "generate": generate, "select": select, "validate": validate}


@pytest.mark.parametrize(
    ("command", "most"), [("train", 100), ("train", 20_000), ("generate", 20_000), ("select", 20_000)]
)
def test_a_write_that_fails_leaves_nothing(
    command: str, most: int, commands: dict[str, list[str]], tmp_path: Path
) -> None:
    done = run(*commands[command], "--output", str(tmp_path / "output"), most=most)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert str(tmp_path / "output") in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "generate", "select", "validate"])
def test_an_output_inside_a_file_is_refused(command: str, commands: dict[str, list[str]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run(*commands[command], "--output", str(tmp_path / "file" / "output"))
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with suppress(RuntimeError), replacing(path) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    with replacing(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
