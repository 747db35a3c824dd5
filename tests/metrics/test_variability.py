"""Structural similarity, precision and recall, purity: is the variety there? On sets whose answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics import PRDC, SSIM, Neighbourhoods
from caloforge.metrics.components import component_auc, distances, neighbourhood_purity
from caloforge.metrics.prdc import log_cells, neighbourhoods
from caloforge.metrics.ssim import paired, ssim
from caloforge.showers import Showers

RNG = np.random.default_rng(0)
N = 400


def cloud(seed: int, *centres: float, n: int = N) -> NDArray[np.float32]:
    """Equally many points around each centre on a line, in three dimensions."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3))
    points[:, 0] += np.resize(centres, n)
    return points.astype(np.float32)


def means(real: NDArray[np.float32], generated: NDArray[np.float32], k: int = 5) -> dict[str, float]:
    return {name: float(each.mean()) for name, each in neighbourhoods(real, generated, k).items()}


def test_by_hand() -> None:
    """Real balls reach 1, 1, 2, 97; generated ones 3, 0.75, 0.75, 45.75."""
    real, generated = (np.array([each], np.float32).T for each in ([0, 1, 3, 100], [0.5, 3.5, 4.25, 50]))
    found = means(real, generated, 1)
    assert found["precision"] == 1.0  # 0.5: balls of 0, 1; 3.5 and 4.25: of 3 and 100; 50: of 100
    assert found["density"] == 7 / 4
    assert found["coverage"] == 1.0
    assert found["recall"] == 0.75  # 0, 1, 3: ball of 0.5; 100: of none
    assert found["purity"] == 2 / 8  # 4.25 beside 3.5, 50 beside 4.25


def test_identical_sets_are_perfect() -> None:
    real = cloud(1, 0.0)
    found = means(real, real)
    assert found["precision"] == found["recall"] == found["coverage"] == 1.0


def test_sets_of_one_distribution() -> None:
    """In three dimensions nearly every point is inside a ball; coverage is 1 − 2⁻⁵; neighbours are half and half."""
    found = means(cloud(1, 0.0), cloud(2, 0.0))
    assert found["precision"] > 0.9
    assert found["recall"] > 0.9
    assert found["density"] == pytest.approx(1, abs=0.15)
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.03)
    assert found["purity"] == pytest.approx(0.5, abs=0.04)


def test_disjoint_sets_share_nothing() -> None:
    found = means(cloud(1, 0.0), cloud(2, 100.0))
    assert found == {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0, "purity": 1.0}


def test_a_dropped_mode_costs_recall_and_coverage_but_not_precision() -> None:
    found = means(cloud(1, 0.0, 100.0), cloud(2, 0.0))
    assert found["precision"] > 0.9
    assert found["recall"] == pytest.approx(0.5, abs=0.05)
    assert found["coverage"] == pytest.approx(0.5, abs=0.05)


def test_an_invented_mode_costs_precision_but_not_recall() -> None:
    found = means(cloud(1, 0.0), cloud(2, 0.0, 100.0))
    assert found["recall"] > 0.9
    assert found["precision"] == pytest.approx(0.5, abs=0.05)


def test_distances() -> None:
    points = np.array([[0, 0], [3, 4], [0, 1]], np.float32)
    np.testing.assert_allclose(distances(points), [[0, 5, 1], [5, 0, 18**0.5], [1, 18**0.5, 0]], rtol=1e-5)


def test_purity_and_auc_of_components() -> None:
    labels = np.repeat(["a", "b", "c"], 100)
    islands = cloud(3, 0.0, n=300) + 50 * np.repeat(np.arange(3), 100)[:, None]
    assert neighbourhood_purity(islands, labels) == 1.0
    assert neighbourhood_purity(cloud(3, 0.0, n=300), labels) == pytest.approx(1 / 3, abs=0.06)
    assert component_auc(islands[::3], labels[::3]) == 1.0
    assert component_auc(islands[:200:2], labels[:200:2]) == 1.0
    assert component_auc(cloud(3, 0.0, n=300), labels) == pytest.approx(0.5, abs=0.1)
    assert np.isnan(component_auc(islands[:104], labels[:104]))


EDGES = regular(15, 0, 15)
LAYERS = Geometry("images", tuple(Layer(f"l{i}", "xy", EDGES, EDGES, 10.0 * i) for i in range(2)))


def showers(n: int, seed: int, geometry: Geometry = LAYERS, alike: bool = False) -> Showers:
    rng = np.random.default_rng(seed)
    incident = rng.uniform(10e3, 20e3, n)
    share = rng.gamma(1, 1e-5, (1 if alike else n, geometry.n_cells))
    return Showers((share * incident[:, None]).astype(np.float32), {"energy": incident}, geometry)


def test_cells_are_logarithms_of_at_least_a_tenth_of_an_mev() -> None:
    geometry = Geometry("three", (Layer("a", "xy", (0.0, 1.0), regular(3, 0, 3), 0.0),))
    found = log_cells(Showers(np.array([[0, 0.01, 100]]), {"energy": np.array([1e3])}, geometry))
    np.testing.assert_allclose(found, [[-1, -1, 2]], rtol=1e-6)


def test_the_metrics_share_one_search_among_equally_many_showers() -> None:
    among = Neighbourhoods(max_events=50)
    reference, sample = showers(80, 1), showers(60, 2)
    recall = PRDC("recall", among)(reference, sample, RNG)
    assert recall.n_reference == recall.n_sample == 50
    assert recall.error == pytest.approx(np.sqrt(recall.value * (1 - recall.value) / 50))
    assert np.isnan(PRDC("precision", among)(reference[:5], sample[:5], RNG).value)


def test_ssim_by_hand() -> None:
    """Equal images have 1. Of constant images only the means are left: (2ab + C₁) / (a² + b² + C₁)."""
    image = np.random.default_rng(1).gamma(1, size=(3, 15, 15))
    np.testing.assert_allclose(ssim(image, image, 0.1), 1)
    a, b = np.full((15, 15), 2.0), np.full((15, 15), 3.0)
    assert ssim(a, b, 100.0) == pytest.approx((2 * 6 + 1) / (4 + 9 + 1))
    assert ssim(a, b, 1e-6) == pytest.approx(12 / 13, rel=1e-3)


def test_ssim_in_the_one_window_of_a_small_image() -> None:
    """An image of 11 × 11 has one window: weights exp(−r²/2σ²), σ = 1.5, normalised."""
    a, b = np.random.default_rng(2).gamma(1, size=(2, 11, 11))
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    variance_a, variance_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
    covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * 2.0) ** 2, (0.03 * 2.0) ** 2
    expected = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    expected /= (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    assert ssim(a, b, 2.0) == pytest.approx(expected)


def test_pairs_are_neighbours_in_energy() -> None:
    reference, sample = showers(40, 1), showers(30, 2)
    first, second = paired(reference, sample, "within", 100)
    assert len(first) == len(second) == 15
    order = np.sort(sample.incident)
    np.testing.assert_allclose(first.incident, order[0::2])
    np.testing.assert_allclose(second.incident, order[1::2])
    first, second = paired(reference, sample, "across", 20)
    assert len(first) == 20
    nearest = np.abs(sample.incident - first.incident[:, None]).min(axis=1)
    np.testing.assert_allclose(np.abs(second.incident - first.incident), nearest)


def test_collapsed_showers_are_more_alike_than_geant4s() -> None:
    reference, independent, collapsed = showers(60, 1), showers(60, 2), showers(60, 3, alike=True)
    floor = SSIM("within")(reference, independent, RNG)
    assert SSIM("within")(reference, collapsed, RNG).value == pytest.approx(1, abs=1e-6)
    assert floor.value < 0.9
    across = SSIM("across")(reference, independent, RNG)
    assert across.value == pytest.approx(floor.value, abs=5 * np.hypot(floor.error, across.error))


def test_the_data_range_decides_what_is_seen() -> None:
    reference, sample = showers(20, 1), showers(20, 2)
    values = [SSIM("across", data_range)(reference, sample, RNG).value for data_range in (1.0, 1e-3, 1e-5)]
    assert values[0] == pytest.approx(1, abs=1e-6)
    assert values[0] > values[1] > values[2]
