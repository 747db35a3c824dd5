"""Where particles start and where they fly."""

import math
from dataclasses import replace

import numpy as np
import pytest

from caloforge.detectors import atlas_lar, clic_ecal, par04_ds2
from caloforge.errors import InputError
from caloforge.simulate.beam import beam, check_angles, check_position, frames, impacts, slopes, window_centers


def conditions(n: int, **others: float) -> dict[str, np.ndarray]:
    return {"energy": np.ones(n)} | {name: np.full(n, value) for name, value in others.items()}


def test_normal_incidence_at_the_center() -> None:
    starts, directions = beam(clic_ecal(), "center", conditions(2), 1, 0)
    np.testing.assert_array_equal(starts, np.zeros((2, 3)))
    np.testing.assert_allclose(directions, [[0, 0, 1]] * 2, atol=1e-15)


def test_theta_tilts_along_y_and_phi_turns_towards_x() -> None:
    _, directions = beam(clic_ecal(), "center", conditions(1, theta=math.radians(60)), 1, 0)
    np.testing.assert_allclose(directions[0], [0, 0.5, math.sqrt(3) / 2])
    _, directions = beam(clic_ecal(), "center", conditions(1, theta=math.radians(60), phi=math.pi / 2), 1, 0)
    np.testing.assert_allclose(directions[0], [0.5, 0, math.sqrt(3) / 2], atol=1e-15)


def test_positions() -> None:
    starts, _ = beam(clic_ecal(), (1.0, -2.0), conditions(1), 1, 0)
    np.testing.assert_array_equal(starts[0], [1, -2, 0])
    starts, _ = beam(clic_ecal(), "cell", conditions(4000), 1, 0)
    assert abs(starts[:, :2]).max() <= 5.1 / 2
    np.testing.assert_allclose(starts[:, :2].std(0), 5.1 / math.sqrt(12), rtol=0.03)


def test_photons_come_from_the_interaction_point() -> None:
    geometry = atlas_lar(0.2)
    starts, directions = beam(geometry, "cell", conditions(4000), 1, 0)
    origin = np.array([0, -geometry.radius * math.sinh(0.2), -geometry.radius])
    back = starts - directions * (starts[:, 2:] + geometry.radius) / directions[:, 2:]
    np.testing.assert_allclose(back, np.broadcast_to(origin, back.shape), atol=1e-6)
    eta = np.arctanh(directions[:, 1])
    phi = np.arctan2(directions[:, 0], directions[:, 2])
    np.testing.assert_allclose([eta.min(), eta.max()], [0.2 - 0.0125, 0.2 + 0.0125], atol=2e-5)
    assert eta.std() == pytest.approx(0.025 / math.sqrt(12), rel=0.03)
    np.testing.assert_allclose([phi.min(), phi.max()], [-math.pi / 256, math.pi / 256], atol=2e-5)


def test_a_window_follows_the_eta_of_its_particle() -> None:
    geometry, given = atlas_lar(0.2), {"energy": np.ones(2000), "eta": np.linspace(0.1, 1.1, 2000)}
    starts, directions = beam(geometry, "cell", given, 1, 0)
    np.testing.assert_allclose(np.arctanh(directions[:, 1]), given["eta"], atol=1e-4)
    centers = window_centers(geometry, "cell", given, 1, 0)
    assert abs(given["eta"] - centers).max() <= 0.0125
    assert (given["eta"] - centers).std() == pytest.approx(0.025 / math.sqrt(12), rel=0.05)
    # Each event is that of a geometry at its own centre, without the condition.
    for i in (0, 1000, 1999):
        own = beam(replace(geometry, eta=centers[i]), "cell", conditions(1), 1, i)
        np.testing.assert_allclose(
            np.concatenate([starts[i], directions[i]]), np.concatenate(own, axis=1)[0], atol=1e-9
        )
    with pytest.raises(InputError, match="leave the plates"):
        check_angles(geometry, conditions(1, eta=2.0))


def test_impacts_belong_to_events() -> None:
    np.testing.assert_array_equal(impacts(3, 0, 10)[4:], impacts(3, 4, 6))
    assert not np.array_equal(impacts(3, 0, 1), impacts(4, 0, 1))


def test_the_frame_of_a_cylinder_follows_the_particle() -> None:
    axes = frames(conditions(1))[0]  # normal incidence along Geant4's x axis; its z axis is the beam
    np.testing.assert_allclose(axes, [[0, 1, 0], [0, 0, 1], [1, 0, 0]], atol=1e-15)
    given = {"energy": np.ones(50), "theta": np.linspace(0.5, 2.6, 50), "phi": np.linspace(-3, 3, 50)}
    axes = frames(given)
    np.testing.assert_allclose(axes @ np.moveaxis(axes, 1, 2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(axes), 1)
    np.testing.assert_allclose(axes[:, 2, 2], np.cos(given["theta"]))
    np.testing.assert_allclose(axes[:, 0, 2], 0)  # x is the azimuth
    np.testing.assert_allclose(np.arctan2(axes[:, 2, 1], axes[:, 2, 0]), given["phi"])


def test_slopes() -> None:
    tilted = conditions(1, theta=math.radians(60))
    directions = beam(clic_ecal(), "center", tilted, 1, 0)[1]
    assert slopes(clic_ecal(), tilted, directions)[0] == pytest.approx(math.sqrt(3) / 2)
    assert slopes(par04_ds2(), tilted, beam(par04_ds2(), "center", tilted, 1, 0)[1])[0] == 1


def test_shells_are_met_at_the_polar_angle() -> None:
    shells = replace(par04_ds2(), mesh=False)
    given = conditions(1, theta=math.radians(60))
    assert slopes(shells, given, beam(shells, "center", given, 1, 0)[1])[0] == pytest.approx(math.sqrt(3) / 2)


def test_impossible_positions_and_angles_are_refused() -> None:
    unequal = replace(clic_ecal().layers[0], fast=(-100.0, -5.0, 5.0, 100.0))
    with pytest.raises(InputError, match="equal, rectangular"):
        check_position(replace(clic_ecal(), layers=(unequal, *clic_ecal().layers[1:])), "cell")
    with pytest.raises(InputError, match="equal, rectangular"):
        check_position(par04_ds2(), "cell")
    for position in ((70.0, 0.0), (0.0, math.nan), [1.0, 2.0], (1.0, 2.0, 3.0), "middle"):
        with pytest.raises(InputError, match="position"):
            check_position(clic_ecal(), position)  # type: ignore[arg-type]
    check_position(clic_ecal(), (60.0, -60.0))
    for geometry in (clic_ecal(), atlas_lar(0.7), par04_ds2()):
        check_position(geometry, "center")
    check_position(atlas_lar(0.7), "cell")
    for geometry, theta in ((clic_ecal(), 0.0), (clic_ecal(), -1.0), (par04_ds2(), 0.1), (atlas_lar(), 1.0)):
        with pytest.raises(InputError):
            check_angles(geometry, conditions(1, theta=theta))
