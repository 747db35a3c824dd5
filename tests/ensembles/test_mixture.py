"""Mixtures: the contract of a simulator, shares, files."""

import json

import numpy as np
import pytest

from caloforge.ensembles import Mixture, load
from caloforge.ensembles import mixture as module
from caloforge.errors import InputError
from caloforge.geometry import Geometry, Layer, regular
from caloforge.models import WGANGP
from caloforge.showers import Showers
from caloforge.surrogate import Surrogate
from caloforge.testing import check_simulator, toy_geometry, toy_showers
from caloforge.training import Training
from caloforge.transforms import Fractions

SHORT = Training(steps=20, batch_size=200, ema=0, progress=False, threads=1)


class Noisy:
    """A simulator that writes its name, the event number it was given, the energy and a random number in four cells."""

    def __init__(self, name):
        cells = regular(2, -1, 1)
        self.name, self.geometry = name, Geometry("four", (Layer("only", "xy", cells, cells, 0.0),))

    def sample(self, conditions, seed, first_event=0):
        n = len(conditions["energy"])
        event = np.arange(first_event, first_event + n)
        noise = [np.random.default_rng([seed, each]).random() for each in event]
        cells = np.stack([np.full(n, self.name), event, conditions["energy"], noise], axis=1)
        return Showers(cells.astype(np.float32), conditions, self.geometry)


@pytest.fixture
def small_spans(monkeypatch):
    monkeypatch.setattr(module, "SPAN", 64)


@pytest.fixture(scope="module")
def surrogates():
    make = lambda seed: Surrogate(toy_geometry(), WGANGP(n_latent=4, width=8), [Fractions()]).fit(  # noqa: E731
        toy_showers(400, 1), Training(**{**SHORT.__dict__, "seed": seed})
    )
    return [make(1), make(2), make(3)]


def conditions(n):
    return {"energy": np.linspace(2e3, 5e4, n)}


def test_contract(small_spans):
    check_simulator(Mixture([Noisy(1), Noisy(2), Noisy(3)], [1, 2, 3]), conditions(300))


def test_contract_with_surrogates(surrogates, small_spans):
    check_simulator(Mixture(surrogates, [1, 1, 1]), conditions(300))


def test_shares_and_conditions():
    mixture = Mixture([Noisy(1), Noisy(2), Noisy(3)], [1, 0, 3])
    assert mixture.weights == (0.25, 0, 0.75)
    showers = mixture.sample(conditions(4000), 1, 30)
    made_by = showers.energies[:, 0] - 1
    assert np.mean(made_by == 0) == pytest.approx(0.25, abs=0.03)
    assert not (made_by == 1).any()
    np.testing.assert_allclose(showers.energies[:, 2], showers.incident)
    np.testing.assert_array_equal(mixture.components(4000, 1, 30), made_by)
    assert not np.array_equal(mixture.components(4000, 2, 30), made_by)


def test_no_event_is_made_twice(small_spans):
    cells = Mixture([Noisy(1), Noisy(1)], [1, 1]).sample(conditions(200), 1).energies
    assert len(np.unique(cells[:, 3])) == 200


def test_components_of_any_range(small_spans):
    mixture = Mixture([Noisy(1), Noisy(2)], [1, 1])
    whole = mixture.components(300, 5)
    for first, n in ((0, 0), (0, 64), (63, 2), (100, 200), (64, 64)):
        np.testing.assert_array_equal(mixture.components(n, 5, first), whole[first : first + n])


def test_saved_and_loaded(surrogates, tmp_path):
    mixture = Mixture(surrogates, [1, 2, 3])
    mixture.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert isinstance(again, Mixture)
    expected = mixture.sample(conditions(50), 1)
    np.testing.assert_array_equal(again.sample(conditions(50), 1).energies, expected.energies)
    assert load(tmp_path / "run", 2).weights == pytest.approx((1 / 3, 2 / 3))
    assert isinstance(load(tmp_path / "run" / "component-01"), Surrogate)
    again.cuts = False
    assert not np.array_equal(again.sample(conditions(50), 1).energies, expected.energies)
    assert not again.cuts
    again.cuts = True
    np.testing.assert_array_equal(again.sample(conditions(50), 1).energies, expected.energies)


def test_damaged_files(surrogates, tmp_path):
    Mixture(surrogates[:2], [1, 2]).save(tmp_path)
    for members in (0, 3):
        with pytest.raises(InputError, match="has 2 components"):
            load(tmp_path, members)
    with pytest.raises(InputError, match="no finished ensemble"):
        load(tmp_path / "component-00", 1)
    surrogates[2].save(tmp_path / "component-01")
    with pytest.raises(InputError, match="component-01 is not the component"):
        load(tmp_path)
    (tmp_path / "mixture.json").write_text(json.dumps({"weights": "abc"}))
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)


def test_bad_input(surrogates):
    for simulators, weights, words in (
        ([], [], "one weight each"),
        ([Noisy(1)], [1, 2], "one weight each"),
        ([Noisy(1), Noisy(2)], [1, -1], "none negative"),
        ([Noisy(1)], [0], "not all zero"),
        ([Noisy(1)], [np.nan], "finite"),
        ([Noisy(1), surrogates[0]], [1, 1], "different geometries"),
    ):
        with pytest.raises(InputError, match=words):
            Mixture(simulators, weights)
    with pytest.raises(InputError, match="only a mixture of surrogates"):
        Mixture([Noisy(1)], [1]).save("nowhere")
    with pytest.raises(InputError, match="seed -1"):
        Mixture([Noisy(1)], [1]).sample(conditions(3), -1)
