"""The ratio of densities, where it is known."""

import numpy as np
import pytest

from caloforge.ensembles.discriminator import calibrated, density_ratio, inputs
from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer, regular
from caloforge.showers import Showers
from caloforge.testing import toy_showers

ONE_CELL = Geometry("one", (Layer("only", "xy", regular(1, 0, 1), regular(1, 0, 1), 0.0),))


def normal(n, mean, seed, energy=None):
    """One cell with E/E_inc normal around `mean`, of width 0.1."""
    rng = np.random.default_rng(seed)
    energy = np.full(n, 1e3) if energy is None else energy
    return Showers((energy * rng.normal(mean, 0.1, n))[:, None].astype(np.float32), {"energy": energy}, ONE_CELL)


def test_the_ratio_of_two_normal_distributions():
    data, generated = normal(6000, 1.0, 1), normal(6000, 1.1, 2)
    judged = density_ratio(data, generated)
    x = data.energies[:, 0].astype(float) / 1e3
    truth = ((x - 1.0) ** 2 - (x - 1.1) ** 2) / (2 * 0.1**2)
    assert judged.auc == pytest.approx(0.760, abs=0.02)  # Φ(1/√2)
    assert np.std(np.log(judged.ratio) - truth) < 0.2
    assert judged.ratio.mean() == pytest.approx(1.0, abs=0.1)  # the mean of dP_g/dP_d over P_d


def test_it_does_not_know_the_showers_by_heart():
    judged = density_ratio(toy_showers(2000, 1), toy_showers(2000, 2))
    assert abs(judged.auc - 0.5) < 0.04
    assert np.log(judged.ratio).std() < 0.1


def test_it_sees_the_conditions():
    energy = np.repeat([1e3, 1e4], 2000)
    data = normal(4000, np.where(energy < 5e3, 1.0, 2.0), 1, energy)
    swapped = normal(4000, np.where(energy < 5e3, 2.0, 1.0), 2, energy)  # the same shares, at other energies
    assert density_ratio(data, swapped).auc > 0.99


def test_calibration_takes_over_confidence_back():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.5, 1, 20000), rng.normal(-0.5, 1, 20000)  # log-odds of x, if true: x
    judged = calibrated(5 * x + 2, 5 * y + 2)
    np.testing.assert_allclose(np.log(judged.ratio), -x, atol=0.15)
    assert judged.auc == pytest.approx(0.760, abs=0.01)


def test_calibration_with_fewer_of_one_kind():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.5, 1, 20000), rng.normal(-0.5, 1, 2000)
    np.testing.assert_allclose(np.log(calibrated(x, y).ratio), -x, atol=0.2)


def test_inputs_are_above_the_thresholds():
    showers = toy_showers(50, 1)
    np.testing.assert_array_equal(inputs(showers), inputs(showers.above_threshold()))
    assert inputs(showers).shape[0] == 50
    assert not np.array_equal(inputs(showers), inputs(toy_showers(50, 2)), equal_nan=True)


def test_bad_input():
    with pytest.raises(InputError, match="as many of each"):
        density_ratio(toy_showers(10, 1), toy_showers(9, 1))
    with pytest.raises(InputError, match="1 folds"):
        density_ratio(toy_showers(10, 1), toy_showers(10, 1), folds=1)
