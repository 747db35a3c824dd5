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

`caloforge.simulate.parametrisation` has the formulas and their corrections, which `caloforge.simulate.gflash_fit` finds
for a training set. They multiply and shift, so that the published dependence on energy, depth and material stays.

The formulas hold from about 1 GeV on; below, T, α and their widths are kept at small positive limits. A shower depends
on its conditions and on (seed, event) alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from caloforge.errors import InputError
from caloforge.files import origin
from caloforge.geometry import Geometry
from caloforge.showers import Conditions, Showers, check_conditions
from caloforge.simulate.beam import Position, beam, check_angles, check_position, slopes
from caloforge.simulate.geant4 import check_geometry
from caloforge.simulate.lateral import Table, shares
from caloforge.simulate.media import Medium
from caloforge.simulate.parametrisation import (
    CONVERSION,
    PIVOT,
    Coefficients,
    intervals,
    longitudinal,
    radii,
    visible_shares,
)
from caloforge.units import GeV

PARTICLES = ("e-", "e+", "gamma")
ENERGIES = 0.05 * GeV, 1e5 * GeV  # what it may be asked for
GRAZING = 0.1  # cosine of the angle to the layers' normal, at least
BLOCK = 64  # showers at a time
RARE = 0.3  # spots expected in a cell: cells with fewer are not asked one by one
STREAM = 7
Floats = NDArray[np.float64]


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
        self.position: Position = position or geometry.impact
        check_position(geometry, self.position)
        if self.position != "center" and any(layer.axes == "r_alpha" for layer in geometry.layers):
            raise InputError(f"{geometry.name!r} has polar cells around the shower's axis: leave position at center.")
        self.medium = Medium(geometry)
        check_geometry(geometry)
        self.bounds, self.owners = intervals(self.medium)
        coefficients = coefficients or Coefficients()
        self.published = visible_shares(self.medium, self.bounds, self.owners)
        if not coefficients.visible:
            zeros = (0.0,) * len(self.published)
            coefficients = replace(coefficients, visible=tuple(self.published.tolist()), visible_power=zeros)
        self.coefficients = coefficients
        self._tables: dict[tuple[int, float, float], Table] = {}

    def profiles(self, energy: Floats, random: Floats, slope: Floats) -> tuple[Floats, Floats]:
        """Visible energy per layer in MeV, shape (N, n_layers), and the T of the radial profile (N,).

        `random` (N, 4) are the numbers of each shower that `random_numbers` draws; `slope` (N,) is the cosine of the
        angle to the layers' normal. τ = t / T is corrected for α as in the paper, T → T α/(α − 1) · (ᾱ − 1)/ᾱ.
        """
        c, photon = self.coefficients, self.particle == "gamma"
        log_t, log_alpha, sigma_t, sigma_alpha, rho = longitudinal(c, self.medium, photon, energy)
        first, second, third, conversion = random.T
        t_max = np.exp(log_t + sigma_t * (first + c.skew * (first**2 - 1)) / np.sqrt(1 + 2 * c.skew**2))
        alpha = np.maximum(np.exp(log_alpha + sigma_alpha * (rho * first + np.sqrt(1 - rho**2) * second)), 1.1)
        beta = (alpha - 1) / t_max
        start = CONVERSION * conversion if photon else np.zeros(len(energy))
        depth = np.maximum(self.bounds / slope[:, None] - start[:, None], 0)
        deep = gammainc(alpha[:, None], beta[:, None] * depth)
        parts = np.diff(deep.reshape(len(energy), -1, 2), axis=2)[:, :, 0]
        layers = np.zeros((len(energy), len(self.geometry.layers)))
        np.add.at(layers.T, self.owners, parts.T)
        seen = (energy[:, None] / PIVOT) ** np.asarray(c.visible_power)
        total = energy * np.exp(c.constant * third - c.constant**2 / 2)
        mean = np.log(np.exp(log_t) + (CONVERSION if photon else 0.0))
        usual = np.maximum(np.exp(log_alpha), 1.1)
        own = t_max * alpha / (alpha - 1) * (usual - 1) / usual + start
        shown = np.exp(mean + c.own * (np.log(own) - mean))
        return layers * np.asarray(c.visible) * seen * total[:, None], shown

    # Lateral

    def cell_shares(
        self,
        layer: int,
        energy: Floats,
        t_max: Floats,
        axis: Floats,
        slope: Floats,
        fixed: bool,
    ) -> NDArray[np.floating]:
        """Mean share of each cell in the energy of a layer, shape (N, n); the rest is beside the cells.

        `fixed` if all showers have the same axis.
        """
        depth = self.depth(layer) / slope
        core, tail, p = radii(self.coefficients, self.medium, energy, depth / t_max)
        if not fixed:
            return np.asarray(
                p[:, None] * shares(self.geometry, layer, axis, core)
                + (1 - p[:, None]) * shares(self.geometry, layer, axis, tail)
            )
        return self._table(layer, axis[0]).mixture([(core, p), (tail, 1 - p)])

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

    def changed(self, coefficients: Coefficients) -> "GFlash":
        """The same with other coefficients."""
        other = GFlash(self.geometry, self.particle, coefficients, self.position)
        other._tables = self._tables
        return other

    def sample(self, conditions: Conditions, seed: int, first_event: int = 0) -> Showers:
        """One shower per condition."""
        self.check(conditions)
        checked = check_conditions(conditions)
        n = len(checked["energy"])
        energies = np.zeros((n, self.geometry.n_cells), np.float32)
        for start in range(0, n, BLOCK):
            part = {name: values[start : start + BLOCK] for name, values in checked.items()}
            self._fill(part, seed, first_event + start, energies[start : start + BLOCK])
        return Showers(energies, conditions, self.geometry)

    def check(self, conditions: Conditions) -> None:
        """Refuse conditions that it does not know."""
        checked = check_conditions(conditions)
        unknown = set(checked) - {"energy", "theta", "phi"}
        if unknown:
            raise InputError(
                f"GFlash takes energy, theta and phi as conditions; got also {', '.join(sorted(unknown))}."
            )
        check_angles(self.geometry, checked)
        energy = checked["energy"]
        if energy.size and not (energy.min() >= ENERGIES[0] and energy.max() <= ENERGIES[1]):
            raise InputError(
                f"energies go from {energy.min():g} to {energy.max():g} MeV; the parametrisation is for 50 MeV "
                "(better: 1 GeV) to 100 TeV: stay inside."
            )
        if "theta" in checked and not self.geometry.mesh and (np.sin(checked["theta"]) < GRAZING).any():
            raise InputError("theta comes within 6 degrees of the layer plane: give angles nearer to 90deg.")

    def close(self) -> None:
        """Nothing is to be closed."""

    def _fill(self, conditions: Conditions, seed: int, first_event: int, out: NDArray[np.float32]) -> None:
        energy = conditions["energy"]
        starts, directions = beam(self.geometry, self.position, conditions, seed, first_event)
        slope = slopes(self.geometry, conditions, directions)
        fixed = self.position != "cell" and set(conditions) == {"energy"}
        rngs = [_generator(seed, first_event + i) for i in range(len(energy))]
        visible, t_max = self.profiles(energy, np.concatenate([random_numbers(rng, 1) for rng in rngs]), slope)
        spots = self.spots(energy)
        total = np.maximum(visible.sum(1), 1e-12)
        quantum = total / spots
        expected = np.empty(out.shape, np.float32)  # spots in each cell
        for layer, found in enumerate(self.geometry.layers):
            axis = starts[:, :2] + directions[:, :2] / directions[:, 2:] * found.depth
            share = self.cell_shares(layer, energy, t_max, axis, slope, fixed)
            expected[:, self.geometry.cells(layer)] = share * (visible[:, layer] / quantum)[:, None].astype(np.float32)
        conserved = self.medium.active.all()  # all is read out: nothing is sampled, the spots share the energy
        for i, rng in enumerate(rngs):
            hit, number = hits(rng, expected[i])
            energies = self.spot_energies(rng, number)
            if conserved and len(hit):
                energies *= expected[i].sum(dtype=np.float64) / energies.sum()
            out[i, hit] = quantum[i] * energies

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
            story["training"] = origin(fitted_to)
        return story


def random_numbers(rng: np.random.Generator, n: int) -> Floats:
    """Three normal numbers (for T, α and the response) and an exponential one (a photon's conversion), shape (n, 4)."""
    return np.concatenate([rng.standard_normal((n, 3)), rng.standard_exponential((n, 1))], axis=1)


def hits(rng: np.random.Generator, expected: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells that are hit, and by how many spots, where `expected` (n_cells,) are the means of Poisson distributions.

    Cells in which few are expected share one Poisson number, whose spots are then thrown among them: the same
    distribution, without asking each of thousands of cells that stay empty.
    """
    rare = np.maximum(expected, 0, dtype=np.float64)
    often = np.flatnonzero(rare >= RARE)
    number = rng.poisson(rare[often])
    rare[often] = 0
    np.cumsum(rare, out=rare)
    thrown = rng.random(rng.poisson(rare[-1])) * rare[-1]
    cells, times = np.unique(np.searchsorted(rare, thrown, side="right"), return_counts=True)
    some = number > 0
    return np.concatenate([often[some], cells]), np.concatenate([number[some], times])


def _generator(seed: int, event: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, event], counter=[0, 0, 0, STREAM]))
