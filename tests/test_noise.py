"""Electronics noise: its size, its independence, and that an event's noise is its own however a file is cut."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer, regular
from caloforge.models.base import Latent
from caloforge.noise import BLOCK, add_noise
from caloforge.showers import Showers

GEOMETRY = Geometry(
    "two",
    (
        Layer("front", "xy", regular(2, 0, 2), regular(3, 0, 3), 1.0, threshold=30.0),
        Layer("back", "xy", regular(1, 0, 1), regular(4, 0, 4), 2.0),
    ),
)
SIGMA = {"front": 20.0, "back": 3.0}
N = 20_000


def showers(n: int = N, energy: float = 100.0) -> Showers:
    return Showers(np.full((n, 10), energy, np.float32), {"energy": np.full(n, 1e3)}, GEOMETRY)


def noise(sigma: dict[str, float] = SIGMA, seed: int = 1, events: object = None, n: int = N) -> np.ndarray:
    numbers = np.arange(n) if events is None else np.asarray(events)
    return add_noise(showers(len(numbers), 0.0), sigma, seed, numbers).energies


def test_noise_has_mean_zero_and_the_width_asked_for() -> None:
    made = add_noise(showers(), SIGMA, 1, np.arange(N)).energies - 100.0
    widths = np.repeat([20.0, 3.0], [6, 4])
    assert (np.abs(made.mean(axis=0)) < 4 * widths / np.sqrt(N)).all()
    np.testing.assert_allclose(made.std(axis=0), widths, rtol=4 / np.sqrt(2 * N))
    assert ((made / widths) ** 4).mean() == pytest.approx(3, abs=0.1)  # Gaussian
    assert (made < 0).mean() == pytest.approx(0.5, abs=0.01)  # nothing is cut


def test_cells_and_events_are_independent() -> None:
    made = noise()
    between_cells = np.corrcoef(made.T) - np.eye(10)
    assert np.abs(between_cells).max() < 4.5 / np.sqrt(N)
    for lag in (1, BLOCK, 2 * BLOCK):
        assert np.abs(np.mean(made[lag:, 0] * made[:-lag, 0]) / 400) < 4.5 / np.sqrt(N)
    assert len(np.unique(made)) > 0.99 * made.size


def test_an_events_noise_depends_on_seed_and_number_alone() -> None:
    whole = noise()
    for first, last in ((0, 1), (100, 130), (127, 300), (5000, N)):
        np.testing.assert_array_equal(noise(events=np.arange(first, last)), whole[first:last])
    numbers = np.random.default_rng(1).permutation(N)[:500]
    np.testing.assert_array_equal(noise(events=numbers), whole[numbers])
    assert not np.isin(noise(seed=2, n=500), whole[:500]).any()


def test_layers_without_noise_stay_as_they_are_and_do_not_matter() -> None:
    alone = noise({"back": 3.0}, n=300)
    np.testing.assert_array_equal(alone[:, :6], 0)
    np.testing.assert_array_equal(alone[:, 6:], noise(n=300)[:, 6:])


def test_the_noise_is_not_the_latent_of_a_generated_shower() -> None:
    latent = Latent(10).block(1, 0)[:BLOCK]
    assert abs(np.corrcoef(latent.ravel(), noise(n=BLOCK).ravel())[0, 1]) < 0.15


def test_thresholds_cut_negative_cells() -> None:
    made = add_noise(showers(500, 0.0), SIGMA, 1, np.arange(500))
    cut = made.above_threshold().energies
    assert (made.energies < 0).any()
    np.testing.assert_array_equal(cut, np.where(made.energies < GEOMETRY.thresholds, 0, made.energies))
    assert cut.min() == 0


def test_the_showers_given_are_left_alone() -> None:
    given = showers(5)
    add_noise(given, SIGMA, 1, np.arange(5))
    np.testing.assert_array_equal(given.energies, 100.0)
    assert len(add_noise(given[:0], SIGMA, 1, np.arange(0))) == 0


@pytest.mark.parametrize(
    ("sigma", "seed", "events", "message"),
    [
        ({"side": 1.0}, 1, np.arange(5), "no layer 'side'"),
        ({"front": -1.0}, 1, np.arange(5), "layer 'front'"),
        ({"front": float("nan")}, 1, np.arange(5), "layer 'front'"),
        (SIGMA, -1, np.arange(5), "seed -1"),
        (SIGMA, 1, np.arange(4), "5 showers"),
        (SIGMA, 1, np.arange(-1, 4), "from 0 on"),
    ],
)
def test_what_is_no_noise_is_refused(sigma: dict[str, float], seed: int, events: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        add_noise(showers(5), sigma, seed, events)
