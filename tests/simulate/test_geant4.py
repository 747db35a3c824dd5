"""Real Geant4: known energies, seeding, scoring in the right cells, resume after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_features__ as CPU

from caloforge.datasets import path
from caloforge.detectors import (
    atlas_lar,
    calogan,
    clic_ecal,
    clic_ecal_51,
    clic_ecal_full,
    par04_ds2,
    testem3,
)
from caloforge.errors import InputError, WorkError
from caloforge.files import ShowerFile
from caloforge.geometry import Geometry, Layer, Slab, regular
from caloforge.showers import Showers
from caloforge.simulate.data_sets import ELECTROMAGNETIC, HADRONIC, have
from caloforge.simulate.geant4 import Geant4, available_physics, position_of
from caloforge.testing import check_simulator

HERE = find_spec("geant4_pybind") is not None and have(ELECTROMAGNETIC)
needs_geant4 = pytest.mark.skipif(not HERE, reason="needs geant4-pybind and Geant4's electromagnetic data sets")


@pytest.fixture(scope="module")
def electrons() -> Iterator[Geant4]:
    with Geant4(clic_ecal(), "e-") as simulator:
        yield simulator


def sample(simulator: Geant4, n: int, energy: float, first: int = 0, **conditions: float) -> Showers:
    given = {"energy": np.full(n, energy)} | {name: np.full(n, value) for name, value in conditions.items()}
    return simulator.sample(given, seed=1, first_event=first)


@needs_geant4
def test_testem3_energies() -> None:
    """AdePT's native Geant4 reference: 2142.2 MeV in argon, 7728.6 MeV in lead, for 10 GeV electrons."""
    with Geant4(testem3(), "e-", workers=2) as simulator:
        energies = sample(simulator, 160, 10e3).energies.astype(float)
    lead, argon = energies[:, 0::2].sum(1), energies[:, 1::2].sum(1)
    for total, expected in ((argon, 2142.2), (lead, 7728.6)):
        error = total.std() / np.sqrt(len(total))
        assert error < 0.004 * expected
        assert abs(total.mean() - expected) < 3 * error + 0.003 * expected
    # The longitudinal profile rises to its maximum near ln(E / Ec) radiation lengths and falls again.
    assert 10 <= np.argmax(energies[:, 1::2].mean(0)) <= 16


@needs_geant4
def test_an_event_is_the_same_alone_after_others_and_in_any_worker(electrons: Geant4) -> None:
    together = sample(electrons, 5, 2e3)
    np.testing.assert_array_equal(sample(electrons, 1, 2e3, first=3).energies, together.energies[3:4])
    with Geant4(clic_ecal(), "e-", workers=2) as pair:
        np.testing.assert_array_equal(sample(pair, 5, 2e3).energies, together.energies)
    other = electrons.sample({"energy": np.full(5, 2e3)}, seed=2)
    assert not (other.energies.sum(1) == together.energies.sum(1)).any()


@needs_geant4
def test_energy_lands_in_the_cell_below_the_impact(electrons: Geant4) -> None:
    cells = sample(electrons, 8, 5e3).energies.mean(0).reshape(25, 25, 25)
    assert np.unravel_index(cells.sum(0).argmax(), (25, 25)) == (12, 12)
    with Geant4(clic_ecal(), "e-", position=(3 * 5.1, -5 * 5.1)) as moved:
        cells = sample(moved, 8, 5e3).energies.mean(0).reshape(25, 25, 25)
    assert np.unravel_index(cells.sum(0).argmax(), (25, 25)) == (12 - 5, 12 + 3)  # row along y, column along x


@needs_geant4
def test_small_theta_moves_the_shower_along_y(electrons: Geant4) -> None:
    showers = sample(electrons, 8, 5e3, theta=np.radians(70))
    cells = showers.energies.mean(0).reshape(25, 25, 25)
    rows, columns = (np.average(np.arange(25), weights=cells[18].sum(axis)) - 12 for axis in (1, 0))
    expected = showers.geometry.layers[18].depth * np.tan(np.radians(20)) / 5.1
    assert rows == pytest.approx(expected, rel=0.15)
    assert abs(columns) < 0.8


@needs_geant4
def test_photons_in_the_argon_barrel_follow_the_line_of_sight() -> None:
    with Geant4(atlas_lar(), "gamma") as simulator:
        showers = sample(simulator, 12, 20e3)
    assert showers.layer("middle").mean(0).argmax() == 10
    strips = showers.layer("strip").mean(0).sum(1)
    assert 8 <= strips.argmax() < 16
    assert showers.energies.sum(1).mean() == pytest.approx(0.95 * 20e3, rel=0.04)


@needs_geant4
@pytest.mark.skipif(not CPU.get("AVX512_SKX"), reason="made with AVX-512: last bits of numpy's tan and sinh differ")
def test_the_bundled_sample_comes_out_again_bit_by_bit() -> None:
    with ShowerFile(path("atlas_lar_training")) as file:
        showers, story = file[:6], file.provenance
    with Geant4(showers.geometry, "gamma", cut=story["production_cut_mm"]) as simulator:
        again = simulator.sample(showers.conditions, story["seed"], story["first_event"])
    np.testing.assert_array_equal(again.energies, showers.energies)


@needs_geant4
def test_a_window_that_follows_eta_sees_what_one_at_that_eta_sees() -> None:
    given = {"energy": np.full(150, 10e3), "eta": np.full(150, 0.6)}
    with Geant4(atlas_lar(0.2), "gamma", position="center", workers=2, follow=True) as following:
        check_simulator(following, {"energy": np.geomspace(100, 300, 12), "eta": np.linspace(0.1, 1.1, 12)})
        a = following.sample(given, seed=1)
    with Geant4(atlas_lar(0.6), "gamma", position="center", workers=2) as fixed:
        b = sample(fixed, 150, 10e3, first=1000)
    assert a.layer("middle").mean(0).argmax() == 10
    for name in ("middle", "strip", "presampler"):
        ours, theirs = (each.layer(name).sum((1, 2), dtype=float) for each in (a, b))
        error = np.hypot(ours.std(), theirs.std()) / np.sqrt(150)
        assert abs(ours.mean() - theirs.mean()) < 4 * error + 0.015 * theirs.mean()
    strips = (a.layer("strip").mean(0).sum(1), b.layer("strip").mean(0).sum(1))
    np.testing.assert_allclose(*(np.average(np.arange(24), weights=each) for each in strips), atol=0.3)


@needs_geant4
def test_layers_of_different_shapes_and_two_slabs_share_nothing_by_mistake() -> None:
    """An absorber without read-out, two slabs in one layer, one of another shape: energies add up slab by slab."""
    coarse = Layer("coarse", "xy", (-50.0, 50.0), (-50.0, 50.0), 1.0)
    fine = Layer("fine", "xy", regular(4, -50, 50), regular(2, -50, 50), 2.0, calibration=2.0)
    single = (Slab("G4_Pb", 10), Slab("G4_lAr", 5, 0), Slab("G4_Pb", 10), Slab("G4_lAr", 5, 1), Slab("G4_lAr", 5, 0))
    split = Geometry("split", (coarse, fine), single, 100.0)
    parts = tuple(Layer(f"slab_{i}", "xy", (-50.0, 50.0), (-50.0, 50.0), float(i)) for i in range(3))
    whole = Geometry(
        "whole",
        parts,
        tuple(Slab(s.material, s.thickness, n) for s, n in zip(single, (None, 0, None, 1, 2), strict=True)),
        100.0,
    )
    with Geant4(split, "e-", position=(10.0, 30.0)) as one, Geant4(whole, "e-", position=(10.0, 30.0)) as other:
        a, b = (sample(each, 300, 1e3).energies.astype(float) for each in (one, other))
    for ours, theirs in ((a[:, 0], b[:, 0] + b[:, 2]), (a[:, 1:].sum(1) / 2, b[:, 1])):
        error = np.hypot(ours.std(), theirs.std()) / np.sqrt(300)
        assert abs(ours.mean() - theirs.mean()) < 3 * error
        assert error < 0.07 * theirs.mean()
    a = a.mean(0)
    assert a[1:].argmax() == 3 * 2 + 1  # row 3 (y = 30 mm), column 1 (x = 10 mm)


@needs_geant4
def test_the_mesh_of_a_cylinder_follows_the_particle() -> None:
    """Wherever the particle goes, its window is centred on it; at an angle the same path has the same material."""
    with Geant4(par04_ds2(), "e-", workers=2) as simulator:
        straight = sample(simulator, 40, 2e3)
        turned = sample(simulator, 40, 2e3, first=40, theta=np.radians(65), phi=2.0)
    for showers in (straight, turned):
        cells = showers.energies.mean(0).reshape(45, 16, 9)
        assert 0.88 < cells.sum() / 2e3 < 1.0  # 0.033 is near the sampling fraction
        rings = cells.sum((0, 1))
        assert rings.argmax() == 0
        assert (np.diff(rings) < 0).all()
        x, y, _ = showers.geometry.centers.T
        for coordinate in (x, y):
            assert abs(np.average(coordinate, weights=cells.ravel())) < 0.7
    depth = [
        np.average(np.arange(45), weights=each.energies.sum(0).reshape(45, -1).sum(1)) for each in (straight, turned)
    ]
    assert depth[0] == pytest.approx(depth[1], abs=1.0)
    assert 5 < depth[0] < 10


@needs_geant4
def test_at_normal_incidence_the_flat_mesh_holds_its_two_shells() -> None:
    """Inside 41.85 mm the shells bend by 1.1 mm, less than the 1.4 mm of tungsten that is before each silicon."""
    shells = replace(par04_ds2(), mesh=False)
    with Geant4(par04_ds2(), "e-") as flat, Geant4(shells, "e-") as bent:
        np.testing.assert_array_equal(sample(flat, 10, 1e3).energies, sample(bent, 10, 1e3).energies)


@needs_geant4
def test_shells_of_a_cylinder_keep_their_layers_and_axes() -> None:
    """Without a mesh a slab's layer is its own; a particle that is moved along the beam axis lands one row further."""
    edges = regular(3, -15, 15)
    layers = tuple(Layer(f"layer_{i}", "xy", edges, edges, 12.5 + 15 * i) for i in range(2))
    stack = (Slab("G4_Pb", 10), Slab("G4_lAr", 5, 0), Slab("G4_Pb", 10), Slab("G4_lAr", 5, 1))
    barrel = Geometry("barrel", layers, stack, 2000.0, inner_radius=500.0)
    flat = Geometry("flat", layers, stack, 1500.0)
    with Geant4(barrel, "e-", position=(0.0, 10.0)) as one, Geant4(flat, "e-", position=(0.0, 10.0)) as other:
        a, b = (sample(each, 150, 1e3).energies.astype(float) for each in (one, other))
    error = np.hypot(a.std(0), b.std(0)) / np.sqrt(len(a))
    assert abs((a - b).mean(0) / error)[b.mean(0) > 1].max() < 4
    assert a.mean(0)[:9].argmax() == 2 * 3 + 1  # row 2 (y = 10 mm), column 1 (x = 0)


@needs_geant4
def test_unequal_cells_are_the_sums_of_equal_ones() -> None:
    """Steps that are binned one by one, and replicated volumes, see the same showers."""

    def stack(fast: tuple[float, ...]) -> Geometry:
        cells = Layer("a", "xy", regular(2, -20, 20), fast, 12.5)
        return Geometry("one", (cells,), (Slab("G4_Pb", 10), Slab("G4_lAr", 5, 0)), 200.0)

    with Geant4(stack(regular(4, -20, 20)), "e-") as equal, Geant4(stack((-20, -10, 0, 20)), "e-") as unequal:
        a, b = (sample(each, 400, 500.0).energies.astype(float).reshape(400, 2, -1) for each in (equal, unequal))
    a = np.stack([a[:, :, 0], a[:, :, 1], a[:, :, 2] + a[:, :, 3]], axis=2)
    error = np.hypot(a.std(0), b.std(0)) / np.sqrt(400)
    assert abs((a - b).mean(0) / error).max() < 4


@needs_geant4
def test_the_production_cut_is_used() -> None:
    """A low cut makes more delta electrons and soft photons, which carry energy from the tungsten into the silicon."""
    means = {}
    for cut in (0.02, 0.7, 30.0):
        with Geant4(clic_ecal(), "e-", cut=cut) as simulator:
            energies = sample(simulator, 30, 1e3).energies
        means[cut] = np.count_nonzero(energies) / 30
    assert means[0.02] > 1.02 * means[0.7] > 1.04 * means[30.0]


@needs_geant4
def test_steps_count_where_their_middle_is() -> None:
    """A muon goes straight through argon at 45 degrees: the energy's centre is the middle of its path."""
    edges = (-100.0, *regular(99, -49, 149))
    cells = Layer("argon", "xy", edges, (-50.0, 0.0, 50.0), 30.0)
    slab = Geometry("slab", (cells,), (Slab("G4_lAr", 60.0, 0),), 1000.0)
    with Geant4(slab, "mu-", position=(1.0, 0.0), workers=2) as simulator:
        showers = sample(simulator, 600, 5e3, theta=np.pi / 4)
    each = showers.energies.reshape(600, 100, 2).sum(2) @ cells.coordinates[::2, 0] / showers.energies.sum(1)
    assert abs(np.median(each) - 30) < 0.3  # the mean lies a little deeper: delta electrons go on


SIMULATE = ["simulate", "--detector", "testem3", "--particle", "e-", "--energy", "log:100MeV:1GeV", "--events", "400"]


def run(output: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "caloforge.cli", *SIMULATE, "--output", str(output), *options]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@needs_geant4
def test_a_killed_simulation_continues_and_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    assert run(tmp_path / "whole.h5", "--workers", "1").wait() == 0
    output = tmp_path / "killed.h5"
    for delay in (1.2, 1.5, 1.4):
        process = run(output, "--workers", "2")
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert run(output, "--workers", "2").wait() == 0
    with ShowerFile(tmp_path / "whole.h5") as whole, ShowerFile(output) as killed:
        np.testing.assert_array_equal(killed[:].energies, whole[:].energies)
        np.testing.assert_array_equal(killed.conditions["energy"], whole.conditions["energy"])
        assert killed.provenance["simulator"].startswith("Geant4 11")
        assert killed.provenance["seed"] == 1
    assert not (tmp_path / "killed.h5.partial").exists()


@needs_geant4
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    process = run(tmp_path / "a.h5", "--workers", "2")
    children: list[str] = []

    def two_have_started() -> bool:
        children[:] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return len(children) >= 2

    assert comes_true(two_have_started)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert comes_true(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def comes_true(condition: Callable[[], bool], within: float = 60.0) -> bool:
    """Whether the condition becomes true within some seconds."""
    deadline = time.monotonic() + within
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return true


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("caloforge.simulate.geant4._version", lambda: None)
    with pytest.raises(InputError, match=r"pip install 'caloforge\[geant4\]'"):
        available_physics("e-")
    monkeypatch.setattr("caloforge.simulate.geant4._version", lambda: "0.1.3")
    monkeypatch.setattr("caloforge.simulate.data_sets.INSTALLED", tmp_path)
    for each in (*ELECTROMAGNETIC, *HADRONIC):
        monkeypatch.setenv(each.variable, str(tmp_path / each.variable))
    with pytest.raises(InputError, match="geant4-data --install"):
        available_physics("e-")
    for each in ELECTROMAGNETIC:
        (tmp_path / each.variable / each.contains).mkdir(parents=True)
    assert available_physics("gamma") == "G4EmStandardPhysics"
    with pytest.raises(InputError, match="hadronic data sets"):
        available_physics("pi+")
    for each in HADRONIC:
        (tmp_path / each.variable / each.contains).mkdir(parents=True)
    assert available_physics("pi+") == available_physics("e-") == "FTFP_BERT"
    with pytest.raises(InputError, match="no particle"):
        available_physics("electron")


@needs_geant4
@pytest.mark.parametrize(
    "arguments", [{"cut": 0.0}, {"cut": np.nan}, {"position": (1e4, 0.0)}, {"particle": "tachyon"}]
)
def test_impossible_set_ups_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Geant4(clic_ecal(), **arguments)


@needs_geant4
def test_impossible_geometries_are_refused() -> None:
    flat, whole = (Layer("a", axes, (-0.1, 0.1), (-0.1, 0.1), 1.0) for axes in ("xy", "eta_phi"))
    for layers, stack, size in (
        ((flat,), (), 1.0),
        ((flat,), (Slab("G4_Pb", 1.0),), 1.0),
        ((flat,), (Slab("G4_Pb", 1.0, 0),), 0.0),
        ((whole,), (Slab("G4_Pb", 1.0, 0),), 1.0),
        ((flat, replace(flat, name="b")), (Slab("G4_Pb", 1.0, 0),), 1.0),
        ((replace(flat, depth=1.5),), (Slab("G4_Pb", 1.0, 0),), 1.0),
    ):
        with pytest.raises(InputError):
            Geant4(Geometry("impossible", layers, stack, size))
    misspelt = Geometry("misspelt", (flat,), (Slab("G4_Pbb", 2.0, 0),), 1.0)
    with Geant4(misspelt) as simulator, pytest.raises(WorkError, match="G4_Pbb"):
        sample(simulator, 1, 1e3)
    with pytest.raises(InputError, match="seed -1"), Geant4(testem3()) as simulator:
        simulator.sample({"energy": np.ones(1)}, seed=-1)


@needs_geant4
def test_impossible_conditions_are_refused(electrons: Geant4) -> None:
    for conditions in ({"energy": [1e3], "theta": [0.0]}, {"energy": [1e3], "eta": [0.0]}, {"energy": [-1.0]}):
        with pytest.raises(InputError):
            electrons.check({name: np.array(values) for name, values in conditions.items()})
    with Geant4(atlas_lar(), follow=True) as following, pytest.raises(InputError, match="follows eta"):
        following.check({"energy": np.ones(1)})
    with pytest.raises(InputError, match="projective"):
        Geant4(clic_ecal(), follow=True)
    with Geant4(par04_ds2()) as cylinder, pytest.raises(InputError, match="miss the cylinder"):
        cylinder.check({"energy": np.ones(1), "theta": np.full(1, 0.6)})
    with Geant4(atlas_lar(), "gamma") as projective, pytest.raises(InputError, match="interaction point"):
        projective.check({"energy": np.ones(1), "theta": np.ones(1)})


def test_positions_are_read() -> None:
    assert position_of("cell") == "cell"
    assert position_of(None) is None
    assert position_of("1cm,-2") == (10.0, -2.0)
    with pytest.raises(InputError):
        position_of("1,2,3")


def test_provenance_is_json() -> None:
    if HERE:
        assert json.loads(json.dumps(Geant4(clic_ecal(), "e-").provenance()))["production_cut_mm"] == 0.7


@needs_geant4
def test_calogan_holds_almost_all_energy() -> None:
    """Lead and argon both count, also in the argon plate that is shared by two layers."""
    with Geant4(calogan(), "gamma") as simulator:
        showers = sample(simulator, 20, 5e3)
    assert showers.energies.sum(1).mean() == pytest.approx(5e3, rel=0.01)
    layers = [showers.layer(number).sum(axis=(1, 2)).mean() for number in range(3)]
    assert layers[1] > layers[0] > layers[2] > 0


@needs_geant4
def test_boards_and_alloy_take_energy_from_the_silicon() -> None:
    energies = []
    for geometry in (clic_ecal(), clic_ecal_full()):
        with Geant4(geometry, "e-") as simulator:
            energies.append(sample(simulator, 20, 5e3).energies.sum(1).mean())
    assert 0.75 < energies[1] / energies[0] < 0.95


@needs_geant4
def test_an_inclined_shower_stays_in_the_wide_window() -> None:
    with Geant4(clic_ecal_51(), "e-") as simulator:
        showers = sample(simulator, 5, 10e3, theta=np.pi / 3)
    geometry = showers.geometry
    cells = showers.energies.reshape(5, 25, -1).sum(axis=0, dtype=float)
    y = (cells * geometry.centers[:, 1].reshape(25, -1)).sum(1) / cells.sum(1)
    depth = np.array([layer.depth for layer in geometry.layers])
    middle = slice(4, 14)
    np.testing.assert_allclose(y[middle], depth[middle] / np.tan(np.pi / 3), atol=8)
