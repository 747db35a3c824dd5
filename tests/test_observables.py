"""Observables of showers that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.detectors import atlas_lar, atlas_lar_247
from caloforge.geometry import Geometry, Layer, regular
from caloforge.observables import table
from caloforge.showers import Showers

PADS = Geometry(
    "pads",
    (
        Layer("front", "xy", regular(2, 0, 20), regular(3, 0, 30), depth=1.0),
        Layer("rear", "xy", (0.0, 4.0, 8.0), (0.0, 2.0, 4.0), depth=11.0),
    ),
)


def shower(geometry: Geometry, cells: dict[int, float], incident: float = 100.0) -> Showers:
    energies = np.zeros((1, geometry.n_cells), np.float32)
    for cell, energy in cells.items():
        energies[0, cell] = energy
    return Showers(energies, {"energy": np.array([incident])}, geometry)


def value(showers: Showers, name: str) -> float:
    return float(table(showers.geometry)[name](showers)[0])


def test_one_cell() -> None:
    one = shower(PADS, {4: 30.0})  # front, row 1 (y = 15 mm), column 1 (x = 15 mm)
    assert value(one, "energy_total") == 30
    assert value(one, "response") == pytest.approx(0.3)
    assert value(one, "energy/front") == 30
    assert value(one, "energy/rear") == 0
    assert value(one, "fraction/front") == 1
    assert value(one, "mean_x/front") == pytest.approx(15)
    assert value(one, "mean_y/front") == pytest.approx(15)
    assert value(one, "width_x/front") == pytest.approx(0, abs=1e-6)
    assert value(one, "hit_fraction") == pytest.approx(0.1)
    assert np.isnan(value(one, "mean_x/rear"))


def test_two_cells() -> None:
    two = shower(PADS, {1: 30.0, 2: 10.0, 9: 20.0})  # front (y = 5, x = 15 and 25), rear (y = 6, x = 3)
    assert value(two, "fraction/front") == pytest.approx(2 / 3)
    assert value(two, "fraction/rear") == pytest.approx(1 / 3)
    assert value(two, "mean_x/front") == pytest.approx(17.5)
    assert value(two, "width_x/front") == pytest.approx(10 * np.sqrt(0.75 * 0.25))
    assert value(two, "mean_y/front") == pytest.approx(5)
    assert value(two, "width_y/front") == pytest.approx(0, abs=1e-6)
    assert value(two, "mean_x/rear") == pytest.approx(3)
    assert value(two, "mean_y/rear") == pytest.approx(6)
    assert value(two, "hit_fraction") == pytest.approx(0.3)


def test_each_layer_is_weighted_with_its_own_energy() -> None:
    """Klein's published code divides the back layer's width by the middle layer's energy."""
    pair = {75: 10.0, 81: 10.0}  # back, row 0, columns 0 and 6
    light, heavy = (shower(atlas_lar(), {10: middle, **pair}) for middle in (1.0, 1000.0))
    expected = 3 * 2 * np.pi / 256
    assert value(light, "width_phi/back") == pytest.approx(expected, rel=1e-5)
    assert value(heavy, "width_phi/back") == pytest.approx(expected, rel=1e-5)


def test_argon_barrel_axes_are_not_swapped() -> None:
    one = shower(atlas_lar(0.2), {21 + 2 * 23 + 1: 5.0})  # strip, row 23, column 1
    assert value(one, "mean_eta/strip") == pytest.approx(11.5 * 0.025 / 8, rel=1e-5)
    assert value(one, "mean_phi/strip") == pytest.approx(2.5 * 2 * np.pi / 256, rel=1e-5)


def test_three_by_three_over_three_by_seven() -> None:
    cells = {10: 6.0, 7: 2.0, 2: 1.0, 13: 1.0}  # centre, its row's edge, inside the 3 × 3, edge
    assert value(shower(atlas_lar(), cells), "ratio_3x3_3x7") == pytest.approx(7 / 10)


def test_three_by_three_over_seven_by_eleven() -> None:
    cells = {38: 5.0, 26: 1.0, 50: 2.0, 37: 1.0, 36: 1.0, 16: 3.0, 0: 7.0}  # centre, two corners, its row, outside
    assert value(shower(atlas_lar_247(), cells), "ratio_3x3_7x11") == pytest.approx(9 / 20)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 3), ["ratio_3x3_5x3"]), ((3, 3), []), ((4, 7), []), ((3, 8), []), ((1, 7), []), ((7, 1), [])],
)
def test_a_central_cell_with_neighbours_is_needed(shape: tuple[int, int], expected: list[str]) -> None:
    for name, axes in (("middle", "xy"), ("rear", "xy"), ("middle", "r_alpha")):
        layer = Layer(name, axes, regular(shape[0], 0, 6), regular(shape[1], 0, 6), depth=1.0)
        found = [each for each in table(Geometry("one", (layer,))) if each.startswith("ratio")]
        assert found == (expected if (name, axes) == ("middle", "xy") else [])


def test_an_empty_shower_is_undefined_not_zero() -> None:
    empty = shower(PADS, {})
    assert value(empty, "energy_total") == 0
    for name in ("fraction/front", "mean_x/front", "width_x/front"):
        assert np.isnan(value(empty, name))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_layers_sum_to_the_total(seed: int) -> None:
    energies = np.random.default_rng(seed).exponential(size=(5, PADS.n_cells)).astype(np.float32)
    showers = Showers(energies, {"energy": np.ones(5)}, PADS)
    rows = table(PADS)
    np.testing.assert_allclose(rows["energy/front"](showers) + rows["energy/rear"](showers), energies.sum(1), rtol=1e-5)
    np.testing.assert_allclose(rows["fraction/front"](showers) + rows["fraction/rear"](showers), 1, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_shifting_cells_shifts_the_centroid(seed: int) -> None:
    wide = Geometry("wide", (Layer("only", "xy", regular(2, 0, 2), regular(6, 0, 60), 1.0),))
    cells = np.zeros((1, 2, 6), np.float32)
    cells[:, :, :3] = np.random.default_rng(seed).exponential(size=(1, 2, 3))
    near, far = (
        Showers(each.reshape(1, 12), {"energy": np.ones(1)}, wide) for each in (cells, np.roll(cells, 2, axis=2))
    )
    rows = table(wide)
    assert rows["mean_x/only"](far)[0] - rows["mean_x/only"](near)[0] == pytest.approx(20, rel=1e-4)
    assert rows["width_x/only"](far)[0] == pytest.approx(rows["width_x/only"](near)[0], rel=1e-4, abs=1e-4)
    assert rows["mean_y/only"](far)[0] == pytest.approx(rows["mean_y/only"](near)[0], rel=1e-5)
