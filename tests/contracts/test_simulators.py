"""Every detector with every simulator: the contract, chunks, any number of workers, and a restart.

The restart of the parametrised and frozen showers is tried where showers are small, for they come in large parts.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.conditions import ConditionSampler
from caloforge.detectors import DETECTORS
from caloforge.files import ShowerFile
from caloforge.geometry import Geometry
from caloforge.production import produce
from caloforge.showers import Showers
from caloforge.simulate.data_sets import ELECTROMAGNETIC, have
from caloforge.simulate.geant4 import Geant4
from caloforge.simulate.gflash import GFlash
from caloforge.simulate.library import Library
from caloforge.testing import check_simulator

HERE = find_spec("geant4_pybind") is not None and have(ELECTROMAGNETIC)
needs_geant4 = pytest.mark.skipif(not HERE, reason="needs geant4-pybind and Geant4's electromagnetic data sets")
every_detector = pytest.mark.parametrize("make", DETECTORS.values(), ids=DETECTORS)


def energies(n: int, low: float, high: float) -> dict[str, np.ndarray]:
    return {"energy": np.geomspace(low, high, n)}


def angles(geometry: Geometry, n: int) -> dict[str, np.ndarray]:
    """Directions, where the geometry leaves them free."""
    return {} if geometry.radius else {"theta": np.linspace(1.2, 1.9, n), "phi": np.linspace(0, 3, n)}


class Interrupted:
    """A simulator that is stopped by the user after its second batch."""

    def __init__(self, simulator: Any) -> None:
        self.simulator, self.geometry, self.batches = simulator, simulator.geometry, 0
        if hasattr(simulator, "stream"):
            self.stream = self._stream

    def sample(self, conditions: Any, seed: int, first_event: int = 0) -> Showers:
        self._count()
        return self.simulator.sample(conditions, seed, first_event)

    def _stream(self, *arguments: Any) -> Iterator[tuple[int, Showers]]:
        for each in self.simulator.stream(*arguments):
            self._count()
            yield each

    def _count(self) -> None:
        self.batches += 1
        if self.batches > 2:
            raise KeyboardInterrupt


def check_restart(simulator: Any, events: int, spectrum: str, folder: Path) -> np.ndarray:
    """Interrupted and continued, a file holds the same showers as in one go; returns them."""
    source = ConditionSampler({"energy": spectrum})
    produce(simulator, source, events, folder / "whole.h5", 3, {})
    with pytest.raises(KeyboardInterrupt):
        produce(Interrupted(simulator), source, events, folder / "killed.h5", 3, {})
    assert len(list((folder / "killed.h5.partial").glob("part-*"))) == 2
    produce(simulator, source, events, folder / "killed.h5", 3, {})
    with ShowerFile(folder / "whole.h5") as whole, ShowerFile(folder / "killed.h5") as killed:
        np.testing.assert_array_equal(killed[:].energies, whole[:].energies)
        return whole[:].energies


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caloforge.production.PART_BYTES", 1)


@every_detector
@pytest.mark.usefixtures("small_parts")
def test_parametrised_showers(make: Any, tmp_path: Path) -> None:
    geometry = make()
    simulator = GFlash(geometry, "e-")
    check_simulator(simulator, energies(100, 1e3, 1e5))
    check_restart(simulator, 3500, "100MeV:1GeV", tmp_path) if geometry.n_cells <= 100 else None


@every_detector
@pytest.mark.usefixtures("small_parts")
def test_frozen_showers(make: Any, tmp_path: Path) -> None:
    geometry = make()
    simulator = Library(GFlash(geometry, "e-").sample(energies(60, 1e3, 2e4), seed=1))
    check_simulator(simulator, energies(100, 1e3, 2e4))
    check_restart(simulator, 3500, "1GeV:20GeV", tmp_path) if geometry.n_cells <= 100 else None


@needs_geant4
@every_detector
def test_geant4(make: Any, tmp_path: Path) -> None:
    geometry = make()
    with Geant4(geometry, "e-") as one:
        check_simulator(one, energies(20, 50, 200) | angles(geometry, 20))
    with Geant4(geometry, "e-", workers=2) as two:
        whole = check_restart(two, 30, "50MeV:200MeV", tmp_path)
        given = {"energy": ConditionSampler({"energy": "50MeV:200MeV"}).sample(3, 0, 30)["energy"]}
    with Geant4(geometry, "e-") as one:
        np.testing.assert_array_equal(one.sample(given, 3).energies, whole)
