r"""Parametrised showers of electrons, positrons and photons in any stack: Grindhammer and Peters (hep-ex/0001020).

**Along the shower** the energy follows a gamma distribution in the depth t (radiation lengths),

.. math:: \frac{1}{E} \frac{dE}{dt} = \frac{(\beta t)^{\alpha - 1} \beta e^{-\beta t}}{\Gamma(\alpha)},
          \qquad T = \frac{\alpha - 1}{\beta}

with :math:`\ln T` and :math:`\ln\alpha` normal and correlated from shower to shower; their means and widths depend on
:math:`\ln y = \ln(E / E_c)` (eqs. for sampling calorimeters, §3). **Across**, it is the sum of a core and a tail,

.. math:: f(r) = p\,\frac{2 r R_C^2}{(r^2 + R_C^2)^2} + (1 - p)\,\frac{2 r R_T^2}{(r^2 + R_T^2)^2}

whose radii (in Molière radii) and share depend on :math:`\tau = t / T`. **Spots**: the visible energy arrives in a
Poisson number of spots, each with a gamma-distributed energy, which makes both the sampling fluctuations and
the graininess of cells. A layer sees the part of the profile between the middles of the gaps around its slabs, times
its own visible share.

`Coefficients` holds corrections to the published formulas; zero and one leave them as published, and
`caloforge.simulate.gflash_fit` finds those of a training set. They multiply and shift, so that the published dependence
on energy, depth and material stays.

The formulas hold from about 1 GeV on; below, T, α and their widths are kept at small positive limits. A shower depends
on its conditions and on (seed, event) alone.
"""

import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from caloforge.errors import InputError
from caloforge.geometry import Geometry
from caloforge.showers import Conditions, Showers, check_conditions
from caloforge.simulate.beam import Position, beam, slopes
from caloforge.simulate.lateral import Table, shares
from caloforge.simulate.media import Medium
from caloforge.units import GeV

PARTICLES = ("e-", "e+", "gamma")
PIVOT = 10 * GeV  # where corrections that go with ln E are zero
TAU = (0.0, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.5)  # nodes of the radial corrections
BLOCK, SHARES = 256, 16  # showers at a time, and parts of them among the threads
PHOTON = 0.5  # X0 by which a photon's maximum is later
STREAM = 7
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coefficients:
    """Corrections to the published parametrisation.

    Parameters
    ----------
    t_max, alpha : shift of the mean of ln T and ln α, and its change with ln(E / 10 GeV).
    t_sigma, alpha_sigma : logarithm of a factor on their widths, and its change with ln(E / 10 GeV).
    correlation : added to theirs.
    skew : of ln T: late showers have a tail.
    visible : visible energy of each layer over the energy deposited in its part of the depth; from the stack if empty.
    visible_power : power of E / 10 GeV that each layer's share goes with.
    spots, spots_power : number of spots, spots · (E / GeV)^power.
    spot_shape : of the gamma distribution of a spot's energy; 1 is exponential, less is wider.
    core, tail, share : at the nodes `TAU`, shifts of ln R_C, ln R_T and of logit p.
    """

    t_max: tuple[float, float] = (0.0, 0.0)
    t_sigma: tuple[float, float] = (0.0, 0.0)
    alpha: tuple[float, float] = (0.0, 0.0)
    alpha_sigma: tuple[float, float] = (0.0, 0.0)
    correlation: float = 0.0
    skew: float = 0.0
    visible: tuple[float, ...] = ()
    visible_power: tuple[float, ...] = ()
    spots: float = 50.0
    spots_power: float = 0.959
    spot_shape: float = 1.0
    core: tuple[float, ...] = field(default=(0.0,) * len(TAU))
    tail: tuple[float, ...] = field(default=(0.0,) * len(TAU))
    share: tuple[float, ...] = field(default=(0.0,) * len(TAU))


class GFlash:
    """Grindhammer-Peters showers as a `Simulator`.

    Parameters
    ----------
    geometry : must have a material stack.
    particle : e-, e+ or gamma.
    coefficients : corrections, as `gflash_fit.fit` finds them.
    position : as for `Geant4`.
    """

    def __init__(
        self,
        geometry: Geometry,
        particle: str = "e-",
        coefficients: Coefficients | None = None,
        position: Position | None = None,
    ) -> None:
        if particle not in PARTICLES:
            raise InputError(
                f"GFlash makes electromagnetic showers: give one of {', '.join(PARTICLES)}, not {particle!r}."
            )
        self.geometry, self.particle = geometry, particle
        self.position = position or geometry.impact
        self.medium = Medium(geometry)
        self.bounds, self.owners = intervals(self.medium)
        coefficients = coefficients or Coefficients()
        self.published = visible_shares(self.medium, self.bounds, self.owners)
        if not coefficients.visible:
            zeros = (0.0,) * len(self.published)
            coefficients = replace(coefficients, visible=tuple(self.published.tolist()), visible_power=zeros)
        self.coefficients = coefficients
        self._tables: dict[tuple[int, float, float], Table] = {}

    # Longitudinal

    def longitudinal(self, energy: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Mean of ln T and ln α, their widths, and their correlation, each (N,), for energies (N,) in MeV."""
        c, medium = self.coefficients, self.medium
        y, x = np.log(energy / medium.whole.critical), np.log(energy / PIVOT)
        t_hom = np.maximum(y - 0.812, 0.3)
        alpha_hom = 0.81 + (0.458 + 2.26 / medium.whole.z) * y
        late = PHOTON if self.particle == "gamma" else 0.0
        t_sam = np.maximum(t_hom - 0.59 * medium.sampling - 0.53 * (1 - medium.e_hat) + late, 0.2)
        alpha_sam = np.maximum(alpha_hom - 0.444 * medium.sampling, 1.05)
        log_t = np.log(t_sam) + c.t_max[0] + c.t_max[1] * x
        log_alpha = np.log(alpha_sam) + c.alpha[0] + c.alpha[1] * x
        sigma_t = np.exp(c.t_sigma[0] + c.t_sigma[1] * x) / np.maximum(-2.5 + 1.25 * y, 1.0)
        sigma_alpha = np.exp(c.alpha_sigma[0] + c.alpha_sigma[1] * x) / np.maximum(-0.82 + 0.79 * y, 1.0)
        rho = np.clip(0.784 - 0.023 * y + c.correlation, -0.98, 0.98)
        return log_t, log_alpha, sigma_t, sigma_alpha, rho

    def profiles(self, energy: Floats, normal: Floats, slope: Floats) -> tuple[Floats, Floats]:
        """Visible energy per layer in MeV, shape (N, n_layers), and T (N,), for two normal numbers each, shape (N, 2).

        `slope` (N,) is the cosine of the angle to the layers' normal.
        """
        log_t, log_alpha, sigma_t, sigma_alpha, rho = self.longitudinal(energy)
        skew = self.coefficients.skew
        t_max = np.exp(log_t + sigma_t * (normal[:, 0] + skew * (normal[:, 0] ** 2 - 1)) / np.sqrt(1 + 2 * skew**2))
        alpha = np.exp(log_alpha + sigma_alpha * (rho * normal[:, 0] + np.sqrt(1 - rho**2) * normal[:, 1]))
        alpha = np.maximum(alpha, 1.05)
        beta = (alpha - 1) / t_max
        deep = gammainc(alpha[:, None], beta[:, None] * self.bounds / slope[:, None])
        parts = np.diff(deep.reshape(len(energy), -1, 2), axis=2)[:, :, 0]
        layers = np.zeros((len(energy), len(self.geometry.layers)))
        np.add.at(layers.T, self.owners, parts.T)
        seen = (energy[:, None] / PIVOT) ** np.asarray(self.coefficients.visible_power)
        return layers * np.asarray(self.coefficients.visible) * seen * energy[:, None], t_max

    # Lateral

    def radii(self, energy: Floats, tau: Floats) -> tuple[Floats, Floats, Floats]:
        """R_C and R_T in mm and the core's share p for energies and τ = t/T of equal shapes."""
        c, medium, z = self.coefficients, self.medium, self.medium.whole.z
        log_e = np.log(energy / GeV)
        fs, e_hat = medium.sampling, medium.e_hat
        core = 0.0251 + 0.00319 * log_e + (0.1162 - 0.000381 * z) * tau
        core = core - 0.0203 * (1 - e_hat) + 0.0397 * fs * np.exp(-tau)
        k2, k4 = 0.645, 0.3585 + 0.0421 * log_e
        tail = (0.659 - 0.00309 * z) * (np.exp(-2.59 * (tau - k2)) + np.exp(k4 * (tau - k2)))
        tail = tail - 0.14 * (1 - e_hat) - 0.495 * fs * np.exp(-tau)
        u = ((0.401 + 0.00187 * z) - tau) / (1.313 - 0.0686 * log_e)
        p = (2.632 - 0.00094 * z) * np.exp(u - np.exp(u))
        p = np.clip(p + (1 - e_hat) * (0.348 - 0.642 * fs * np.exp(-((tau - 1) ** 2))), 0.01, 0.99)
        shift = [np.interp(tau, TAU, values) for values in (c.core, c.tail, c.share)]
        core, tail = (
            np.maximum(r, 0.005) * medium.moliere * np.exp(d) for r, d in zip((core, tail), shift, strict=False)
        )
        return core, np.maximum(tail, core), 1 / (1 + (1 - p) / p * np.exp(-shift[2]))

    def cell_shares(
        self,
        layer: int,
        energy: Floats,
        t_max: Floats,
        axis: Floats,
        slope: Floats,
        fixed: bool,
        row: int | None = None,
    ) -> Floats:
        """Mean share of each cell in the energy of a layer, shape (N, n); the rest is beside the cells.

        `fixed` if all showers have the same axis; `row`, if bits matter, is the number of the first one in its block.
        """
        depth = self.depth(layer) / slope
        core, tail, p = self.radii(energy, depth / t_max)
        if not fixed:
            return np.asarray(
                p[:, None] * shares(self.geometry, layer, axis, core)
                + (1 - p[:, None]) * shares(self.geometry, layer, axis, tail)
            )
        return self._table(layer, axis[0]).mixture([(core, p), (tail, 1 - p)], row or 0, 0 if row is None else BLOCK)

    def _table(self, layer: int, axis: Floats) -> Table:
        """Equal layers share a table."""
        geometry = self.geometry
        same = geometry.layers[layer]
        flat = geometry.radius is None
        first = next(
            n
            for n, other in enumerate(geometry.layers)
            if n == layer or (flat and (other.axes, other.slow, other.fast) == (same.axes, same.slow, same.fast))
        )
        key = first, float(axis[0]), float(axis[1])
        if key not in self._tables:
            self._tables[key] = Table(geometry, first, axis)
        return self._tables[key]

    def depth(self, layer: int) -> float:
        """Depth of a layer in radiation lengths: the middle of its slabs."""
        own = np.flatnonzero(self.owners == layer)
        return float((self.bounds[2 * own[0]] + self.bounds[2 * own[-1] + 1]) / 2)

    # Sampling

    def sample(self, conditions: Conditions, seed: int, first_event: int = 0) -> Showers:
        """One shower per condition."""
        self.check(conditions)
        checked = check_conditions(conditions)
        n = len(checked["energy"])
        energies = np.zeros((n, self.geometry.n_cells), np.float32)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            start = 0
            while start < n:
                stop = min(n, start + BLOCK - (first_event + start) % BLOCK)
                part = {k: v[start:stop] for k, v in checked.items()}
                self._fill(part, seed, first_event + start, energies[start:stop], pool)
                start = stop
        return Showers(energies, conditions, self.geometry)

    def check(self, conditions: Conditions) -> None:
        """Refuse conditions that it does not know."""
        unknown = set(check_conditions(conditions)) - {"energy", "theta", "phi"}
        if unknown or (self.geometry.radius is not None and len(conditions) > 1):
            raise InputError(f"GFlash cannot take the conditions {', '.join(conditions)} in {self.geometry.name!r}.")

    def close(self) -> None:
        """Nothing is to be closed."""

    def _fill(
        self, conditions: Conditions, seed: int, first_event: int, out: NDArray[np.float32], pool: Executor
    ) -> None:
        energy = conditions["energy"]
        starts, directions = beam(self.geometry, self.position, conditions, seed, first_event)
        slope = slopes(self.geometry, conditions, directions)
        fixed = self.position != "cell" and set(conditions) == {"energy"}
        rngs = [_generator(seed, first_event + i) for i in range(len(energy))]
        visible, t_max = self.profiles(energy, np.array([rng.standard_normal(2) for rng in rngs]), slope)
        spots = self.spots(energy)
        total = np.maximum(visible.sum(1), 1e-12)
        quantum = total / spots
        expected = np.empty(out.shape)  # spots in each cell
        for layer, found in enumerate(self.geometry.layers):
            axis = starts[:, :2] + directions[:, :2] / directions[:, 2:] * found.depth
            share = self.cell_shares(layer, energy, t_max, axis, slope, fixed, first_event % BLOCK)
            expected[:, self.geometry.cells(layer)] = share * (visible[:, layer] / quantum)[:, None]

        def throw(rows: range) -> None:
            for i in rows:
                number = rngs[i].poisson(np.maximum(expected[i], 0, out=expected[i]))
                hit = np.flatnonzero(number)
                out[i, hit] = quantum[i] * self.spot_energies(rngs[i], number[hit])

        list(pool.map(throw, [range(first, len(energy), SHARES) for first in range(SHARES)]))

    def spot_energies(self, rng: np.random.Generator, number: NDArray[np.int64]) -> Floats:
        """Sums of the energies of so many spots, whose mean is 1 each."""
        shape = self.coefficients.spot_shape
        return np.asarray(rng.standard_gamma(shape * number) / shape)

    def spots(self, energy: Floats) -> Floats:
        """Mean number of spots (N,)."""
        return np.maximum(self.coefficients.spots * (energy / GeV) ** self.coefficients.spots_power, 1.0)

    def provenance(self, fitted_to: Mapping[str, Any] | None = None, fitted_showers: int = 0) -> dict[str, Any]:
        """What a file of these showers says about their making; `fitted_to` is the provenance of the training set."""
        story: dict[str, Any] = {"simulator": "GFlash", "particle": self.particle, "position": self.position}
        story |= {"coefficients": json.loads(json.dumps(asdict(self.coefficients)))}
        if fitted_to is not None:
            story["fitted_showers"] = fitted_showers
            story["training"] = {name: value for name, value in fitted_to.items() if name != "notes"}
        return story


def intervals(medium: Medium) -> tuple[Floats, NDArray[np.int64]]:
    """The parts of the depth that read-out slabs stand for, as (front, back) pairs in a row, and their layers.

    A part ends in the middle of the gap between a slab and the next one that is read out.
    """
    fronts, stack = medium.fronts, medium.geometry.stack
    own = [i for i, slab in enumerate(stack) if slab.layer is not None]
    limits = [fronts[own[0]] / 2]
    limits += [(fronts[a + 1] + fronts[b]) / 2 for a, b in pairwise(own)]
    limits.append(min(fronts[own[-1] + 1] + (fronts[own[-1]] - limits[-1]), max(fronts[-1], fronts[own[-1] + 1])))
    bounds = np.repeat(limits, 2)[1:-1]
    return bounds, np.array([stack[i].layer for i in own], np.int64)


def visible_shares(medium: Medium, bounds: Floats, owners: NDArray[np.int64]) -> Floats:
    """Visible over deposited energy of each layer: mean ionisation of its slabs over that of their part, times ê."""
    geometry, fronts = medium.geometry, medium.fronts
    loss = np.array([each.critical / each.x0 for each in medium.slabs])  # MeV/mm, of a minimum ionising particle
    thickness = np.array([slab.thickness for slab in geometry.stack])
    own = [i for i, slab in enumerate(geometry.stack) if slab.layer is not None]
    seen, lost = np.zeros(len(geometry.layers)), np.zeros(len(geometry.layers))
    for number, i in enumerate(own):
        low, high = bounds[2 * number], bounds[2 * number + 1]
        inside = np.clip(np.minimum(fronts[1:], high) - np.maximum(fronts[:-1], low), 0, None)
        lost[owners[number]] += float((inside / np.diff(fronts) * loss * thickness).sum())
        seen[owners[number]] += loss[i] * thickness[i]
    calibration = np.array([layer.calibration for layer in geometry.layers])
    return np.asarray(seen / np.maximum(lost, 1e-12) * (1.0 if medium.active.all() else medium.e_hat) * calibration)


def _generator(seed: int, event: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, event], counter=[0, 0, 0, STREAM]))
