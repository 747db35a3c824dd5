"""The script that lays our ILD photons over published ones, on histograms that can be counted by hand."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from caloforge.detectors import ild_ecal
from caloforge.errors import InputError
from caloforge.showers import Showers


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "validation" / "ild_published_shapes.py"
    spec = importlib.util.spec_from_file_location("ild_published_shapes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(path: Path, **changes: Any) -> Path:
    """Two showers of 1 000 MeV, deposits of 0.2 MeV (bin 38), three quarters of them in layer 4 and the first ring."""
    counts = {1: np.zeros(32), 3: np.zeros(30), 4: np.zeros(100), 5: np.zeros(50)}
    counts[1][[0, 2]] = 1.5, 0.5  # GeV
    counts[3][[4, 24]] = 1.5, 0.5
    counts[4][38] = 2000 / 10 ** (-3 + 0.06 * 38.5)
    counts[5][3] = 2
    np.savez(path, **{f"counts_{i}": each for i, each in counts.items()} | changes)
    return path


def test_published_shapes_by_hand(script: ModuleType, tmp_path: Path) -> None:
    numbers = script.numbers(script.published(written(tmp_path / "a.npz")))
    assert numbers["mean layer (from 0)"] == pytest.approx(0.75 * 4 + 0.25 * 24)
    assert numbers["share of the first ten layers"] == pytest.approx(0.75)
    assert numbers["share of the last ten layers"] == pytest.approx(0.25)
    assert numbers["share within 15.6 mm, of that within 78 mm"] == pytest.approx(0.75)
    assert numbers["visible energy over incident energy"] == pytest.approx(0.02)


def test_a_file_that_does_not_add_up_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not agree"):
        script.published(written(tmp_path / "b.npz", counts_3=np.ones(30)))
    with pytest.raises(InputError, match="other histograms"):
        script.published(written(tmp_path / "c.npz", counts_3=np.ones(31)))
    with pytest.raises(InputError, match="not a file of published histograms"):
        script.published(tmp_path / "none.npz")
    np.savez(tmp_path / "object.npz", counts_1=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="not a file of published histograms"):
        script.published(tmp_path / "object.npz")


def test_our_shapes_by_hand(script: ModuleType) -> None:
    """One cell at the axis in layer 4, one 22.5 mm away in layer 24; a shower above 90 GeV is left out."""
    cells = np.zeros((21, 30, 30, 30), np.float32)
    cells[:20, 4, 15, 15], cells[:20, 24, 15, 19] = 750, 250
    cells[20, 0, 0, 0] = 1e4
    incident = np.append(np.full(20, 50e3), 95e3)
    showers = Showers(cells.reshape(21, -1), {"energy": incident}, ild_ecal())
    numbers = script.numbers(script.ours(showers))
    assert numbers["mean layer (from 0)"] == pytest.approx(9)
    assert numbers["share within 15.6 mm, of that within 78 mm"] == pytest.approx(0.75)
    assert numbers["visible energy over incident energy"] == pytest.approx(0.02)


def test_the_published_spectrum_keeps_its_number_and_its_peak(script: ModuleType) -> None:
    counts = np.diff(script.DEPOSITS) * np.exp(
        -2 * np.log(np.sqrt(script.DEPOSITS[1:] * script.DEPOSITS[:-1]) / 0.2) ** 2
    )
    rebinned = script.rebinned(1e6 * counts)
    assert rebinned.sum() == pytest.approx(1e6 * counts.sum(), rel=1e-3)
    assert script.peak(rebinned) == pytest.approx(0.2, rel=0.03)
