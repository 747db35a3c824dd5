"""Jobs in parts: a killed one continues, and nothing is overwritten or mixed by mistake."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.files import ShowerFile
from caloforge.geometry import Geometry, Layer, regular
from caloforge.parts import Parts
from caloforge.showers import Showers

GEOMETRY = Geometry("pads", (Layer("a", "xy", regular(4, 0, 2), regular(5, 0, 3), 1.0),))


def showers(n: int, first: int = 0) -> Showers:
    rng = np.random.default_rng(first)
    energies = rng.exponential(size=(n, 20)) * (rng.random((n, 20)) < 0.4)
    return Showers(energies, {"energy": np.arange(first + 1.0, first + n + 1), "theta": rng.random(n)}, GEOMETRY)


def job(
    output: Path, n: int = 1000, pause: float = 0.0, identity: dict[str, object] | None = None, **options: bool
) -> None:
    parts = Parts(output, GEOMETRY, n, 100, identity or {"seed": 1}, **options)
    try:
        for start, stop in parts.missing():
            time.sleep(pause)
            parts.add(start, showers(stop - start, start))
        if not parts.complete:
            parts.finish({"command": "test"})
    finally:
        parts.close()


def test_a_killed_job_continues_and_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    job(tmp_path / "whole.h5")
    output = tmp_path / "killed.h5"
    for delay in (0.25, 0.3, 0.25):
        process = multiprocessing.get_context("fork").Process(target=job, args=(output, 1000, 0.1))
        process.start()
        time.sleep(delay)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert not output.exists()
    made = {part: part.stat().st_mtime_ns for part in (tmp_path / "killed.h5.partial").glob("part-*.h5")}
    parts = Parts(output, GEOMETRY, 1000, 100, {"seed": 1})
    assert len(parts.missing()) == 10 - len(made) < 10
    parts.close()
    job(output)
    assert output.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["killed.h5", "whole.h5"]


def test_a_finished_job_is_left_alone_and_others_do_not_overwrite_it(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    job(output)
    stamp = output.stat().st_mtime_ns
    job(output)
    assert output.stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="another command"):
        job(output, identity={"seed": 2})
    with pytest.raises(InputError, match="another command"):
        Parts(output, replace(GEOMETRY, name="other"), 1000, 100, {"seed": 1})
    job(output, identity={"seed": 2}, overwrite=True)
    with ShowerFile(output) as file:
        assert file.provenance == {"seed": 2, "n_events": 1000, "notes": {"command": "test"}}


def test_parts_of_another_command_are_not_mixed_in(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.h5", GEOMETRY, 1000, 100, {"seed": 1})
    parts.add(0, showers(100))
    parts.close()
    with pytest.raises(InputError, match="another command"):
        job(tmp_path / "a.h5", identity={"seed": 2})
    job(tmp_path / "a.h5", identity={"seed": 2}, overwrite=True)


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.h5", GEOMETRY, 1000, 100, {"seed": 1})
    with pytest.raises(InputError, match="another process"):
        job(tmp_path / "a.h5")
    parts.close()
    assert list(tmp_path.iterdir()) == []  # nothing was made, nothing stays


def test_parts_that_fill_chunks_are_copied_as_they_are(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.h5", GEOMETRY, 5000, 2048, {})
    for start, stop in parts.missing():
        parts.add(start, showers(stop - start, start))
    parts.finish({})
    with ShowerFile(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file[4096:].energies, showers(904, 4096).energies)
        np.testing.assert_array_equal(file.conditions["energy"], np.arange(1.0, 5001))
        assert json.loads(json.dumps(file.provenance))["n_events"] == 5000


def test_a_damaged_part_is_made_anew(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.h5", GEOMETRY, 300, 100, {"seed": 1})
    for start in (0, 100):
        parts.add(start, showers(100, start))
    parts.path(100).write_bytes(parts.path(100).read_bytes()[:500])
    assert parts.missing() == [(100, 200), (200, 300)]
    parts.close()
    job(tmp_path / "a.h5", 300)
    with ShowerFile(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file[100:200].energies, showers(100, 100).energies)


def test_a_part_that_is_too_short_is_made_anew(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.h5", GEOMETRY, 300, 100, {"seed": 1})
    parts.add(0, showers(99))
    parts.add(100, showers(100, 100))
    assert parts.missing() == [(0, 100), (200, 300)]
    parts.close()


@pytest.mark.parametrize(("geometry", "size"), [(replace(GEOMETRY, name="other"), 100), (GEOMETRY, 50)])
def test_parts_of_other_cells_or_sizes_are_refused(geometry: Geometry, size: int, tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.h5", GEOMETRY, 300, 100, {"seed": 1})
    parts.add(0, showers(100))
    parts.close()
    with pytest.raises(InputError, match="parts of another command"):
        Parts(tmp_path / "a.h5", geometry, 300, size, {"seed": 1})


def test_a_damaged_note_is_refused(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "a.h5", GEOMETRY, 300, 100, {"seed": 1})
    parts.add(0, showers(100))
    parts.close()
    (tmp_path / "a.h5.partial" / "job.json").write_text("{")
    with pytest.raises(InputError, match="parts of another command"):
        job(tmp_path / "a.h5", 300)


@pytest.mark.parametrize("n", [300, 1250, 2500])
@pytest.mark.parametrize("size", [1, 7, 50, 250])
def test_parts_of_any_size_are_joined_in_order(tmp_path: Path, n: int, size: int) -> None:
    """Chunks of 16 rows: some parts are copied chunk by chunk, while others are still being compressed."""
    grid = regular(125, 0, 1)
    large = Geometry("large", (Layer("a", "xy", grid, grid, 1.0),))
    n = min(n, 40 * size)
    parts = Parts(tmp_path / "a.h5", large, n, size, {"seed": 1})
    for start, stop in parts.missing():
        numbers = np.arange(start + 1.0, stop + 1)
        cells = np.zeros((stop - start, large.n_cells), np.float32)
        cells[:, :50] = numbers[:, None]
        parts.add(start, Showers(cells, {"energy": numbers}, large))
    parts.finish({})
    parts.close()
    with ShowerFile(tmp_path / "a.h5") as file:
        showers = file[:]
    np.testing.assert_array_equal(showers.energies[:, 7], showers.incident)
    np.testing.assert_array_equal(showers.incident, np.arange(1, n + 1))
