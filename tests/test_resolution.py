"""The shortest interval of 90 %, by hand."""

import math

import numpy as np
import pytest

from caloforge.resolution import mu90_sigma90, shortest_interval


@pytest.mark.parametrize("outlier", [-100.0, 100.0])
def test_one_outlier_of_ten_is_cut_off(outlier: float) -> None:
    values = np.array([4.0, outlier, 9.0, 1.0, 3.0, 2.0, 8.0, 5.0, 7.0, 6.0])
    core = mu90_sigma90(values)
    assert shortest_interval(values) == (1.0, 9.0)
    assert (core.mu, core.n) == (5.0, 9)
    assert core.sigma == pytest.approx(math.sqrt(60 / 9))
    assert core.mu_error == pytest.approx(math.sqrt(60 / 9) / 3)
    assert core.sigma_error == pytest.approx(math.sqrt(60 / 9) / math.sqrt(18))
    r = math.sqrt(60 / 9) / 5
    assert core.resolution == pytest.approx(r)
    assert core.resolution_error == pytest.approx(math.hypot(core.sigma_error / 5, r * core.mu_error / 5))


def test_the_lowest_of_equally_short_intervals_is_taken() -> None:
    assert shortest_interval(np.arange(10)) == (0.0, 8.0)


def test_rounding_does_not_add_a_value() -> None:
    """0.55 × 100 is 55.00000000000001 in floating point."""
    assert shortest_interval(np.arange(100), 0.55) == (0.0, 54.0)


def test_no_less_than_the_share_is_held() -> None:
    """90 % of 12 values are 10.8, so 11."""
    assert shortest_interval([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 30]) == (0.0, 10.0)


def test_ties_at_the_ends_are_inside() -> None:
    core = mu90_sigma90([0.5] * 10 + [0.6] * 10)
    assert (core.mu, core.n) == (pytest.approx(0.55), 20)
    assert core.sigma == pytest.approx(0.05)
    assert mu90_sigma90([3.0] * 11 + [8.0]).sigma == 0


def test_undefined_values_are_left_out() -> None:
    values = np.arange(20.0)
    assert mu90_sigma90([np.nan, *values, np.nan]) == mu90_sigma90(values)


@pytest.mark.parametrize("values", [[], [1.0] * 9, [np.nan] * 50])
def test_too_few_values_give_nan(values: list[float]) -> None:
    core = mu90_sigma90(values)
    numbers = core.mu, core.sigma, core.mu_error, core.sigma_error, core.resolution, core.resolution_error
    assert all(map(math.isnan, numbers))
    assert math.isnan(shortest_interval([])[0])


def test_a_mean_that_is_not_positive_has_no_resolution() -> None:
    assert math.isnan(mu90_sigma90(np.arange(-10.0, 1.0)).resolution)


def test_of_a_normal_distribution() -> None:
    """Within ±1.645 σ the RMS is √(1 − 2 · 1.645 φ(1.645) / 0.9) σ = 0.789 σ."""
    core = mu90_sigma90(np.random.default_rng(0).normal(1.0, 0.1, 200_000))
    assert core.sigma == pytest.approx(0.0789, rel=0.01)
    assert core.mu == pytest.approx(1.0, abs=0.01)
