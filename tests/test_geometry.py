"""The numbering of the cells: known positions, JSON, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer, Material, Slab, regular


def layer(**changes: object) -> Layer:
    return replace(Layer("pad", "xy", regular(2, 0, 20), regular(3, 0, 30), depth=7.0), **changes)


def test_cells_run_over_layers_then_rows_then_columns() -> None:
    geometry = Geometry("two", (layer(), layer(name="second", depth=9.0, fast=(0.0, 4.0))))
    assert geometry.n_cells == 8
    assert geometry.offsets == (0, 6, 8)
    assert geometry.shapes == ((2, 3), (2, 1))
    np.testing.assert_allclose(geometry.centers[[0, 1, 3, 7]], [[5, 5, 7], [15, 5, 7], [5, 15, 7], [2, 15, 9]])
    assert geometry.cells("second") == slice(6, 8)


def test_polar_cells_have_r_fastest() -> None:
    polar = Layer("disc", "r_alpha", regular(4, -math.pi, math.pi), (0.0, 2.0, 6.0), depth=1.0)
    centers = Geometry("polar", (polar,)).centers
    np.testing.assert_allclose(
        centers[1], [4 * math.cos(-0.75 * math.pi), 4 * math.sin(-0.75 * math.pi), 1], rtol=1e-12
    )
    np.testing.assert_allclose(centers[2], [math.cos(-0.25 * math.pi), math.sin(-0.25 * math.pi), 1], rtol=1e-12)


def test_projective_cells_grow_with_the_distance_from_the_interaction_point() -> None:
    cells = Layer("cells", "eta_phi", regular(1, 0.4, 0.6), regular(1, -0.1, 0.3), depth=500.0)
    geometry = Geometry("barrel", (cells,), radius=1000.0, eta=0.5)
    x, y, z = geometry.centers[0]
    assert x == pytest.approx(150)
    assert y == pytest.approx(500 * math.sinh(0.5))  # on the line of sight, 500 mm behind the front face
    assert z == 500
    _, (low, high) = geometry.project(np.array([0.4, 0.6]), 0.0, 500.0)
    assert high - low == pytest.approx(1500 * math.cosh(0.5) * 0.2)


@pytest.mark.parametrize(
    "changes",
    [
        {"fast": (-math.inf, 0.0, math.inf)},
        {"calibration": math.inf},
        {"threshold": math.nan},
        {"axes": "r_alpha", "fast": (-1.0, 1.0)},
        {"axes": "r_alpha", "slow": regular(4, 0, 360)},
    ],
)
def test_layers_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        layer(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": math.nan},
        {"impact": "middle"},
        {"stack": (Slab("G4_Pb", math.inf, 0),)},
        {"stack": (Slab("G4_Pb", math.nan, 0),)},
        {"inner_radius": math.inf},
    ],
)
def test_geometries_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Geometry("one", (layer(),), **{"size": 10.0, **changes})


def test_materials_cannot_take_the_names_of_geant4() -> None:
    with pytest.raises(InputError, match="another"):
        Material("G4_Pb", 1.0, (("Pb", 1.0),))


def test_cells_reach_to_their_outer_edges() -> None:
    assert Geometry("one", (layer(fast=(-30.0, 5.0)), layer(name="b", slow=(-1.0, 2.0)))).reach == (30, 20)
    polar = Layer("disc", "r_alpha", regular(4, -math.pi, math.pi), (0.0, 2.0, 6.0), depth=1.0)
    assert Geometry("polar", (polar,)).reach == (6, 6)
    cells = Layer("cells", "eta_phi", regular(1, 0.4, 0.6), regular(1, -0.1, 0.3), depth=500.0)
    assert Geometry("barrel", (cells,), radius=1000.0, eta=0.5).reach[0] == pytest.approx(450)


def test_unproject_is_the_inverse_of_project() -> None:
    cells = Layer("cells", "eta_phi", regular(1, 0.4, 0.6), regular(1, -0.1, 0.3), depth=500.0)
    geometry = Geometry("barrel", (cells,), radius=1000.0, eta=0.5)
    eta, phi, depth = np.random.default_rng(1).uniform([0.3, -0.2, 0], [0.7, 0.2, 600], (50, 3)).T
    np.testing.assert_allclose(geometry.unproject(*geometry.project(eta, phi, depth), depth), [eta, phi], atol=1e-12)
    moved = replace(geometry, eta=0.9).project(eta + 0.4, phi, depth)  # the same place in a window at another η
    np.testing.assert_allclose(geometry.unproject(*moved, depth, center=0.9), [eta, phi], atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"inner_radius": 0.0},
        {"inner_radius": 5.0, "radius": 1.0, "eta": 0.0},
        {"mesh": True},
        {"inner_radius": 5.0, "mesh": True},
    ],
)
def test_impossible_cylinders_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Geometry("one", (layer(),), size=10.0, **changes)


@pytest.mark.parametrize("edges", [regular(7, -0.1, 0.3), (0.0, 1.0, 3.0), (-1e-17, 5.1)])
def test_json_keeps_every_digit(edges: tuple[float, ...]) -> None:
    geometry = Geometry(
        "one", (layer(fast=edges, calibration=4.2, threshold=1.0),), (Slab("G4_W", 2.4, 0),), 100.0, radius=1.0, eta=0.2
    )
    assert Geometry.from_json(geometry.to_json()) == geometry
    assert Geometry.from_json(geometry.to_json()) != replace(geometry, size=101.0)


def test_per_cell_arrays_follow_the_layers() -> None:
    geometry = Geometry("two", (layer(threshold=3.0), layer(name="b", fast=(0.0, 1.0), calibration=2.0)))
    np.testing.assert_array_equal(geometry.thresholds, [3, 3, 3, 3, 3, 3, 0, 0])
    np.testing.assert_array_equal(geometry.calibrations, [1, 1, 1, 1, 1, 1, 2, 2])


@pytest.mark.parametrize(
    "changes",
    [
        {"axes": "zz"},
        {"slow": (1.0,)},
        {"fast": (0.0, 2.0, 1.0)},
        {"calibration": 0.0},
        {"threshold": -1.0},
        {"depth": math.nan},
    ],
)
def test_impossible_layers_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        layer(**changes)


def test_impossible_geometries_are_refused() -> None:
    for make in (
        lambda: Geometry("none", ()),
        lambda: Geometry("same", (layer(), layer())),
        lambda: Geometry("half", (layer(),), eta=0.2),
        lambda: Geometry("far", (layer(),), (Slab("G4_W", 1, 3),)),
        lambda: Geometry.from_json("{}"),
        lambda: Geometry.from_json("[1]"),
        lambda: Geometry("one", (layer(),)).cells("two"),
    ):
        with pytest.raises(InputError):
            make()
