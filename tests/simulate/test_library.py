"""A library of frozen showers: reproducible, scaled, turned as its cells allow, and never new."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caloforge import datasets
from caloforge.conditions import ConditionSampler
from caloforge.errors import InputError
from caloforge.files import ShowerFile
from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics import NearestTraining, Separation, TrainingSet
from caloforge.production import produce
from caloforge.report import validate
from caloforge.showers import Conditions, Showers
from caloforge.simulate.library import Library, turns
from caloforge.testing import check_simulator, toy_showers

SQUARE = Geometry("square", tuple(Layer(f"l{n}", "xy", regular(4, -2, 2), regular(4, -2, 2), n) for n in range(2)))


def stored(n: int, geometry: Geometry = SQUARE) -> Showers:
    rng = np.random.default_rng(1)
    incident = np.exp(rng.uniform(np.log(1e3), np.log(1e5), n))
    return Showers(incident[:, None] * rng.dirichlet(np.ones(geometry.n_cells), n), {"energy": incident}, geometry)


@pytest.mark.parametrize("symmetries", [False, True])
def test_contract(symmetries: bool) -> None:
    library = Library(stored(500), symmetries=symmetries)
    check_simulator(library, {"energy": np.geomspace(1.1e3, 9e4, 300)})


def test_a_shower_is_a_stored_one_of_nearly_its_energy_scaled() -> None:
    showers = stored(500)
    made = Library(showers, neighbours=4).sample({"energy": np.full(200, 2e4)}, seed=1)
    np.testing.assert_allclose(made.energies.sum(1), 2e4, rtol=1e-5)
    fractions = showers.energies / showers.incident[:, None]
    nearest = np.argsort(np.abs(np.log(showers.incident / 2e4)))[:4]
    distance = np.abs(made.energies[:, None] / 2e4 - fractions[nearest]).max(axis=2)
    assert distance.min(axis=1).max() < 1e-6
    assert set(distance.argmin(axis=1)) == {0, 1, 2, 3}


def test_squares_have_eight_symmetries_that_keep_radii_and_layers() -> None:
    orders = turns(SQUARE)
    assert len({tuple(order) for order in orders}) == len(orders) == 8
    x, y, z = SQUARE.centers.T
    for order in orders:
        np.testing.assert_allclose(np.hypot(x, y)[order], np.hypot(x, y))
        np.testing.assert_allclose(z[order], z)


def test_polar_cells_turn_and_shifted_ones_do_not() -> None:
    polar = Geometry("polar", (Layer("a", "r_alpha", regular(8, 0, 2 * np.pi), regular(3, 0, 30), 1.0),))
    assert len(turns(polar)) == 8
    half = turns(replace(polar, inner_radius=100.0))[1:]  # a barrel is curved about one axis: only half a turn is left
    np.testing.assert_array_equal(half, [np.roll(np.arange(24).reshape(8, 3), 4, axis=0).ravel()])
    sector = Geometry("sector", (Layer("a", "r_alpha", regular(4, -1, 1), regular(3, 0, 30), 1.0),))
    assert len(turns(sector)) == 1
    shifted = Geometry("shifted", (Layer("a", "xy", regular(4, 0, 2), regular(5, 0, 3), 1.0),))
    assert len(turns(shifted)) == 1
    with pytest.raises(InputError, match="no symmetry"):
        Library(stored(10, shifted), symmetries=True)


def test_what_it_cannot_do_is_refused() -> None:
    library = Library(toy_showers(100, 1))
    for conditions in ({"energy": np.full(2, 1e6)}, {"energy": np.full(2, 1e4), "theta": np.ones(2)}):
        with pytest.raises(InputError):
            library.sample(conditions, seed=1)
    with pytest.raises(InputError, match="neighbours"):
        Library(toy_showers(3, 1), neighbours=4)
    assert Library(toy_showers(3, 1)).neighbours == 3


def test_on_real_showers_it_has_right_histograms_and_no_novelty() -> None:
    with (
        ShowerFile(datasets.path("atlas_lar_training")) as training,
        ShowerFile(datasets.path("atlas_lar_reference")) as held_out,
    ):
        showers, reference = training[:], held_out[:]
    made = Library(showers).sample(reference.conditions, seed=1)
    memory = TrainingSet(showers, reference.geometry)
    metrics = [Separation("energy/strip"), Separation("width_phi/middle"), NearestTraining(memory)]
    report = validate(reference, made, floor=showers, training=showers, metrics=metrics)
    for name in ("separation/energy/strip", "separation/width_phi/middle"):
        (row,) = report.rows(name)
        assert row["value"] < 2 * row["floor"] + 0.002
    (novelty,) = report.rows("nearest/training")
    assert novelty["value"] < 0.1 * novelty["floor"]


def test_the_command_line_draws_and_keeps_the_identity_of_the_library(tmp_path: Path) -> None:
    from caloforge.cli import main

    path = str(datasets.path("atlas_lar_reference"))
    command = ["simulate", "--simulator", "library", "--library", path, "--energy", "10GeV", "--events", "30"]
    with pytest.raises(SystemExit) as end:
        main([*command, "--output", str(tmp_path / "a.h5")])
    assert end.value.code == 0
    with ShowerFile(tmp_path / "a.h5") as file:
        assert len(file) == 30
        assert file.provenance["training"]["n_events"] == 8000
        assert file.provenance["library_showers"] == 8000


class Picky(Library):
    """Refuses to be asked for more than 2 000 events."""

    def check(self, conditions: Conditions) -> None:
        if len(conditions["energy"]) > 2000:
            raise InputError("too many")


def test_what_is_refused_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = ConditionSampler({"energy": "5GeV:50GeV"})
    with pytest.raises(InputError, match="too many"):
        produce(Picky(toy_showers(100, 1)), source, 2001, tmp_path / "a.h5", 1, {})
    assert not list(tmp_path.iterdir())
