"""The rules of AdaGAN: known answers, laws, and what has no solution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.ensembles.weights import boosted_weights, dagger, effective_sample_size, energy_bins, star, top_k
from caloforge.errors import InputError

RATIOS = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=40).map(np.array)
BETA = st.floats(0.01, 1.0)
ONE = pytest.approx(1.0, rel=1e-9)


def test_star_by_hand():
    # β = ½, r = 0, 1, 4: with λ = 1 the brackets are 1, ½ and 0; their sum over Nβ = 3/2 is one
    weights, lam = star(np.array([4.0, 0.0, 1.0]), 0.5)
    assert lam == pytest.approx(1.0)
    np.testing.assert_allclose(weights, [0, 2 / 3, 1 / 3])


def test_dagger_by_hand():
    # β = ½, r = 1, 1, 4: with λ = ½ the brackets are ¾, ¾ and 0; their sum over Nβ = 3/2 is one
    weights, lam = dagger(np.array([1.0, 4.0, 1.0]), 0.5)
    assert lam == pytest.approx(0.5)
    np.testing.assert_allclose(weights, [0.5, 0, 0.5])


def test_top_k_by_hand():
    np.testing.assert_allclose(top_k(np.array([3.0, 0.5, 9.0, 1.0]), 0.5), [0, 0.5, 0, 0.5])
    np.testing.assert_allclose(top_k(np.array([3.0, 0.5]), 0.01), [0, 1])


@given(RATIOS, BETA)
def test_star_solves_its_equation(ratio, beta):
    weights, lam = star(ratio, beta)
    assert weights.sum() == ONE
    np.testing.assert_allclose(weights, np.maximum(lam - (1 - beta) * ratio, 0) / (beta * len(ratio)))


@given(RATIOS.filter(lambda r: (r > 1e-6).all()), BETA)
def test_dagger_solves_its_equation(ratio, beta):
    weights, lam = dagger(ratio, beta)
    assert weights.sum() == ONE
    np.testing.assert_allclose(weights, np.maximum(1 - lam * (1 - beta) * ratio, 0) / (beta * len(ratio)), atol=1e-12)


def test_dagger_without_a_solution_is_an_error():
    ratio = np.array([0.0, 0.0, 1.0, 2.0])
    with pytest.raises(InputError, match=r"absent from 50.0% .* weight 50.0%"):
        dagger(ratio, 0.5)
    assert dagger(ratio, 0.6)[0].sum() == ONE


def test_a_mixture_that_equals_the_data_leaves_all_weights_equal():
    for rule in (star, dagger):
        np.testing.assert_allclose(rule(np.ones(7), 0.25)[0], 1 / 7)


@given(RATIOS.filter(lambda r: len(r) > 2), BETA)
def test_what_is_rarer_in_the_mixture_weighs_more(ratio, beta):
    order = np.argsort(ratio)
    assert (np.diff(star(ratio, beta)[0][order]) <= 1e-15).all()


@pytest.mark.parametrize("rule", ["star", "dagger", "top_k"])
def test_every_energy_bin_keeps_its_share(rule):
    rng = np.random.default_rng(1)
    energy = rng.exponential(10, 1000) + 1
    bins = energy_bins(energy, 7)
    assert np.bincount(bins).min() >= 140
    ratio = rng.gamma(2, size=1000) * energy  # without bins, all weight would go to low energies
    weights = boosted_weights(ratio, 0.3, bins, rule)
    for number in range(7):
        assert weights[bins == number].sum() == pytest.approx((bins == number).mean())


def test_a_fixed_energy_is_one_bin():
    assert set(energy_bins(np.full(50, 3.0), 10)) == {9}
    assert boosted_weights(np.arange(50.0), 0.5, energy_bins(np.full(50, 3.0), 10)).sum() == ONE


def test_effective_sample_size():
    assert effective_sample_size(np.array([2.0, 2, 2, 2])) == 4
    assert effective_sample_size(np.array([3.0, 1, 0])) == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("ratio", "beta", "words"),
    [([1.0], 0.0, "above 0"), ([1.0], 1.5, "at most 1"), ([-1.0], 0.5, "not negative"), ([np.nan], 0.5, "finite")],
)
def test_bad_input(ratio, beta, words):
    for rule in (star, dagger):
        with pytest.raises(InputError, match=words):
            rule(np.array(ratio), beta)


def test_bad_share():
    with pytest.raises(InputError, match="top is 0"):
        top_k(np.ones(3), 0)
