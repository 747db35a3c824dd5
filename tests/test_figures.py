"""The data of figures, on showers of one layer and two cells."""

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.figures.embeddings import principal_components, structural_similarity, tsne
from caloforge.figures.samples import REFERENCE
from caloforge.figures.shapes import cell_spectrum, sampling_fraction, shapes
from caloforge.figures.showers import nearest_few, neighbours, typical
from caloforge.figures.trends import energy_edges, response, trends
from caloforge.geometry import Geometry, Layer
from caloforge.metrics import Sample, TrainingSet
from caloforge.metrics.neighbours import nearest
from caloforge.showers import Showers


def showers(cells: NDArray[np.float64], incident: NDArray[np.float64], threshold: float = 0.0) -> Showers:
    layer = Layer("pad", "xy", (0.0, 1.0), (0.0, 1.0, 2.0), depth=0.0, threshold=threshold)
    return Showers(cells, {"energy": incident}, Geometry("two", (layer,)))


def one_cell(reco: NDArray[np.float64], incident: NDArray[np.float64]) -> Showers:
    return showers(np.stack([reco, np.zeros(len(reco))], axis=1), incident)


def test_response_by_hand() -> None:
    incident = np.repeat([10e3, 20e3], [20, 19])
    reco = np.where(np.arange(39) % 2 == 0, 0.5, 0.6) * incident
    data = response({REFERENCE: Sample.of(one_cell(reco, incident))})
    found = data["samples"][REFERENCE]
    assert data["energy"] == [10e3, 20e3]
    assert found["showers"] == [20, 19]
    rms = 500 * np.sqrt(20 / 19)
    assert found["difference"]["mean"][0] == pytest.approx(4500)
    assert found["difference"]["rms"][0] == pytest.approx(rms)
    assert found["difference"]["mean_error"][0] == pytest.approx(rms / np.sqrt(20))
    assert found["difference"]["rms_error"][0] == pytest.approx(rms / np.sqrt(40))
    assert found["relative"]["mean"][0] == pytest.approx(0.45)
    assert found["core"]["mu90"][0] == pytest.approx(0.55)
    assert found["core"]["sigma90"][0] == pytest.approx(0.05)
    assert found["core"]["resolution"][0] == pytest.approx(0.05 / 0.55)
    assert all(each[1] is None for kind in ("difference", "relative", "core") for each in found[kind].values())


def test_the_width_of_a_bin_does_not_widen_the_resolution() -> None:
    incident = np.random.default_rng(1).uniform(1e3, 100e3, 4000)
    data = response({REFERENCE: Sample.of(one_cell(0.8 * incident, incident))})
    core = data["samples"][REFERENCE]["core"]
    assert len(data["energy"]) == 10
    np.testing.assert_allclose(core["mu90"], 0.8, rtol=1e-6)
    np.testing.assert_allclose(core["resolution"], 0, atol=1e-6)


def test_reconstructed_energy_is_above_threshold() -> None:
    """The second cell lies below its threshold of 100 MeV."""
    incident = np.full(30, 1e3)
    cells = np.tile([700.0, 90.0], (30, 1))
    data = response({REFERENCE: Sample.of(showers(cells, incident, threshold=100.0))})
    assert data["samples"][REFERENCE]["difference"]["mean"] == [pytest.approx(300)]


def test_bins_hold_equally_many_showers_of_the_reference_and_nothing_beyond() -> None:
    incident = np.arange(1.0, 501.0)
    reference = Sample.of(one_cell(incident, incident))
    beyond = np.concatenate([incident, [0.5, 600.0]])
    data = response({REFERENCE: reference, "other": Sample.of(one_cell(beyond, beyond))})
    assert data["samples"][REFERENCE]["showers"] == [50] * 10
    assert data["samples"]["other"]["showers"] == [50] * 10
    assert np.all(np.diff(data["energy"]) > 0)
    assert trends({REFERENCE: reference})["energy"] == data["energy"]


def test_few_energies_have_a_bin_each() -> None:
    edges = energy_edges(np.array([30.0, 10.0, 30.0, 20.0]))
    np.testing.assert_allclose(edges, [10, 20, 30, 30])
    assert edges[-1] > 30


def test_the_nearest_few_are_those_of_the_metric() -> None:
    """In units of the incident energy, the query is at (1, 0) and shower i at (1 − 0.1 i, 0), out of order."""
    share = 1 - 0.1 * np.array([3, 7, 0, 5, 1, 9, 2])
    incident = np.linspace(10e3, 70e3, 7)
    base, query = one_cell(share * incident, incident), one_cell(np.array([5e3]), np.array([5e3]))
    distance, index = nearest_few(query, base)
    assert index.tolist() == [2, 4, 6, 0, 3]
    np.testing.assert_allclose(distance, [0, 0.1, 0.2, 0.3, 0.5], atol=1e-6)
    best, first = nearest(query, base)
    assert (first[0], best[0]) == (index[0], pytest.approx(distance[0], abs=1e-6))


def test_a_typical_shower_has_high_energy_and_median_distance() -> None:
    incident = np.arange(1.0, 101.0)  # showers 84 to 94 lie between the quantiles of 0.85 and 0.95
    far, near = np.zeros(100), np.zeros(100)
    far[84:95] = np.arange(11)[::-1] ** 2  # alone, shower 89 is at the median
    near[90] = 1000  # but this one is farthest of all from another sample
    assert typical(incident, {"a": far}) == 89
    assert typical(incident, {"a": far, "b": near}) == 88


def test_neighbours_of_one_geant4_shower_stand_beside_it_for_each_sample() -> None:
    rng = np.random.default_rng(2)
    samples = {}
    for name in (REFERENCE, "a", "b"):
        incident = rng.uniform(1e3, 100e3, 50)
        samples[name] = Sample.of(showers(rng.dirichlet([1, 1], 50) * incident[:, None], incident))
    data = neighbours(samples, TrainingSet(samples["b"].showers, samples["b"].geometry))
    first, second = data["generated_nearest"]["a"], data["generated_nearest"]["b"]
    assert first["shower"]["incident"] == second["shower"]["incident"]
    energies = samples[REFERENCE].showers.incident
    assert np.quantile(energies, 0.8) < first["shower"]["incident"] < np.quantile(energies, 0.98)
    assert len(first["neighbours"]) == len(second["neighbours"]) == 5
    assert first["neighbours"][0]["shower"]["incident"] in samples["a"].showers.incident
    distances = [each["distance"] for each in first["neighbours"]]
    assert distances == sorted(distances)

    pairs = data["training_pairs"]["b"]  # its own training set: every shower is a copy
    assert all(pair["shower"]["incident"] == pair["neighbour"]["incident"] for pair in pairs)
    assert all(pair["shower"]["incident"] >= np.median(samples["b"].showers.incident) for pair in pairs)


def test_shapes_and_sampling_fractions_by_hand() -> None:
    """A quarter of the energy is in the second cell; of two bins of 10 GeV one has fewer than 20 showers."""
    incident = np.repeat([15e3, 25e3], [40, 19])
    cells = incident[:, None] * np.tile([[0.3, 0.1], [0.6, 0.2]], (30, 1))[:59]
    samples = {REFERENCE: Sample.of(showers(cells, incident))}
    (shape,) = shapes(samples)
    assert (shape["axis"], shape["layer"]) == ("x", None)
    np.testing.assert_allclose(shape["mean"][REFERENCE], [0.75, 0.25])
    np.testing.assert_allclose(shape["error"][REFERENCE], 0, atol=1e-9)
    data = sampling_fraction(samples)
    found = data["samples"][REFERENCE]
    assert data["edges"].tolist() == [10e3, 20e3, 30e3]
    assert found["showers"].tolist() == [40, 19]
    np.testing.assert_allclose(found["mean"], [0.6, np.nan], rtol=1e-6)
    np.testing.assert_allclose(found["error"], [0.2 / np.sqrt(39), np.nan], rtol=1e-5)


def test_the_spectrum_counts_cells_a_shower() -> None:
    samples = {REFERENCE: Sample.of(showers(np.tile([2.0, 3000.0], (50, 1)), np.full(50, 1e4)))}
    data = cell_spectrum(samples)
    mean = data["all"][REFERENCE]["mean"]
    assert mean.sum() == pytest.approx(2)
    assert [float(np.floor(np.log10(data["edges"][i] * 1.0001))) for i in np.flatnonzero(mean)] == [0, 3]
    assert "central" not in data


def test_principal_components_are_those_of_the_reference() -> None:
    """Geant4 varies along (1, 1) most; the sample half as much there, and nowhere else."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 300))
    ours = 100 + np.stack([10 * a + b, 10 * a - b], axis=1)
    theirs = 100 + np.stack([5 * a, 5 * a], axis=1)
    data = principal_components(
        {name: Sample.of(showers(cells, np.full(300, 1e3))) for name, cells in ((REFERENCE, ours), ("s", theirs))}
    )
    assert data["explained"][0] == pytest.approx(100 / 101, abs=0.004)
    assert data["samples"]["s"]["spread"] == pytest.approx([0.5, 0.0], abs=0.03)
    assert data["samples"]["s"]["scores"].shape == (300, 2)


def test_tsne_has_numbers_beside_it() -> None:
    rng = np.random.default_rng(5)
    samples = {
        name: Sample.of(showers(rng.uniform(low, 2 * low, (60, 2)), np.full(60, 1e4)))
        for name, low in ((REFERENCE, 10), ("like", 10), ("other", 1000))
    }
    data = tsne(samples, 40)
    assert data is not None
    assert {name: each.shape for name, each in data["places"].items()} == dict.fromkeys(samples, (40, 2))
    assert data["apart"]["other"] == {"purity": 1.0, "chance": 0.5, "auc": 1.0}
    assert data["apart"]["like"]["purity"] < 0.65
    assert data["components"]["purity"] == 1.0
    assert tsne(samples, 0) is None
    assert structural_similarity(samples) is None
