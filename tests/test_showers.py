"""The batch that every stage passes on."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer, regular
from caloforge.showers import Showers, concatenate

GEOMETRY = Geometry(
    "pads",
    (
        Layer("a", "xy", regular(2, 0, 2), regular(3, 0, 3), 1.0, threshold=2.0),
        Layer("b", "xy", (0.0, 1.0), (0.0, 1.0), 2.0),
    ),
)


def showers(n: int = 4) -> Showers:
    energies = np.arange(n * 7, dtype=np.float32).reshape(n, 7)
    return Showers(energies, {"energy": np.arange(1.0, n + 1), "theta": np.ones(n)}, GEOMETRY)


def test_layer_and_slices() -> None:
    batch = showers()
    np.testing.assert_array_equal(batch.layer("a")[1], [[7, 8, 9], [10, 11, 12]])
    assert len(batch[1:3]) == 2
    assert batch[1:3].incident[0] == 2.0
    np.testing.assert_array_equal(batch[batch.incident > 3].energies, batch.energies[3:])


def test_concatenate_undoes_slicing() -> None:
    batch = showers()
    joined = concatenate([batch[:1], batch[1:]])
    np.testing.assert_array_equal(joined.energies, batch.energies)
    np.testing.assert_array_equal(joined.conditions["theta"], batch.conditions["theta"])


def test_thresholds_cut_below_and_keep_the_rest() -> None:
    batch = showers(1)
    cut = batch.above_threshold()
    np.testing.assert_array_equal(cut.energies[0], [0, 0, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(cut.above_threshold().energies, cut.energies)
    np.testing.assert_array_equal(batch.energies[0, 1], 1)


@pytest.mark.parametrize(
    ("energies", "conditions"),
    [
        (np.zeros((2, 6)), {"energy": np.ones(2)}),
        (np.zeros((2, 7)), {"energy": np.ones(3)}),
        (np.zeros((2, 7)), {"theta": np.ones(2)}),
        (np.zeros((2, 7)), {"energy": np.zeros(2)}),
        (np.full((2, 7), np.nan), {"energy": np.ones(2)}),
        (np.full((2, 7), np.inf), {"energy": np.ones(2)}),
        (np.zeros((2, 7)), {"energy": np.array([1, np.nan])}),
        (np.zeros((2, 7)), {"energy": np.ones((2, 1))}),
    ],
)
def test_impossible_batches_are_refused(energies: np.ndarray, conditions: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError):
        Showers(energies, conditions, GEOMETRY)


def test_only_like_joins_like() -> None:
    other = Showers(np.zeros((1, 7), np.float32), {"energy": np.ones(1)}, GEOMETRY)
    for batches in ([], [showers(), other]):
        with pytest.raises(InputError):
            concatenate(batches)
