"""Every detector: its stack adds up to the published depth, and cell k is where it should be."""

import math
from dataclasses import replace

import numpy as np
import pytest

from caloforge.detectors import (
    DETECTORS,
    atlas_lar,
    atlas_lar_247,
    calogan,
    clic_ecal,
    clic_ecal_51,
    clic_ecal_full,
    detector,
    ild_ecal,
    par04_ds2,
    par04_ds3,
    testem3,
)
from caloforge.detectors.atlas_lar import RADIATION_LENGTH
from caloforge.errors import InputError
from caloforge.geometry import Geometry
from caloforge.simulate.binning import cell_numbers

PLANAR = {name: make for name, make in DETECTORS.items() if make().inner_radius is None}


def depth_of(geometry: Geometry, layer: str) -> float:
    """Where the active material of a layer is: halfway between its front and its back."""
    fronts = np.cumsum([0, *(slab.thickness for slab in geometry.stack)])
    own = [i for i, slab in enumerate(geometry.stack) if slab.layer == geometry.index(layer)]
    return float(fronts[own[0]] + fronts[own[-1] + 1]) / 2


@pytest.mark.parametrize("make", DETECTORS.values(), ids=DETECTORS)
def test_every_center_is_in_its_own_cell(make: type) -> None:
    geometry = make()
    layers = np.repeat(np.arange(len(geometry.layers)), np.diff(geometry.offsets))
    np.testing.assert_array_equal(cell_numbers(geometry, layers, geometry.centers), np.arange(geometry.n_cells))
    assert (cell_numbers(geometry, layers, geometry.centers + np.array([2 * geometry.size, 0, 0])) == -1).all()
    assert Geometry.from_json(geometry.to_json()) == geometry


@pytest.mark.parametrize("make", PLANAR.values(), ids=PLANAR)
def test_layers_stand_where_their_slabs_are(make: type) -> None:
    geometry = make()
    for layer in geometry.layers:
        assert layer.depth == pytest.approx(depth_of(geometry, layer.name))


def test_testem3_reads_out_lead_and_argon_in_turn() -> None:
    geometry = testem3()
    assert geometry.n_cells == 100
    assert [slab.material for slab in geometry.stack[:4]] == ["G4_Pb", "G4_lAr"] * 2
    assert [layer.name for layer in geometry.layers[:3]] == ["lead_1", "argon_1", "lead_2"]
    np.testing.assert_allclose(geometry.centers[[0, 1, 99]], [[0, 0, 1.15], [0, 0, 2.3 + 2.85], [0, 0, 400 - 2.85]])


def test_clic_cells() -> None:
    geometry = clic_ecal()
    assert geometry.n_cells == 25**3
    tungsten = [slab.thickness for slab in geometry.stack if slab.material == "G4_W"]
    assert tungsten == [2.4] * 17 + [4.8] * 8
    assert {slab.thickness for slab in geometry.stack if slab.material == "G4_Si"} == {0.5}
    # Cell (layer 18, row 3, column 20): the layers before it are 17 × 4.4 mm and 1 × 6.8 mm thick.
    k = (18 * 25 + 3) * 25 + 20
    np.testing.assert_allclose(geometry.centers[k], [8 * 5.1, -9 * 5.1, 17 * 4.4 + 6.8 + 4.8 + 0.25])
    assert geometry.size >= 3 * 25 * 5.1


def test_clic_51_is_clic_with_a_wider_window() -> None:
    geometry, narrow = clic_ecal_51(), clic_ecal()
    assert geometry.shapes == ((51, 51),) * 25
    assert geometry.stack == narrow.stack
    k = (18 * 51 + 13 + 3) * 51 + 13 + 20
    np.testing.assert_allclose(geometry.centers[k], narrow.centers[(18 * 25 + 3) * 25 + 20])
    # A shower at 60° leaves the last layer inside the window.
    assert narrow.layers[-1].depth / math.tan(math.radians(60)) < 0.6 * 51 / 2 * 5.1


def test_clic_full_has_the_published_slices() -> None:
    geometry = clic_ecal_full()
    assert geometry.shapes == clic_ecal().shapes
    depth = 17 * 2.4 + 8 * 4.8 + 25 * (0.25 + 0.10 + 0.5 + 0.10 + 0.80 + 0.25) + 4.8 + 10
    assert sum(slab.thickness for slab in geometry.stack) == pytest.approx(depth)
    materials = [slab.material for slab in geometry.stack]
    assert materials[:7] == ["TungstenDens24", "G4_AIR", "GroundOrHVMix", "G4_Si", "G4_AIR", "siPCBMix", "G4_AIR"]
    assert materials[-2:] == ["TungstenDens24", "CarbonFiber_25percent"]
    k = (18 * 25 + 3) * 25 + 20
    np.testing.assert_allclose(geometry.centers[k], [8 * 5.1, -9 * 5.1, 17 * 4.4 + 6.8 + 4.8 + 0.35 + 0.25])


def test_ild_silicon_is_at_the_published_radii() -> None:
    geometry = ild_ecal()
    assert geometry.shapes == ((30, 30),) * 30
    front = 1811 - 0.25 - 2.1
    # Layer 20 has the first thick absorber, at 1938 mm; cell corners are at x = 0 and y = 0.
    k = (20 * 30 + 15) * 30 + 14
    np.testing.assert_allclose(geometry.centers[k], [-2.5, 2.5, 1938 - front])
    tungsten = [slab.thickness for slab in geometry.stack if slab.material == "G4_W"]
    assert tungsten == [2.1] * 20 + [4.2] * 10
    assert sum(slab.thickness for slab in geometry.stack) == pytest.approx(2010.25 - front)
    assert min(slab.thickness for slab in geometry.stack) > 0


def test_calogan_counts_lead_and_argon_in_three_layers() -> None:
    geometry = calogan()
    assert geometry.n_cells == 504
    assert geometry.shapes == ((3, 96), (12, 12), (12, 6))
    depth = {
        n: [sum(s.thickness for s in geometry.stack if (s.layer, s.material) == (n, m)) for m in ("G4_Pb", "G4_lAr")]
        for n in range(3)
    }
    assert depth == {
        0: pytest.approx([30, 60]),
        1: pytest.approx([2 * 58, 347 - 2 * 58]),
        2: pytest.approx([2 * 7, 43 - 2 * 7]),
    }
    # Layer 0: row 2 of 3 along y (160 mm), column 5 of 96 along x (5 mm); layer 2: the last cell.
    np.testing.assert_allclose(geometry.centers[2 * 96 + 5], [-240 + 27.5, 160, 45])
    np.testing.assert_allclose(geometry.centers[-1], [200, 220, 437 + 21.5])


def test_the_wider_atlas_cluster_has_the_same_phase() -> None:
    wide, narrow = atlas_lar_247(0.3), atlas_lar(0.3)
    assert wide.n_cells == 247
    assert wide.shapes == ((7, 11), (56, 2), (7, 2), (4, 11))
    assert wide.stack == narrow.stack
    for layer, (rows, columns) in {"middle": (2, 2), "strip": (16, 0), "presampler": (2, 0), "back": (1, 2)}.items():
        shape = narrow.layers[narrow.index(layer)].shape
        grids = [each.centers[each.cells(layer)].reshape(*each.shapes[each.index(layer)], 3) for each in (wide, narrow)]
        np.testing.assert_allclose(
            grids[0][rows : rows + shape[0], columns : columns + shape[1]], grids[1], atol=1e-9, err_msg=layer
        )


def test_atlas_depths_are_the_published_ones() -> None:
    geometry = atlas_lar()
    lead = {"strip": 4.3, "middle": 16.0, "back": 2.0}
    for name, expected in lead.items():
        own = [i for i, slab in enumerate(geometry.stack) if slab.layer == geometry.index(name)]
        depth = sum(
            slab.thickness / RADIATION_LENGTH[slab.material] for slab in geometry.stack[own[0] - 1 : own[-1] + 1]
        )
        assert depth == pytest.approx(expected, rel=1e-9)
    assert geometry.stack[1].thickness == 11.0


def test_atlas_cells_and_phase() -> None:
    geometry = atlas_lar(0.2)
    assert [layer.name for layer in geometry.layers] == ["middle", "strip", "presampler", "back"]
    assert geometry.shapes == ((3, 7), (24, 2), (3, 2), (2, 7))
    np.testing.assert_array_equal([layer.threshold for layer in geometry.layers], [200, 60, 120, 200])
    middle, strip, presampler, back = geometry.layers
    central = middle.coordinates[1 * 7 + 3]
    np.testing.assert_allclose(central, [0.2, 0.0], atol=1e-12)
    assert middle.fast[1] - middle.fast[0] == pytest.approx(2 * math.pi / 256)
    assert strip.slow[0] == middle.slow[0]
    assert strip.slow[8] == pytest.approx(middle.slow[1])
    assert strip.fast[0] == middle.fast[0]
    assert strip.fast[1] == pytest.approx(middle.fast[4])
    assert presampler.fast == strip.fast
    assert presampler.slow == middle.slow
    assert back.fast == middle.fast
    assert back.slow[1] == pytest.approx(middle.slow[2])
    # Middle cell 10 is the central one: on the line of sight, at 1311.07 mm + depth from the interaction point.
    np.testing.assert_allclose(geometry.centers[10], [0, middle.depth * math.sinh(0.2), middle.depth], atol=1e-9)
    # Strip (row 23, column 1) has number 21 + 47.
    x, y = geometry.project(0.2 + 11.5 * 0.025 / 8, 2.5 * 2 * math.pi / 256, strip.depth)
    np.testing.assert_allclose(geometry.centers[68], [x, y, strip.depth])


@pytest.mark.parametrize(("geometry", "n_alpha", "n_r"), [(par04_ds2(), 16, 9), (par04_ds3(), 50, 18)])
def test_par04_meshes(geometry: Geometry, n_alpha: int, n_r: int) -> None:
    assert geometry.shapes == ((n_alpha, n_r),) * 45
    assert [slab.material for slab in geometry.stack] == ["G4_W", "G4_Si"] * 90
    assert [slab.thickness for slab in geometry.stack[:2]] == [1.4, 0.3]
    assert geometry.inner_radius == 800
    np.testing.assert_allclose(geometry.boundaries, np.arange(46) * 3.4, atol=1e-12)
    for shell, slab in enumerate(geometry.stack[1::2]):  # the two shells of a layer lie in its cells
        middle = 1.7 * shell + 1.4 + 0.15
        assert geometry.boundaries[shell // 2] < middle < geometry.boundaries[shell // 2 + 1]
        assert slab.layer == shell // 2
    layer = geometry.layers[0]
    assert layer.fast[1] == pytest.approx(41.85 / n_r)
    assert layer.threshold == pytest.approx(0.0005 / 0.033, rel=1e-3)
    assert layer.calibration == pytest.approx(1 / 0.033)
    # Cell (layer 20, row 1, column 2): Par04's angle is −π + 1.5 steps, from −y towards +x.
    angle, r = -math.pi + 1.5 * 2 * math.pi / n_alpha, 2.5 * 41.85 / n_r
    expected = [r * math.sin(angle), -r * math.cos(angle), 20.5 * 3.4]
    np.testing.assert_allclose(geometry.centers[(20 * n_alpha + 1) * n_r + 2], expected, atol=1e-9)


def test_par04_steps_are_assigned_as_in_the_example() -> None:
    """The numbers of Par04SensitiveDetector.cc, written anew: x' = −y (θ), y' = x (φ), z' = z."""
    geometry = par04_ds2()
    points = np.random.default_rng(1).uniform([-45, -45, -5], [45, 45, 160], (5000, 3))
    r, alpha = np.hypot(points[:, 0], points[:, 1]), np.arctan2(points[:, 0], -points[:, 1])
    numbers = np.floor([points[:, 2] / 3.4, (math.pi + alpha) / (2 * math.pi / 16), r / 4.65]).astype(int)
    inside = (numbers[0] >= 0) & (numbers[0] < 45) & (numbers[2] < 9)
    expected = np.where(inside, (numbers[0] * 16 + numbers[1]) * 9 + numbers[2], -1)
    np.testing.assert_array_equal(cell_numbers(geometry, np.zeros(5000, int), points), expected)
    assert 0.5 < inside.mean() < 0.9
    shells = replace(geometry, mesh=False)  # the far side of the cylinder is not in the window
    np.testing.assert_array_equal(cell_numbers(shells, np.zeros(2, int), np.array([[0, 1, 2], [0, 1, -1602]]))[1], -1)


def test_planes_are_three_windows_wide() -> None:
    for geometry in (clic_ecal(), clic_ecal_51(), clic_ecal_full(), ild_ecal(), atlas_lar(0.8), atlas_lar_247(0.8)):
        for layer in geometry.layers:
            y, x = np.array(layer.slow)[[0, -1]], np.array(layer.fast)[[0, -1]]
            if geometry.radius is not None:
                x, y = geometry.project(y, x, sum(slab.thickness for slab in geometry.stack))
            for edges in (x, y):
                assert 3 * (edges[1] - edges[0]) <= geometry.size
                assert abs(edges).max() < geometry.size / 2


def test_unknown_detectors_and_arguments_are_refused() -> None:
    for arguments in ({"name": "atlas"}, {"name": "clic_ecal", "eta": 0.2}, {"name": "atlas_lar", "eta": 1.0}):
        with pytest.raises(InputError):
            detector(**arguments)
