"""Every detector: its stack adds up to the published depth, and cell k is where it should be."""

import math

import numpy as np
import pytest

from caloforge.detectors import DETECTORS, atlas_lar, clic_ecal, detector, testem3
from caloforge.detectors.atlas_lar import RADIATION_LENGTH
from caloforge.errors import InputError
from caloforge.geometry import Geometry


def depth_of(geometry: Geometry, layer: str) -> float:
    """Where the argon or silicon of a layer is: middle of its first and last slab."""
    fronts = np.cumsum([0, *(slab.thickness for slab in geometry.stack)])
    own = [i for i, slab in enumerate(geometry.stack) if slab.layer == geometry.index(layer)]
    return float(np.mean([fronts[i] + geometry.stack[i].thickness / 2 for i in (own[0], own[-1])]))


@pytest.mark.parametrize("make", DETECTORS.values(), ids=DETECTORS)
def test_layers_stand_where_their_slabs_are(make: type) -> None:
    geometry = make()
    for layer in geometry.layers:
        assert layer.depth == pytest.approx(depth_of(geometry, layer.name))
    assert Geometry.from_json(geometry.to_json()) == geometry


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


def test_planes_are_three_windows_wide() -> None:
    for geometry in (clic_ecal(), atlas_lar(), atlas_lar(0.8)):
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
