"""Maximum mean discrepancy: the estimate by hand, error and p-value by experiment, what learning the kernel gains."""

import itertools

import numpy as np
import pytest

from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics import MMD, KernelTest, MMDPValue, Sample
from caloforge.metrics.mmd import gaussian, median_distance, mmd, pair_differences, permuted, power, variance
from caloforge.showers import Showers

X, Y = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [0.0], [2.0]])
PADS = Geometry("pads", (Layer("a", "xy", regular(2, 0, 2), regular(3, 0, 3), 1.0),))


def h_of(x: np.ndarray, y: np.ndarray, *weights: float) -> np.ndarray:
    return pair_differences(gaussian(np.concatenate([x, y]), np.array(weights)))


def sample(n: int, seed: int, shift: float = 0.0) -> Sample:
    energies = np.random.default_rng(seed).normal(10 + shift, 1, size=(n, 6))
    return Sample.of(Showers(energies, {"energy": np.full(n, 100.0)}, PADS))


def test_three_pairs_by_hand() -> None:
    one, two, three = np.exp(-np.array([1, 4, 9]) / 2)  # kernels of points at these distances
    first, second, third = two - 1, three + 1 - two - one, 2 * two - one - three  # pairs 1 and 2, 1 and 3, 2 and 3
    h = h_of(X, Y, 1.0)
    np.testing.assert_allclose(h, [[0, first, second], [first, 0, third], [second, third, 0]])
    assert mmd(h) == pytest.approx(2 * (two - one) / 3)


def test_weights_stretch_the_features() -> None:
    noise = np.random.default_rng(0).normal(size=(6, 1))
    x, y = (np.hstack([each / 2, noise[rows]]) for each, rows in ((X, slice(3)), (Y, slice(3, 6))))
    np.testing.assert_allclose(h_of(x, y, 2.0, 0.0), h_of(X, Y, 1.0))


def test_the_median_distance_ignores_a_shower_and_itself() -> None:
    corners = np.array([[0, 0], [3, 0], [0, 4]], np.float32)  # at distances 3, 4 and 5
    assert median_distance(corners, np.random.default_rng(0)) == pytest.approx(4)
    assert median_distance(np.zeros((4, 2), np.float32), np.random.default_rng(0)) == 1.0


def test_the_power_is_the_estimate_over_its_deviation() -> None:
    torch = pytest.importorskip("torch")
    h = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])  # row means 1.5, 2 and 2.5: variance 1/4
    assert float(power(torch.from_numpy(h))) == pytest.approx(2 / np.sqrt(4 / 4), rel=1e-6)


def test_permutations_exchange_the_showers_of_pairs() -> None:
    expected = []
    for exchanged in itertools.product([False, True], repeat=3):
        rows = np.array(exchanged)[:, None]
        expected.append(mmd(h_of(np.where(rows, Y, X), np.where(rows, X, Y), 1.0)))
    found = permuted(h_of(X, Y, 1.0), 400, np.random.default_rng(1))
    np.testing.assert_allclose(np.unique(found.round(12)), np.unique(np.round(expected, 12)), atol=1e-11)
    for each in np.unique(found.round(12)):
        assert np.mean(found.round(12) == each) == pytest.approx(1 / 4, abs=0.1)  # 4 kinds, as all exchanged is none


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 1.0, 1.7), (0.7, 0.75, 1.25)])
def test_the_error_is_the_spread_of_the_estimate(shift: float, low: float, high: float) -> None:
    """Its square is somewhat too large for equal distributions, where it must not become zero."""
    rng = np.random.default_rng(2)
    made = [h_of(rng.normal(size=(50, 2)), rng.normal(shift, 1, size=(50, 2)), 0.7, 0.7) for _ in range(400)]
    spread = np.var([mmd(h) for h in made])
    assert low < np.mean([variance(h) for h in made]) / spread < high
    assert min(variance(h) for h in made) > 0.2 * spread


@pytest.mark.parametrize("matched", [False, True])
def test_p_values_of_equal_distributions_are_uniform(matched: bool) -> None:
    """Also for pairs of one energy, and for a kernel that has learnt its own showers by heart."""
    test = KernelTest(permutations=99, steps=20, batch=40, learning_rate=0.2)
    rng, found = np.random.default_rng(3), []
    for seed in range(30):
        energy = rng.normal(size=(2, 80, 1))
        x, y = (np.hstack([10 * energy[0 if matched else i], rng.normal(size=(80, 6))]) for i in range(2))
        found.append(test.test(x, y, np.random.default_rng(seed)).p_value)
    assert sum(p <= 0.05 for p in found) <= 6
    assert 0.33 < np.mean(found) < 0.67  # 0.5 ± 0.053
    assert 0.2 < np.std(found) < 0.38  # 0.29


def test_different_samples_are_told_apart() -> None:
    test = KernelTest(permutations=200, steps=20, batch=100)
    ours, theirs = sample(800, 1), sample(800, 2, shift=1.0)
    value, p_value = (metric(test)(ours, theirs, np.random.default_rng(0)) for metric in (MMD, MMDPValue))
    assert value.value > 10 * value.error > 0
    assert p_value.value == pytest.approx(1 / 201)
    assert p_value.error == pytest.approx(np.sqrt(1 / 201 * 200 / 201 / 200))
    assert type(value.value) is type(value.error) is type(p_value.value) is float
    assert value.n_reference == value.n_sample == p_value.n_sample == 400


def test_a_sample_does_not_differ_from_itself() -> None:
    test, same = KernelTest(permutations=20, steps=2), sample(100, 1)
    assert MMD(test)(same, same, np.random.default_rng(0)).value == pytest.approx(0, abs=1e-12)
    assert MMDPValue(test)(same, same, np.random.default_rng(0)).value == 1.0


def test_the_kernel_finds_the_one_feature_that_differs() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 1200, 30))
    y[:, 7] += 0.25
    fixed, learnt = (
        KernelTest(permutations=500, steps=steps, batch=200).test(x, y, np.random.default_rng(0)) for steps in (0, 150)
    )
    np.testing.assert_allclose(fixed.weights, fixed.weights[0])
    assert learnt.weights[7] > 4 * np.median(learnt.weights)
    assert learnt.p_value < 0.02 < 0.1 < fixed.p_value
    assert learnt.mmd / learnt.error > 1.5 * fixed.mmd / fixed.error


def test_both_metrics_share_one_computation_for_each_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    original = KernelTest.test
    monkeypatch.setattr(KernelTest, "test", lambda *given: done.append(1) or original(*given))
    ours, theirs, others = sample(100, 1), sample(100, 2), sample(100, 3)
    test = KernelTest(permutations=20, steps=3)

    def both(kernel: KernelTest, other: Sample, seed: int) -> list[float]:
        return [metric(kernel)(ours, other, np.random.default_rng(seed)).value for metric in (MMD, MMDPValue)]

    first = both(test, theirs, 0)
    assert len(done) == 1
    assert both(test, others, 0) != first
    assert both(test, theirs, 1) != first
    assert len(done) == 3
    assert both(KernelTest(permutations=20, steps=3), theirs, 0) == first  # bit for bit
    assert len(done) == 4


def test_half_of_the_showers_are_tested_up_to_a_number() -> None:
    x, y = np.random.default_rng(5).normal(size=(2, 100, 2))
    sizes = []

    class Spy(KernelTest):
        def learnt_weights(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            sizes.append((len(x), len(y)))
            return np.ones(2)

    for most in (2000, 30):
        Spy(max_events=most, permutations=1).test(x, y, np.random.default_rng(0))
    assert sizes == [(50, 50), (70, 70)]


def test_too_few_showers_are_undefined() -> None:
    assert np.isnan(MMD()(sample(39, 1), sample(100, 2), np.random.default_rng(0)).value)
    assert np.isnan(MMDPValue()(sample(39, 1), sample(100, 2), np.random.default_rng(0)).value)


def test_definitions_tell_the_settings() -> None:
    test = KernelTest(max_events=123, permutations=456, steps=78)
    assert "123" in MMD(test).definition
    assert "78 steps" in MMD(test).definition
    assert "456" in MMDPValue(test).definition
