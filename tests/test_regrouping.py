"""Other cells: known answers by hand, the crop of the ATLAS-like window, and what does not fit."""

from dataclasses import replace

import numpy as np
import pytest

from caloforge.detectors import atlas_lar, atlas_lar_247, detector
from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer
from caloforge.regrouping import regroup
from caloforge.showers import Showers
from caloforge.simulate.binning import cell_numbers

FINE = Geometry(
    "fine",
    (
        Layer("front", "xy", (0, 1, 2, 3, 4), (0, 1, 2, 3), 1.0, 2.0),
        Layer("back", "xy", (0, 1), (0.0, 0.5, 1.5, 3.0), 5.0),
    ),
)
COARSE = Geometry(
    "coarse",
    (
        Layer("back", "xy", (0, 1), (0.5, 3.0), 5.0, threshold=7.0),
        Layer("front", "xy", (1, 2, 4), (0, 2, 3), 1.0, 2.0),
    ),
)


def of(energies: object, geometry: Geometry) -> Showers:
    cells = np.atleast_2d(np.asarray(energies, np.float32))
    return Showers(cells, {"energy": np.arange(1.0, len(cells) + 1)}, geometry)


def with_front(**changes: object) -> Geometry:
    back, front = COARSE.layers
    return replace(COARSE, layers=(back, replace(front, **changes)))


def test_cells_are_merged_and_cropped_as_by_hand() -> None:
    front = [[1, 2, 3], [10, 20, 30], [100, 200, 300], [1000, 2000, 3000]]
    made = regroup(of(np.concatenate([np.ravel(front), [5, 6, 7]]), FINE), COARSE)
    np.testing.assert_array_equal(made.energies, [[13, 30, 30, 3300, 3300]])
    assert made.geometry == COARSE  # thresholds are its own, and nothing is cut
    np.testing.assert_array_equal(made.incident, [1.0])


def test_sums_are_exact() -> None:
    cells = np.zeros(15)
    cells[12:] = 0, 2**24, 1
    cells[6:12] = 1, 1, 0, 2**24, 0, 0
    made = regroup(of(cells, FINE), COARSE)
    assert made.energies[0, 0] == np.float32(2**24 + 1)
    assert made.energies[0, 3] == 2**24 + 2  # one after the other in float32: 2**24


def test_merging_keeps_the_energy_of_each_shower_and_layer() -> None:
    fine = atlas_lar()
    slow, fast = ([0, 8, 16, 24], [0, 1, 2])
    strip = fine.layers[1]
    merged = replace(strip, slow=tuple(strip.slow[i] for i in slow), fast=tuple(strip.fast[i] for i in fast[::2]))
    coarse = replace(fine, name="coarse", layers=(fine.layers[0], merged, *fine.layers[2:]))
    showers = of(np.random.default_rng(1).exponential(size=(50, 89)), fine)
    made = regroup(showers, coarse)
    for name in ("middle", "presampler", "back"):
        np.testing.assert_array_equal(made.layer(name), showers.layer(name))
    np.testing.assert_allclose(made.layer("strip").sum((1, 2)), showers.layer("strip").sum((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(made.layer("strip")[:, 1, 0], showers.layer("strip")[:, 8:16].sum((1, 2)), rtol=1e-6)


@pytest.mark.parametrize("eta", [0.2, 0.7])
def test_each_atlas_cell_has_its_twin_in_the_wider_window(eta: float) -> None:
    wide, narrow = atlas_lar_247(eta), atlas_lar(eta)
    made = regroup(of(np.eye(247), wide), narrow).energies
    distance = np.abs(wide.centers[:, None] - narrow.centers[None]).max(axis=2)  # mm
    np.testing.assert_array_equal(made, distance < 1e-6)
    np.testing.assert_array_equal(made.sum(axis=0), np.ones(89))


@pytest.mark.parametrize("center", [0.2, 0.9])
def test_points_of_a_window_that_follows_eta_are_in_the_same_cells(center: float) -> None:
    """Whatever is scored in the wide window and cropped is what the narrow one would have scored."""
    wide, narrow = atlas_lar_247(), atlas_lar()
    rng = np.random.default_rng(3)
    layers = rng.integers(0, 4, 4000)
    depths = np.array([layer.depth for layer in wide.layers])[layers]
    points = np.stack([rng.uniform(-250, 250, 4000), rng.uniform(-250, 250, 4000), depths], axis=1)
    there = cell_numbers(wide, layers, points, center)
    inside = there >= 0
    here = cell_numbers(narrow, layers, points, center)
    assert (here[~inside] < 0).all()
    assert 100 < (here >= 0).sum() < inside.sum() - 100
    made = regroup(of(np.eye(247)[there[inside]], wide), narrow).energies
    np.testing.assert_array_equal(made, np.eye(90)[here[inside], :89])  # −1, no cell, is the last column


def test_the_wide_window_of_clic_contains_the_narrow_one() -> None:
    wide = detector("clic_ecal_51")
    made = regroup(of(np.arange(wide.n_cells), wide), detector("clic_ecal"))
    np.testing.assert_array_equal(made.layer(3)[0], np.arange(3 * 51**2, 4 * 51**2).reshape(51, 51)[13:38, 13:38])


def test_edges_are_one_to_a_billionth() -> None:
    showers = of(np.arange(15), FINE)
    regroup(showers, with_front(slow=(1 + 3e-9, 2, 4)))
    with pytest.raises(InputError, match=r"layer 'front' has an edge at y = 1, .* 5 edges from 0 to 4"):
        regroup(showers, with_front(slow=(1 + 1e-8, 2, 4)))
    with pytest.raises(InputError, match=r"edge at x = 3\.5"):
        regroup(showers, with_front(fast=(0, 2, 3.5)))
    with pytest.raises(InputError, match="edge at x = 2"):
        regroup(showers, with_front(fast=(0, 2, 2 + 1e-9)))  # a cell of no size


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (with_front(calibration=2.1), "layer 'front' has calibration 2.0 in 'fine' and 2.1 in 'coarse'"),
        (with_front(depth=2.0), "layer 'front' has depth"),
        (with_front(axes="eta_phi"), "layer 'front' has axes"),
        (with_front(name="side"), "'fine' has no layer 'side'"),
        (replace(COARSE, radius=100.0, eta=0.1), "another detector than 'fine', they differ in radius, eta"),
    ],
)
def test_what_does_not_fit_is_refused(geometry: Geometry, message: str) -> None:
    with pytest.raises(InputError, match=message):
        regroup(of(np.ones(15), FINE), geometry)


def test_a_window_seen_at_another_eta_is_refused() -> None:
    with pytest.raises(InputError, match="differ in eta"):
        regroup(of(np.ones(247), atlas_lar_247(0.2)), atlas_lar(0.225))
