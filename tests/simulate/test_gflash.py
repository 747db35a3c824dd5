"""Parametrised showers: the integrals are right, the contract holds, and a fit finds what made the showers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caloforge.datasets import path
from caloforge.detectors import atlas_lar, calogan, clic_ecal, ild_ecal, par04_ds2, testem3
from caloforge.errors import InputError
from caloforge.files import ShowerFile, write
from caloforge.geometry import Geometry, Layer, Slab, regular
from caloforge.observables import layer_energy
from caloforge.showers import Showers
from caloforge.simulate.gflash import GFlash, hits, random_numbers
from caloforge.simulate.gflash_fit import fit
from caloforge.simulate.lateral import Table, shares
from caloforge.simulate.media import NIST, Medium, matter
from caloforge.simulate.parametrisation import TAU, Coefficients, longitudinal
from caloforge.testing import check_simulator


def sandwich(n: int = 16) -> Geometry:
    """Tungsten and silicon, 9 × 9 cells of 8 mm."""
    edges = regular(9, -36.0, 36.0)
    slabs = [Slab("G4_W", 5.0), Slab("G4_Si", 0.5)]
    stack = [replace(slab, layer=i if slab.material == "G4_Si" else None) for i in range(n) for slab in slabs]
    layers = tuple(Layer(f"l{i}", "xy", edges, edges, 5.5 * i + 5.25) for i in range(n))
    return Geometry("sandwich", layers, tuple(stack), size=300.0)


def energies(n: int) -> dict[str, np.ndarray]:
    return {"energy": np.geomspace(5e3, 2e5, n)}


def test_radiation_lengths_are_those_of_the_tables() -> None:
    known = {material.name: matter(material) for material in NIST}
    for name, x0 in {"G4_W": 3.504, "G4_Pb": 5.612, "G4_Si": 93.7, "G4_lAr": 140.0, "G4_Al": 88.97}.items():
        assert known[name].x0 == pytest.approx(x0, rel=0.01), name
    # 2 X0 upstream, 11 mm of argon, and 4.3 + 16 + 2 X0 of lead and argon.
    assert Medium(atlas_lar()).fronts[-1] == pytest.approx(2 + 11 / 140 + 22.3, rel=0.01)
    # Tungsten alone: a Molière radius of 9.3 mm.
    wolfram = Medium(Geometry("w", (Layer("a", "xy", (0, 1), (0, 1), 1),), (Slab("G4_W", 100.0, 0),)))
    assert wolfram.moliere == pytest.approx(9.3, rel=0.03)


def test_shares_are_the_integral_of_the_density() -> None:
    geometry, rng = sandwich(), np.random.default_rng(1)
    radius, axis = 10.0, np.array([[3.0, -5.0]])
    u, phi = rng.random(400_000), rng.uniform(0, 2 * np.pi, 400_000)
    r = radius * np.sqrt(u / (1 - u))  # from the cumulative distribution r² / (r² + R²)
    counts, *_ = np.histogram2d(-5 + r * np.sin(phi), 3 + r * np.cos(phi), bins=[regular(9, -36, 36)] * 2)
    expected = shares(geometry, 0, axis, np.array([radius]))[0]
    np.testing.assert_allclose(counts.ravel() / len(u), expected, atol=4 * np.sqrt(expected.max() / len(u)))
    table = Table(geometry, 0, axis[0]).mixture([(np.array([radius]), np.ones(1))])
    np.testing.assert_allclose(table, expected[None], atol=1e-3)


def test_cells_are_hit_as_often_as_expected() -> None:
    """Cells that share a Poisson number have the distribution of those that have their own."""
    expected = np.array([5.0, 0.02, 0.0, 0.29, 0.31, 1e-3, 0.2, -1e-9], np.float32)
    rng, counts = np.random.default_rng(1), np.zeros((40_000, 8))
    for row in counts:
        cells, number = hits(rng, expected)
        assert (number > 0).all()
        row[cells] += number
    error = np.sqrt(np.maximum(expected, 0) / len(counts))
    assert (abs(counts.mean(0) - np.maximum(expected, 0)) <= 4 * error).all()
    large = expected > 0.1
    np.testing.assert_allclose(counts.var(0)[large], expected[large], rtol=0.06)
    assert abs(np.corrcoef(counts[:, [3, 4, 6]].T)[np.triu_indices(3, 1)]).max() < 0.03


def test_polar_shares_are_equal_in_angle_and_add_up() -> None:
    polar = Geometry("p", (Layer("a", "r_alpha", regular(8, 0, 2 * np.pi), regular(5, 0, 50), 1.0),))
    found = shares(polar, 0, np.zeros((1, 2)), np.array([20.0])).reshape(8, 5)
    np.testing.assert_allclose(found, np.tile(found[0], (8, 1)))
    assert found.sum() == pytest.approx(50**2 / (50**2 + 20**2))


@pytest.mark.parametrize("make", [sandwich, atlas_lar])
def test_contract(make: type) -> None:
    check_simulator(GFlash(make(), "gamma"), energies(300))


def test_all_energy_is_seen_where_everything_is_read_out() -> None:
    """Published numbers, nothing fitted: lead and argon of CaloGAN hold a shower almost wholly."""
    showers = GFlash(calogan(), "e-").sample({"energy": np.full(200, 20e3)}, seed=1)
    assert showers.energies.sum(1).mean() == pytest.approx(20e3, rel=0.05)
    assert showers.energies.sum(1).std() < 0.02 * 20e3  # nothing is sampled, only leakage fluctuates


def test_the_maximum_deepens_with_the_logarithm_of_the_energy() -> None:
    gflash = GFlash(clic_ecal(), "e-")
    t_low, t_high = (
        np.exp(longitudinal(gflash.coefficients, gflash.medium, False, np.array([e]))[0][0]) for e in (10e3, 1e6)
    )
    assert t_high - t_low == pytest.approx(np.log(100), rel=0.15)


def test_the_constant_term_widens_the_response_and_keeps_its_mean() -> None:
    energy, random = np.full(4000, 20e3), random_numbers(np.random.default_rng(1), 4000)
    totals = []
    for constant in (0.0, 0.4):
        gflash = GFlash(calogan(), "e-", Coefficients(constant=constant))
        totals.append(gflash.profiles(energy, random, np.ones(4000))[0].sum(1))
    ratio = np.log(totals[1] / totals[0])
    assert ratio.std() == pytest.approx(0.4, rel=0.05)
    assert totals[1].mean() == pytest.approx(totals[0].mean(), rel=0.03)


def test_own_decides_how_far_the_radial_profile_follows_the_shower() -> None:
    energy, random = np.full(500, 20e3), random_numbers(np.random.default_rng(1), 500)
    spread = {}
    for own in (0.0, 0.5, 1.0):
        shown = GFlash(sandwich(), "e-", Coefficients(own=own)).profiles(energy, random, np.ones(500))[1]
        spread[own] = np.log(shown).std()
    assert spread[0.0] < 1e-12
    assert spread[0.5] == pytest.approx(spread[1.0] / 2)


def test_photons_begin_with_their_conversion() -> None:
    """9/7 radiation lengths deep on average, into two electrons of half the energy: later by 9/7 − ln 2."""
    given, depth = {"energy": np.full(3000, 20e3)}, np.arange(16) * 5.5 / Medium(sandwich()).whole.x0
    layers = {each: layer_energy(GFlash(sandwich(), each).sample(given, seed=1)).mean(0) for each in ("e-", "gamma")}
    electron, photon = (np.average(depth, weights=layers[each]) for each in ("e-", "gamma"))
    assert photon - electron == pytest.approx(9 / 7 - np.log(2), abs=0.15)


def test_a_fit_finds_the_coefficients_of_other_showers() -> None:
    truth = GFlash(sandwich(), "e-")
    ones = np.ones(len(TAU))
    truth = GFlash(
        sandwich(),
        "e-",
        replace(
            truth.coefficients,
            t_max=(0.12, 0.0),
            t_sigma=(0.3, 0.0),
            visible=tuple(1.3 * np.array(truth.coefficients.visible)),
            spots=30.0,
            tail=tuple(0.3 * ones),
        ),
    )
    showers = truth.sample(energies(1200), seed=1)
    made = fit(showers, "e-").sample(showers.conditions, seed=2)
    ours, theirs = layer_energy(made), layer_energy(showers)
    large = theirs.mean(0) > 0.15 * theirs.mean(0).max()
    np.testing.assert_allclose(ours.mean(0)[large], theirs.mean(0)[large], rtol=0.06)
    responses = [each.sum(1) / showers.incident for each in (ours, theirs)]
    spread = [np.std(each / each.mean()) for each in responses]
    assert spread[0] == pytest.approx(spread[1], rel=0.12)
    cells, cells_ = (each.energies.reshape(1200, 16, 9, 9).mean(0).sum((0, 1)) for each in (made, showers))
    large = cells_ > 0.01 * cells_.max()
    np.testing.assert_allclose(cells[large], cells_[large], rtol=0.07)


def test_a_fit_to_few_layers_finds_their_energies_and_the_resolution() -> None:
    """Geant4 photons in the four layers of the argon barrel, against others that the fit has not seen."""
    with ShowerFile(path("atlas_lar_training")) as training, ShowerFile(path("atlas_lar_reference")) as reference:
        showers, others = training[:400], reference[:3000]
    made = fit(showers, "gamma").sample(others.conditions, seed=2)
    ours, theirs = layer_energy(made).mean(0), layer_energy(others).mean(0)
    np.testing.assert_allclose(ours[:2], theirs[:2], rtol=0.1)  # middle and strips
    high = others.incident > 1e4
    responses = [each.energies[high].sum(1) / others.incident[high] for each in (made, others)]
    assert responses[0].mean() == pytest.approx(responses[1].mean(), rel=0.02)
    assert responses[0].std() == pytest.approx(
        responses[1].std(), rel=0.5
    )  # published numbers alone: 2.5 times too wide


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(InputError, match="electromagnetic"):
        GFlash(ild_ecal(), "pi-")
    with pytest.raises(InputError, match="100 showers or more"):
        fit(GFlash(atlas_lar(), "gamma").sample(energies(20), 1))
    with pytest.raises(InputError, match="50 MeV"):
        GFlash(clic_ecal()).sample({"energy": np.full(2, 1.0)}, 1)
    with pytest.raises(InputError, match="6 degrees"):
        GFlash(clic_ecal()).sample(energies(2) | {"theta": np.full(2, 0.05)}, 1)
    with pytest.raises(InputError, match="polar"):
        GFlash(par04_ds2(), position=(3.0, 0.0))
    with pytest.raises(InputError, match="radiation length"):
        GFlash(Geometry("x", (Layer("a", "xy", (0, 1), (0, 1), 1),), (Slab("G4_KAPTON", 2.0, 0),), 1.0))
    with pytest.raises(InputError, match="theta"):
        GFlash(atlas_lar()).sample(energies(3) | {"theta": np.ones(3)}, 1)


def test_the_command_line_fits_and_keeps_the_coefficients(tmp_path: Path) -> None:
    from caloforge.cli import main

    made = GFlash(testem3(), "e-").sample({"energy": np.geomspace(10e3, 1e5, 120)}, seed=1)
    write(tmp_path / "train.h5", Showers(made.energies, made.conditions, made.geometry), {"seed": 1})
    command = ["simulate", "--simulator", "gflash", "--detector", "testem3", "--particle", "e-", "--energy", "20GeV"]
    for name, more in {"plain.h5": [], "fitted.h5": ["--fit", str(tmp_path / "train.h5")]}.items():
        with pytest.raises(SystemExit) as end:
            main([*command, "--events", "20", "--output", str(tmp_path / name), *more])
        assert end.value.code == 0
    write(tmp_path / "other.h5", made, {"particle": "gamma", "position": "center"})
    for fit_to, output in (("other.h5", "new.h5"), ("fitted.h5", "fitted.h5")):  # of photons; itself
        with pytest.raises(SystemExit) as end:
            main([*command, "--events", "20", "--output", str(tmp_path / output), "--fit", str(tmp_path / fit_to)])
        assert end.value.code == 2
    assert not (tmp_path / "new.h5").exists()
    with ShowerFile(tmp_path / "plain.h5") as plain, ShowerFile(tmp_path / "fitted.h5") as fitted:
        assert plain.provenance["coefficients"] != fitted.provenance["coefficients"]
        assert fitted.provenance["training"]["seed"] == 1
