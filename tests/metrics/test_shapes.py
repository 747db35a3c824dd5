"""Sampling fraction, shower shapes, moments and single cells, of showers that can be counted by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detectors import atlas_lar, clic_ecal
from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics import CellSpectrum, Moments, Pixels, Sample, SamplingFraction, ShowerShape, default_metrics
from caloforge.metrics.pixels import EDGES, central_cells, spectrum
from caloforge.metrics.sampling import energy_bins, sampling_fractions
from caloforge.metrics.shapes import axes, profiles
from caloforge.showers import Showers

RNG = np.random.default_rng(0)
EDGES_Y, EDGES_X = regular(5, 0, 10), regular(10, 0, 10)
BLOCK = Geometry("block", tuple(Layer(f"l{i}", "xy", EDGES_Y, EDGES_X, 10.0 * i) for i in range(3)))
PAD = Geometry("pad", (Layer("pad", "xy", (0.0, 1.0), (0.0, 1.0, 2.0), depth=0.0),))


def showers(cells: NDArray[np.float64], geometry: Geometry, incident: float | NDArray[np.float64] = 1e3) -> Showers:
    flat = np.asarray(cells, np.float32).reshape(len(cells), -1)
    return Showers(flat, {"energy": np.broadcast_to(incident, len(flat)).astype(float)}, geometry)


def pads(response: NDArray[np.float64], incident: NDArray[np.float64]) -> Showers:
    """All energy in one of two cells."""
    return showers(np.stack([response * incident, np.zeros(len(incident))], axis=1), PAD, incident)


def test_the_largest_deviation_is_taken_from_20_gev_on_and_from_bins_of_20_showers() -> None:
    """Bins from 10, 20, 30 and 40 GeV; the first begins too low, the last has 19 showers only."""
    incident = np.repeat([15e3, 25e3, 35e3, 45e3], [30, 30, 20, 19])
    ours = pads(np.full(99, 0.5), incident)
    theirs = pads(np.repeat([0.1, 0.49, 0.52, 0.1], [30, 30, 20, 19]), incident)
    estimate = SamplingFraction()(ours, theirs, RNG)
    assert estimate.value == pytest.approx(1 - 0.5 / 0.52, abs=1e-5)
    assert SamplingFraction()(theirs, ours, RNG).value == pytest.approx(0.04, abs=1e-5)
    assert SamplingFraction()(ours, ours, RNG).value == 0.0


def test_the_sampling_fraction_of_a_bin_has_mean_and_error() -> None:
    incident = np.full(40, 28e3)
    sample = Sample.of(pads(np.tile([0.4, 0.6], 20), incident))
    edges = energy_bins(sample.energy)
    np.testing.assert_allclose(edges, [20e3, 30e3])
    count, mean, error = sampling_fractions(sample, edges)
    assert count.tolist() == [40]
    assert mean[0] == pytest.approx(0.5, abs=1e-6)
    assert error[0] == pytest.approx(0.1 / np.sqrt(39), rel=1e-5)


def test_bins_have_10_gev_and_hold_every_energy() -> None:
    np.testing.assert_allclose(energy_bins(np.array([2e3, 30e3])), [0, 10e3, 20e3, 30e3, 40e3])
    np.testing.assert_allclose(energy_bins(np.array([2e3, 35e3]), 20e3), [20e3, 30e3, 40e3])
    assert np.isnan(
        SamplingFraction()(pads(np.ones(50), np.full(50, 5e3)), pads(np.ones(50), np.full(50, 5e3)), RNG).value
    )


def test_a_block_of_25_layers_has_75_positions() -> None:
    assert [(profile.axis, len(profile)) for profile in profiles(clic_ecal())] == [("x", 25), ("y", 25), ("z", 25)]
    assert [int(profile.at_edge.sum()) for profile in profiles(clic_ecal())] == [10, 10, 10]


def test_unequal_layers_have_profiles_of_their_own() -> None:
    found = {(profile.axis, profile.layer): len(profile) for profile in profiles(atlas_lar())}
    assert found["eta", "strip"] == 24
    assert found["phi", "middle"] == 7
    assert found["z", None] == 4
    assert axes(atlas_lar()) == ["phi", "eta", "z"]
    names = {metric.name for metric in default_metrics(atlas_lar())}
    assert {"shower_shape", "shower_shape/eta", "shower_shape/z", "shower_shape/edges", "recall", "coverage"} <= names
    assert not any(name.startswith(("pixels", "ssim", "moments")) for name in names)


def test_the_edges_of_polar_layers_are_outside() -> None:
    layer = Layer("a", "r_alpha", regular(8, -np.pi, np.pi), regular(5, 0, 40), 0.0)
    edges = {profile.axis: profile.at_edge.tolist() for profile in profiles(Geometry("polar", (layer,)))}
    assert edges == {"r": [False] * 4 + [True], "alpha": [False] * 8}


def test_profiles_are_shares_of_each_shower() -> None:
    """One shower of 1 MeV in one place and one of 99 MeV in another weigh the same."""
    cells = np.zeros((2, 3, 5, 10))
    cells[0, 0, 1, 7], cells[1, 2, 4, 7] = 1, 99
    share = Sample.of(showers(cells, BLOCK)).sums.mean_share()
    x, y, z = (profile.of(share) for profile in profiles(BLOCK))
    np.testing.assert_allclose(x, np.eye(10)[7])
    np.testing.assert_allclose(y, [0, 0.5, 0, 0, 0.5])
    np.testing.assert_allclose(z, [0.5, 0, 0.5])


def test_empty_showers_have_no_shape() -> None:
    cells = np.zeros((3, 3, 5, 10))
    cells[0, 0, 0, 0] = 5
    assert Sample.of(showers(cells, BLOCK)).sums.mean_share().sum() == pytest.approx(1)
    assert np.isnan(Sample.of(showers(cells[1:], BLOCK)).sums.mean_share()).all()
    assert np.isnan(ShowerShape()(showers(cells, BLOCK), showers(cells[1:], BLOCK), RNG).value)


def columns(share: NDArray[np.float64]) -> Showers:
    """Showers whose profile along x is given, all else being equal."""
    return showers(np.broadcast_to(share, (40, 3, 5, 10)), BLOCK)


def test_the_error_of_the_shape_is_the_mean_square_of_the_relative_error() -> None:
    """Of 10 + 5 + 3 positions two are wrong, by +100 % and −50 %; the weakest of all is left out."""
    ours = np.array([0.0004, 20, 10, 20, 100, 100, 20, 10, 20, 10])
    theirs = ours * np.array([50.0, 2, 1, 1, 1, 0.9, 1, 1, 0.5, 1])
    theirs *= ours.sum() / theirs.sum()
    ratio = theirs / ours - 1
    reference, sample = columns(ours), columns(theirs)
    assert ShowerShape("x")(reference, sample, RNG).value == pytest.approx(np.mean(ratio[1:] ** 2), rel=1e-4)
    assert ShowerShape()(reference, sample, RNG).value == pytest.approx(np.sum(ratio[1:] ** 2) / 17, rel=1e-4)
    assert ShowerShape("z")(reference, sample, RNG).value == pytest.approx(0, abs=1e-9)
    at_edges = ratio[[1, 8, 9]]  # of x; of y one at each end, and of z: 2 + 2 without error
    assert ShowerShape(edges=True)(reference, sample, RNG).value == pytest.approx(np.sum(at_edges**2) / 7, rel=1e-4)
    assert ShowerShape()(reference, reference, RNG).value == 0.0


def test_moments_count_cells_and_layers() -> None:
    """All energy in one cell: first moments are its place. Two cells two apart: a second moment of one."""
    one, two = np.zeros((2, 3, 5, 10)), np.zeros((2, 3, 5, 10))
    one[:, 1, 2, 4] = 1
    one[:, 1, 2, 6] = one[:, 1, 0, 5] = one[:, 1, 4, 5] = one[:, 0, 2, 5] = one[:, 2, 2, 5] = 1
    two[:] = one
    two[:, 1, 2, 8] = 6  # now 12 of 6 + 6 in all: x = (4 + 6 + 5 * 4 + 8 * 6) / 12 = 6.5
    first = Moments(1)(showers(one, BLOCK), showers(two, BLOCK), RNG)
    assert first.value == pytest.approx((1.5 / 5 + 0 + 0) / 3, rel=1e-5)
    x = np.array([4, 6, 5, 5, 5, 5, *[8] * 6])
    second = np.array([np.var(x) / (2 / 6) - 1, 0.5, 0.5])
    found = Moments(2)(showers(one, BLOCK), showers(two, BLOCK), RNG)
    assert found.value == pytest.approx(np.mean(np.abs(second)), rel=1e-5)
    both = Moments()(showers(one, BLOCK), showers(two, BLOCK), RNG)
    assert both.value == pytest.approx((first.value + found.value) / 2)


def test_343_cells_are_central() -> None:
    geometry = clic_ecal()
    cells = central_cells(geometry)
    layers, rows, columns = np.unravel_index(cells, (25, 25, 25))
    assert len(cells) == 343
    assert [(each.min(), each.max()) for each in (layers, rows, columns)] == [(9, 15)] * 3
    assert not len(central_cells(atlas_lar())) + len(central_cells(BLOCK))


def cube(n: int, seed: int, mean: float = 1.0, spread: float = 1.0, energy: float = 250e3) -> Showers:
    edges = regular(9, 0, 9)
    geometry = Geometry("cube", tuple(Layer(f"l{i}", "xy", edges, edges, 10.0 * i) for i in range(9)))
    cells = np.random.default_rng(seed).normal(100, 10, (n, 9, 9, 9))
    cells[:, 1:8, 1:8, 1:8] = 100 * mean + spread * (cells[:, 1:8, 1:8, 1:8] - 100)
    cells[:, 0] *= 5 if seed else 1  # a layer that is not central
    return showers(cells, geometry, energy)


def test_pixels_compare_means_and_spreads_cell_by_cell() -> None:
    reference, sample = cube(400, 0), cube(400, 1, mean=0.93, spread=0.86)
    mean, spread = (Pixels(moment)(reference, sample, RNG) for moment in ("mean", "spread"))
    assert mean.value == pytest.approx(0.93, abs=0.001)
    assert spread.value == pytest.approx(0.86, abs=0.01)
    assert 0 < spread.error < 0.01
    assert np.isnan(Pixels("mean")(reference, cube(400, 1, energy=253e3), RNG).value)
    assert {"pixels/mean", "pixels/spread"} <= {metric.name for metric in default_metrics(reference.geometry)}


def test_the_spectrum_begins_at_a_millionth_of_a_gev() -> None:
    counts = spectrum(np.array([[0.0, 0.5e-3, 1.5e-3, 1.5e-3], [-1.0, 2.0, 0.0, 0.0]], np.float32))
    assert counts.sum() == 3
    assert counts[1] == 2  # ten bins a decade: 1.26 to 1.58 keV
    assert EDGES[0] == pytest.approx(1e-3)
    ours, theirs = pads(np.full(40, 0.5), np.full(40, 1e3)), pads(np.full(40, 0.9), np.full(40, 1e3))
    assert CellSpectrum()(ours, ours, RNG).value == 0.0
    assert CellSpectrum()(ours, theirs, RNG).value == 1.0
