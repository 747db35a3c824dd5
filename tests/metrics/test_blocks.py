"""The metrics and observables of Getting High, of showers that can be counted by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.block_observables import block_table, block_values, is_image, thresholds
from caloforge.detectors import atlas_lar, clic_ecal, ild_ecal, par04_ds2, testem3
from caloforge.figures.blocks import block
from caloforge.figures.samples import REFERENCE
from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics import CoreResponse, MIPPeak, ObservableCorrelation, RadialShape, Sample, default_metrics
from caloforge.metrics.mip import EDGES, block_spectra, peak
from caloforge.metrics.observable_correlation import INCIDENT, NAMES, correlated
from caloforge.metrics.radial import radial
from caloforge.plots import blocks
from caloforge.report import Report
from caloforge.showers import Showers

RNG = np.random.default_rng(0)
Y, X = regular(5, 0, 10), regular(10, 0, 10)


def layers(depths: tuple[float, ...], threshold: float = 0.0) -> Geometry:
    return Geometry("b", tuple(Layer(f"l{i}", "xy", Y, X, depth, 1.0, threshold) for i, depth in enumerate(depths)))


BLOCK = layers((0.0, 10.0, 20.0, 30.0, 40.0, 50.0))


def showers(cells: NDArray[Any], incident: Any = 1e3, geometry: Geometry = BLOCK) -> Showers:
    flat = np.asarray(cells, np.float32).reshape(len(cells), -1)
    return Showers(flat, {"energy": np.broadcast_to(incident, len(flat)).astype(float)}, geometry)


def observed(cells: NDArray[Any], geometry: Geometry = BLOCK) -> dict[str, float]:
    return dict(zip(block_table(geometry), block_values(showers(cells, geometry=geometry))[0].tolist(), strict=True))


def empty() -> NDArray[np.float64]:
    return np.zeros((1, 6, 5, 10))


def test_one_cell() -> None:
    cells = empty()
    cells[0, 4, 2, 7] = 0.3
    found = observed(cells)
    places = {"m1_x": 7, "m1_y": 2, "m1_z": 4, "m2_x": 0, "m2_y": 0, "m2_z": 0}
    assert found == pytest.approx(
        places | {"energy_visible": 0.3, "n_hit": 1, "third_first": 0, "third_middle": 0, "third_last": 1}, abs=1e-6
    )


def test_two_cells() -> None:
    """3 MeV at (x, y, z) = (1, 4, 0) and 1 MeV at (5, 2, 3): variances of 3/16 of the squared distance."""
    cells = empty()
    cells[0, 0, 4, 1], cells[0, 3, 2, 5] = 3, 1
    found = observed(cells)
    assert found == pytest.approx(
        {"m1_x": 2, "m1_y": 3.5, "m1_z": 0.75, "m2_x": 3, "m2_y": 0.75, "m2_z": 27 / 16}
        | {"energy_visible": 4, "n_hit": 2, "third_first": 0.75, "third_middle": 0.25, "third_last": 0},
        abs=1e-6,
    )


def test_a_hit_has_half_a_mip_or_what_its_layer_demands() -> None:
    cells = empty()
    cells[0, 0, 0, 0], cells[0, 0, 0, 1], cells[0, 0, 0, 2] = 0.099, 0.1, 5
    assert observed(cells)["n_hit"] == 2
    assert observed(cells)["energy_visible"] == pytest.approx(5.1)
    high = layers((0.0, 1.0, 2.0, 3.0, 4.0, 5.0), threshold=2.0)
    assert observed(cells, high)["n_hit"] == 1
    low = layers((0.0, 1.0, 2.0, 3.0, 4.0, 5.0), threshold=0.01)
    assert observed(cells, low)["n_hit"] == 3
    assert thresholds(ild_ecal())[0] == np.float32(0.1)


def test_layers_count_from_the_front_whatever_their_order() -> None:
    cells = empty()
    cells[0, 0, 0, 0] = 1
    found = observed(cells, layers((50.0, 0.0, 10.0, 20.0, 30.0, 40.0)))
    assert (found["m1_z"], found["third_last"]) == (5, 1)


def test_without_a_hit_nothing_is_where() -> None:
    found = observed(empty())
    assert found["n_hit"] == found["energy_visible"] == 0
    assert all(np.isnan(value) for name, value in found.items() if name not in ("n_hit", "energy_visible"))


def test_thirds_of_30_layers_have_10_each() -> None:
    geometry = ild_ecal()
    cells = np.zeros((30, 30, 900))
    cells[np.arange(30), np.arange(30), 0] = 1
    found = block_values(showers(cells, geometry=geometry))[:, -3:]
    np.testing.assert_allclose(found, np.repeat(np.eye(3), 10, axis=0))


def test_only_blocks_have_these() -> None:
    assert is_image(ild_ecal())
    assert is_image(clic_ecal())
    for geometry in (atlas_lar(), par04_ds2(), testem3(), layers((0.0, 1.0))):
        assert not is_image(geometry)
        assert not block_table(geometry)
    names = [metric.name for metric in default_metrics(ild_ecal())]
    ours = {"mip_peak", "shower_shape/radius", "correlation_observables", "linearity/20GeV", "resolution/80GeV"}
    assert ours <= set(names)
    assert len(set(names)) == len(names)
    assert not ours & {metric.name for metric in default_metrics(atlas_lar())}


def spectrum(position: float, n: int, seed: int) -> Showers:
    """Cells of a log-normal peak and of a tenth as many far below and above it."""
    rng = np.random.default_rng(seed)
    cells = position * np.exp(0.3 * rng.normal(size=(n, 300)) + 0.09)  # the density per MeV has its mode at `position`
    cells[:, ::10] = np.exp(rng.uniform(np.log(0.01), np.log(0.05), cells[:, ::10].shape))
    cells[:, 1::20] = 5.0
    return showers(cells)


def test_the_peak_is_found_where_it_was_put() -> None:
    for position in (0.15, 0.17, 0.19):
        counts = block_spectra(spectrum(position, 400, 1).energies).sum(axis=0)
        assert peak(counts) == pytest.approx(position, rel=0.01)


def test_a_parabola_in_the_logarithm_has_its_vertex_exactly() -> None:
    center = np.sqrt(EDGES[1:] * EDGES[:-1])
    counts = 1e4 * np.exp(-2 * np.log(center / 0.2133) ** 2) * np.diff(EDGES)
    assert peak(counts) == pytest.approx(0.2133, rel=1e-9)


def test_no_peak_is_no_number() -> None:
    assert np.isnan(peak(np.diff(EDGES) / EDGES[:-1] * 1e4))  # falling
    assert np.isnan(peak(np.diff(EDGES) * EDGES[:-1] * 1e6))  # rising
    assert np.isnan(peak(np.zeros(len(EDGES) - 1)))
    alone = 1e4 * (np.arange(len(EDGES) - 1) == 24)  # 0.16 MeV
    assert np.isnan(peak(alone))
    few = np.exp(-2 * np.log(np.sqrt(EDGES[1:] * EDGES[:-1]) / 0.2133) ** 2) * np.diff(EDGES)
    assert np.isnan(peak(99 * few / few[26]))  # the highest density, at 0.21 MeV
    assert np.isfinite(peak(101 * few / few[26]))
    assert np.isnan(MIPPeak()(spectrum(0.02, 50, 1), spectrum(0.17, 50, 1), RNG).value)


def test_a_shifted_peak_is_measured_with_its_error() -> None:
    reference, sample = Sample.of(spectrum(0.16, 400, 1)), Sample.of(spectrum(0.18, 400, 2))
    estimate = MIPPeak().compare(reference, sample, RNG)
    assert estimate.value == pytest.approx(0.125, abs=0.015)
    assert 0 < estimate.error < 0.01
    assert MIPPeak().compare(reference, reference, RNG).value == 0
    same = [MIPPeak()(spectrum(0.17, 100, 2 * i), spectrum(0.17, 100, 2 * i + 1), RNG) for i in range(20)]
    spread = np.sqrt(np.mean([each.value**2 for each in same]))
    assert np.mean([each.error for each in same]) == pytest.approx(spread, rel=0.5)


def test_rings_are_one_cell_wide_around_the_middle() -> None:
    profile = radial(ild_ecal())
    ring = profile.place.reshape(30, 30, 30)
    assert np.bincount(ring[0].ravel())[:3].tolist() == [4, 8, 20]
    assert ring[7, 14, 14] == ring[0, 15, 15] == 0
    assert ring[0, 15, 17] == 2  # hypot(0.5, 2.5)
    assert ring[29, 0, 0] == len(profile) - 1 == 20  # hypot(14.5, 14.5)
    assert radial(BLOCK).place.reshape(6, 5, 10)[0, 2, 0] == 4  # 4.5 from the middle of ten columns
    assert not profile.at_edge.any()


def test_the_error_of_the_radial_profile_is_the_mean_square_of_the_relative_error() -> None:
    """80 and 20 % against 60 and 40 %: errors of −25 % and +100 %."""
    ours, theirs = np.zeros((40, 6, 5, 10)), np.zeros((40, 6, 5, 10))
    ours[:, 1, 2, 4], ours[:, 3, 2, 0] = 4, 1
    theirs[:, 5, 2, 5], theirs[:, 0, 2, 9] = 3, 2
    estimate = RadialShape()(showers(ours), showers(theirs), RNG)
    assert estimate.value == pytest.approx((0.25**2 + 1) / 2, rel=1e-5)
    assert estimate.error == pytest.approx(0, abs=1e-6)
    assert RadialShape()(showers(ours), showers(ours), RNG).value == 0


def drawn(n: int, seed: int, linked: bool) -> Showers:
    """Two cells in a place that is random, or that follows the incident energy."""
    rng = np.random.default_rng(seed)
    cells, incident = np.zeros((n, 6, 5, 10)), rng.uniform(1e3, 1e4, n)
    each = np.arange(n)
    column = (9.99 * (incident - 1e3) / 9e3).astype(int) if linked else rng.integers(0, 10, n)
    cells[each, rng.integers(0, 6, n), rng.integers(0, 5, n), column] = 0.03 * incident
    cells[each, rng.integers(0, 6, n), rng.integers(0, 5, n), column] += 0.01 * incident
    return showers(cells, incident)


def test_a_correlation_that_is_missing_costs_its_square() -> None:
    linked, free = (Sample.of(drawn(1500, seed, seed == 1)) for seed in (1, 2))
    ours, theirs = correlated(linked), correlated(free)
    assert ours is not None
    assert theirs is not None
    place = NAMES.index("m1_x"), NAMES.index(INCIDENT)
    assert ours.matrix()[place] == pytest.approx(1, abs=0.01)
    assert theirs.matrix()[place] == pytest.approx(0, abs=0.08)
    estimate = ObservableCorrelation().compare(linked, free, RNG)
    # m1_x is linked to E_inc and E_vis; m2_x is zero in both, so that 11 observables make 110 pairs
    assert estimate.value == pytest.approx(4 / 110, rel=0.1)
    assert 0 < estimate.error < 0.01
    assert ObservableCorrelation().compare(linked, linked, RNG).value == 0


def test_an_energy_that_is_constant_in_one_sample_has_no_correlation_there() -> None:
    """At a fixed incident energy its coefficients are 0, but for the diagonal, which no sample counts."""
    cells = drawn(200, 3, linked=False).energies
    incident = np.random.default_rng(4).uniform(1e3, 1e4, 200)
    spectrum_, fixed_ = Sample.of(showers(cells, incident)), Sample.of(showers(cells, 5e3))
    visible = cells.sum(axis=1)
    ours = correlated(spectrum_)
    assert ours is not None
    matrix, place = ours.matrix(), NAMES.index(INCIDENT)
    assert matrix[place, NAMES.index("energy_visible")] == pytest.approx(np.corrcoef(incident, visible)[0, 1], abs=1e-5)
    used = ~np.isclose(np.diag(matrix), 0)
    row = np.delete(matrix[place], place)
    expected = 2 * np.sum(row**2) / (used.sum() * (used.sum() - 1))
    assert ObservableCorrelation().compare(spectrum_, fixed_, RNG).value == pytest.approx(expected, rel=1e-6)


def test_the_order_of_the_matrix_is_the_published_one() -> None:
    moments = ["m1_x", "m1_y", "m1_z", "m2_x", "m2_y", "m2_z"]
    assert list(NAMES[:6]) == moments
    assert list(NAMES[6:9]) == ["energy_visible", "energy_incident", "n_hit"]
    assert set(NAMES) - {INCIDENT} == set(block_table(BLOCK))


def test_showers_without_hits_have_no_correlations() -> None:
    cells = np.concatenate([drawn(60, 1, linked=True).energies, np.zeros((5, 300))])
    incident = np.concatenate([drawn(60, 1, linked=True).incident, np.full(5, 1e6)])
    whole, part = Sample.of(showers(cells, incident)), Sample.of(drawn(60, 1, linked=True))
    ours, theirs = correlated(whole), correlated(part)
    assert ours is not None
    assert theirs is not None
    np.testing.assert_allclose(ours.matrix(), theirs.matrix(), atol=1e-9)
    assert np.isnan(ObservableCorrelation()(showers(np.zeros((30, 300))), drawn(60, 1, linked=True), RNG).value)


def fixed(mean: float, spread: float, energy: float = 50e3) -> Showers:
    """Responses of mean ± spread, and a tenth that is far off; one cell holds all."""
    cells = np.zeros((100, 6, 5, 10))
    incident = energy * np.linspace(0.92, 1.08, 100)
    response = mean + spread * np.where(np.arange(100) % 2, 1, -1)
    response[5::10] = 3 * mean
    cells[:, 1, 2, 4] = response * incident
    return showers(cells, incident)


def test_linearity_width_and_resolution_are_those_of_the_core() -> None:
    reference, sample = Sample.of(fixed(0.02, 0.002)), Sample.of(fixed(0.021, 0.004))
    linearity = CoreResponse("linearity", 50e3).compare(reference, sample, RNG)
    width = CoreResponse("width", 50e3).compare(reference, sample, RNG)
    resolution = CoreResponse("resolution", 50e3).compare(reference, sample, RNG)
    for metric, sides in zip((linearity, width, resolution), _cores(), strict=True):
        assert metric.value == pytest.approx(abs(sides[1] / sides[0] - 1), rel=1e-4)
        assert (metric.n_reference, metric.n_sample) == (100, 100)
    assert width.error == pytest.approx(_cores()[1][1] / _cores()[1][0] * np.sqrt(2 / 180), rel=1e-4)
    assert CoreResponse("width", 50e3).compare(reference, reference, RNG).value == 0
    assert CoreResponse("width", 50e3).name == "width/50GeV"


def _cores() -> list[tuple[float, float]]:
    """μ, σ and σ / μ of both sides, of the nine in ten that are not far off."""
    sides = []
    for mean, spread in ((0.02, 0.002), (0.021, 0.004)):
        core = mean + spread * np.array([-1] * 50 + [1] * 40)
        sides.append((core.mean(), core.std(), core.std() / core.mean()))
    return list(zip(*sides, strict=True))


def test_the_core_is_that_of_showers_within_a_tenth_of_the_energy() -> None:
    reference = fixed(0.02, 0.002)
    assert np.isnan(CoreResponse("linearity", 80e3)(reference, reference, RNG).value)
    few = CoreResponse("linearity", 60e3)(reference, reference, RNG)  # 54 GeV, the highest, is its lower end
    assert np.isnan(few.value)
    assert few.n_reference <= 1


def test_the_figures_hold_what_the_metrics_measure() -> None:
    samples = {REFERENCE: Sample.of(spectrum(0.16, 60, 1)), "other": Sample.of(spectrum(0.18, 60, 2))}
    data = block(samples)
    assert data is not None
    assert data["mip"]["peak"][REFERENCE] == pytest.approx(0.16, rel=0.03)
    per_shower = (data["mip"]["mean"]["other"] * np.diff(EDGES)).sum()
    assert per_shower == pytest.approx(300, rel=1e-6)
    assert [each["observable"] for each in data["histograms"]] == list(block_table(BLOCK))
    assert data["correlations"]["matrices"]["other"].shape == (12, 12)
    pad = Geometry("pad", (Layer("pad", "xy", (0.0, 1.0), (0.0, 1.0, 2.0), depth=0.0),))
    assert block({REFERENCE: Sample.of(showers(np.ones((3, 2)), geometry=pad))}) is None
    report = Report(BLOCK, ("other",), [], {"block": data}, {}, {}, [])
    drawn_pages = [draw(report) for draw in (blocks.mip, blocks.correlations, blocks.radial)]
    assert [[each.name for each in page] for page in drawn_pages] == [
        ["mip_peak"],
        ["correlation/block"],
        ["shape/radius"],
    ]
    assert "Geant4 0.1" in drawn_pages[0][0].caption
    assert blocks.mip(Report(BLOCK, ("other",), [], {}, {}, {}, [])) == []
