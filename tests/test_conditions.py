"""Conditions drawn from what the user wrote."""

import numpy as np
import pytest

from caloforge.conditions import ConditionSampler
from caloforge.errors import InputError


def draw(text: str, first: int, n: int, seed: int = 1) -> np.ndarray:
    return ConditionSampler({"energy": text}).sample(seed, first, n)["energy"]


def test_fixed_and_cycled() -> None:
    np.testing.assert_array_equal(draw("50GeV", 3, 2), [50e3, 50e3])
    np.testing.assert_array_equal(draw("10GeV,50GeV,1TeV", 4, 3), [50e3, 1e6, 10e3])


@pytest.mark.parametrize("text", ["2GeV:500GeV", "log:1GeV:1TeV", "10GeV,20GeV"])
def test_chunks_equal_one_call(text: str) -> None:
    whole = draw(text, 0, 3000)
    np.testing.assert_array_equal(
        np.concatenate([draw(text, 0, 1), draw(text, 1, 1500), draw(text, 1501, 1499)]), whole
    )


def test_distributions() -> None:
    uniform, log = draw("2GeV:500GeV", 0, 20_000), draw("log:1GeV:1TeV", 0, 20_000)
    assert uniform.min() >= 2e3
    assert uniform.max() <= 500e3
    assert uniform.mean() == pytest.approx(251e3, rel=0.02)
    assert np.log(log).mean() == pytest.approx(np.log(1e3) + 0.5 * np.log(1e3), rel=0.01)
    assert not np.array_equal(uniform, draw("2GeV:500GeV", 0, 20_000, seed=2))


def test_energy_and_angle_are_independent() -> None:
    drawn = ConditionSampler({"energy": "1GeV:2GeV", "theta": "60deg:120deg"}).sample(1, 0, 5000)
    assert abs(np.corrcoef(drawn["energy"], drawn["theta"])[0, 1]) < 0.05


@pytest.mark.parametrize(
    "text", ["5GeV:2GeV", "log:0:1GeV", "-5GeV", "0", "0:5GeV", "1GeV:2GeV:3GeV", "log:5GeV", "", "a,b"]
)
def test_impossible_energies_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        ConditionSampler({"energy": text})
