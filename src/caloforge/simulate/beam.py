"""Where each particle starts and where it flies: pure functions of the set-up, the conditions and the event number."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Geometry
from caloforge.showers import Conditions

Position = Literal["center", "cell"] | tuple[float, float]
Vectors = NDArray[np.float64]


def check_position(geometry: Geometry, position: Position) -> None:
    """Refuse impact points from which nothing would reach the cells."""
    first = geometry.layers[0]
    if position == "cell":
        if first.axes == "r_alpha" or not first.equal:
            raise InputError(
                f"position cell needs equal, rectangular cells, which the first layer of {geometry.name!r} has not: "
                "give center."
            )
    elif position != "center":
        if not (isinstance(position, tuple) and len(position) == 2 and all(map(math.isfinite, position))):
            raise InputError(f"position {position!r} is not understood: give center, cell or a pair (x, y) in mm.")
        x, y = geometry.reach
        if not (abs(position[0]) <= x and abs(position[1]) <= y):
            raise InputError(
                f"position {position} mm lies outside the cells of {geometry.name!r}, which reach to "
                f"{x:.4g} and {y:.4g} mm in x and y."
            )


def check_angles(geometry: Geometry, conditions: Conditions) -> None:
    """Refuse angles at which particles do not enter, and any in geometries that decide the direction themselves."""
    if geometry.radius is not None and set(conditions) & {"theta", "phi"}:
        raise InputError(
            f"{geometry.name!r} is seen from the interaction point at eta = {geometry.eta}: leave theta and phi out."
        )
    if "eta" in conditions and conditions["eta"].size:
        depth, steepest = sum(slab.thickness for slab in geometry.stack), float(np.abs(conditions["eta"]).max())
        if not depth * math.sinh(steepest) + geometry.reach[1] < geometry.size / 2:
            raise InputError(
                f"eta reaches {steepest:.4g}; there showers leave the plates of {geometry.name!r}, which are "
                f"{geometry.size:g} mm wide: give smaller ones."
            )
    theta = conditions.get("theta", np.array([math.pi / 2]))
    if not ((theta > 0) & (theta < math.pi)).all():
        raise InputError(
            "theta is measured from the layer plane, 90deg is normal incidence: give angles between 0 and "
            "180deg, both excluded."
        )
    if (
        geometry.inner_radius is not None
        and not (geometry.inner_radius / np.abs(np.tan(theta)) < geometry.size / 2).all()
    ):
        raise InputError(
            f"theta goes from {np.degrees(theta.min()):.4g} to {np.degrees(theta.max()):.4g} degrees; such particles "
            f"miss the cylinder {geometry.name!r}, {geometry.size:g} mm long: give angles nearer to 90deg."
        )


def beam(
    geometry: Geometry, position: Position, conditions: Conditions, seed: int, first_event: int
) -> tuple[Vectors, Vectors]:
    """Start on the front face in mm, in the local frame, and unit direction of each particle, each of shape (N, 3).

    θ is measured from the layer plane: 90° is normal incidence, smaller angles tilt the direction along +y; φ turns the
    tilt from +y towards +x. In a projective geometry the particle comes from the interaction point instead, at the
    geometry's η₀ or at its own condition η; in a cylinder the frame follows the particle.
    """
    n = len(conditions["energy"])
    offsets = _offsets(geometry, position, n, seed, first_event)
    if geometry.radius is not None:
        centers = window_centers(geometry, position, conditions, seed, first_event)
        return _from_interaction_point(geometry, centers, offsets, angular=position == "cell")
    if geometry.inner_radius is not None:
        return np.column_stack([offsets, np.zeros(n)]), np.tile([0.0, 0.0, 1.0], (n, 1))
    theta = conditions.get("theta", np.full(n, math.pi / 2))
    phi = conditions.get("phi", np.zeros(n))
    directions = [np.cos(theta) * np.sin(phi), np.cos(theta) * np.cos(phi), np.sin(theta)]
    return np.column_stack([offsets, np.zeros(n)]), np.stack(directions, axis=1)


def _offsets(geometry: Geometry, position: Position, n: int, seed: int, first_event: int) -> Vectors:
    """Where each particle aims, relative to the window's centre: (φ, η) or mm for ``cell``, else mm, shape (N, 2)."""
    if position == "center":
        return np.zeros((n, 2))
    if position != "cell":
        return np.zeros((n, 2)) + position
    layer = geometry.layers[0]
    cell = layer.fast[1] - layer.fast[0], layer.slow[1] - layer.slow[0]
    return np.asarray((impacts(seed, first_event, n) - 0.5) * cell)


def window_centers(
    geometry: Geometry, position: Position, conditions: Conditions, seed: int, first_event: int
) -> Vectors:
    """η of the window of each event in a projective geometry, shape (N,).

    It is the geometry's own, or, if η is a condition, that of the cell that the particle with this η strikes.
    """
    n = len(conditions["energy"])
    if "eta" not in conditions:
        return np.full(n, geometry.eta or 0.0)
    return np.asarray(conditions["eta"] - _offsets(geometry, position, n, seed, first_event)[:, 1])


def slopes(geometry: Geometry, conditions: Conditions, directions: Vectors) -> Vectors:
    """Cosine of each particle's angle to the normal of the layers, shape (N,); `directions` are those of `beam`.

    A mesh is normal to the particle by construction; shells of a cylinder are met at the polar angle θ.
    """
    if geometry.inner_radius is not None and not geometry.mesh and "theta" in conditions:
        return np.sin(conditions["theta"])
    return directions[:, 2]


def frames(conditions: Conditions) -> Vectors:
    """In a cylinder whose beam axis is z: the axes x (azimuth), y and z (direction) of each particle, shape (N, 3, 3).

    θ is the polar angle (90° is normal incidence), φ the azimuth.
    """
    n = len(conditions["energy"])
    theta, phi = conditions.get("theta", np.full(n, math.pi / 2)), conditions.get("phi", np.zeros(n))
    azimuth = [-np.sin(phi), np.cos(phi), np.zeros(n)]
    beamward = [-np.cos(theta) * np.cos(phi), -np.cos(theta) * np.sin(phi), np.sin(theta)]
    forward = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
    return np.moveaxis(np.array([azimuth, beamward, forward]), 2, 0)


def impacts(seed: int, first_event: int, n: int) -> Vectors:
    """Two numbers, uniform in [0, 1), for each event, shape (N, 2); a stream of its own, keyed by (seed, event)."""
    events = range(first_event, first_event + n)
    rows = [np.random.Generator(np.random.Philox(key=[seed, event])).random(2) for event in events]
    return np.array(rows).reshape(n, 2)


def _from_interaction_point(
    geometry: Geometry, centers: Vectors, offsets: Vectors, angular: bool
) -> tuple[Vectors, Vectors]:
    """Particles aimed at (centers, 0) in (η, φ), plus offsets in (φ, η), or in mm on the front face."""
    radius = geometry.radius or 0.0
    first, second = offsets.T
    height = radius * np.array([math.sinh(center) for center in centers])  # numpy's sinh differs in the last bit
    x, y = (radius * np.tan(first), radius * np.sinh(centers + second)) if angular else (first, height + second)
    lines = np.column_stack([x, y, np.full(len(x), radius)])
    starts = lines - np.column_stack([np.zeros(len(x)), height, lines[:, 2]])
    return starts, lines / np.linalg.norm(lines, axis=1, keepdims=True)
