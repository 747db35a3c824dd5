"""Filling a file: whose conditions, under which identity, and what is refused before anything is written."""

import numpy as np
import pytest

from caloforge.conditions import ConditionSampler
from caloforge.errors import InputError
from caloforge.files import ShowerFile, write
from caloforge.production import ConditionsFrom, produce
from caloforge.showers import Showers
from caloforge.simulate.library import Library
from caloforge.testing import toy_showers


@pytest.fixture
def reference(tmp_path):
    write(tmp_path / "reference.h5", toy_showers(100, 2), {"simulator": "toy", "seed": 2, "notes": {"command": "x"}})
    return tmp_path / "reference.h5"


def test_conditions_come_event_by_event(reference):
    source = ConditionsFrom(reference, lambda showers: showers.energies.sum(1, dtype=float))
    whole = toy_showers(100, 2)
    taken = source.sample(1, 30, 20)
    assert np.array_equal(taken["energy"], whole.incident[30:50])
    assert np.allclose(taken["deposited"], whole.energies[30:50].sum(1))
    assert source.provenance() == {"taken": ["energy", "deposited"], "from": {"simulator": "toy", "seed": 2}}
    with pytest.raises(InputError, match="has 100 showers; events up to 101"):
        source.sample(1, 81, 20)


def test_a_part_of_the_conditions_makes_that_part_of_the_showers(reference, tmp_path):
    for name, first, n in (("all.h5", 0, 100), ("part.h5", 40, 25)):
        assert produce(Library(toy_showers(200, 1)), ConditionsFrom(reference), n, tmp_path / name, 3, {}, first)
    with ShowerFile(tmp_path / "all.h5") as whole, ShowerFile(tmp_path / "part.h5") as part:
        assert np.array_equal(whole[40:65].energies, part[:].energies)


def test_other_conditions_are_another_file(tmp_path):
    def made(energy):
        source = ConditionSampler({"energy": energy})
        return produce(Library(toy_showers(200, 1)), source, 50, tmp_path / "a.h5", 3, {"simulator": "toy"})

    assert made("10GeV")
    assert not made("10GeV")
    with pytest.raises(InputError, match="another command"):
        made("20GeV")


def test_conditions_are_checked_to_the_last_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("caloforge.production.CHECKED", 10)
    library = Library(toy_showers(200, 1))
    last = 10 * library.showers.incident.max()
    energies = np.append(np.full(24, 1e4), last)
    write(tmp_path / "source.h5", Showers(toy_showers(25, 1).energies, {"energy": energies}, library.geometry), {})
    monkeypatch.setattr(library, "sample", None)
    with pytest.raises(InputError, match="the library has showers of"):
        produce(library, ConditionsFrom(tmp_path / "source.h5"), 25, tmp_path / "a.h5", 1, {})
    assert [each.name for each in tmp_path.iterdir()] == ["source.h5"]
