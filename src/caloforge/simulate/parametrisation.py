r"""The formulas of Grindhammer and Peters (hep-ex/0001020) for electromagnetic showers in sampling calorimeters.

The coefficients are those of Geant4 (``GVFlashHomoShowerTuning.hh``, ``GFlashSamplingShowerTuning.hh``), for single,
fluctuating showers: with :math:`y = E / E_c` and the sampling frequency :math:`F_S` (periods per radiation length),

.. math::
    \langle\ln T\rangle &= \ln\left(\ln y - 0.812 - 0.55\,F_S^{-1} - 0.69\,(1 - \hat e)\right) \\
    \langle\ln\alpha\rangle &= \ln\left(0.81 + (0.458 + 2.26 / Z) \ln y - 0.476\,F_S^{-1}\right) \\
    \sigma(\ln T) &= (-2.5 + 1.25 \ln y)^{-1}, \quad \sigma(\ln\alpha) = (-0.82 + 0.79 \ln y)^{-1}, \quad
    \rho = 0.784 - 0.023 \ln y

(where all is read out, the homogeneous −1.4, 1.26; −0.58, 0.86; 0.705) and for the radii and the share of the core see
`radii`. A photon's shower begins with its conversion, at an exponentially distributed depth of 9/7 radiation lengths on
average, into electrons of half its energy (:math:`y = E / 2 E_c`).

What differs from Geant4: the critical energy (`caloforge.simulate.media`), and the number of spots, which stands for a
sampling resolution of 20 % (there: 11 %).

`Coefficients` holds corrections; as they are by default, they leave the formulas as published.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from caloforge.simulate.media import Medium
from caloforge.units import GeV

PIVOT = 10 * GeV  # where corrections that go with ln E are zero
TAU = (0.0, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.5)  # nodes of the radial corrections
CONVERSION = 9 / 7  # X0, mean depth at which a photon converts
WIDEST = 0.5  # of ln T and ln α
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
    constant : width of the logarithm of a factor on the whole shower, the constant term of the resolution.
    spots, spots_power : number of spots, spots · (E / GeV)^power; published: 10.3 / c with c the sampling resolution at
        1 GeV, here 0.2.
    spot_shape : of the gamma distribution of a spot's energy; 1 is exponential, less is wider.
    own : how far the radial profile follows the shower's own maximum, τ = t / (T^own · T̄^(1 − own)) with the mean T̄.
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
    constant: float = 0.0
    spots: float = 10.3 / 0.2
    spots_power: float = 0.959
    spot_shape: float = 1.0
    own: float = 1.0
    core: tuple[float, ...] = field(default=(0.0,) * len(TAU))
    tail: tuple[float, ...] = field(default=(0.0,) * len(TAU))
    share: tuple[float, ...] = field(default=(0.0,) * len(TAU))


def longitudinal(
    c: Coefficients, medium: Medium, photon: bool, energy: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Mean of ln T and ln α, their widths, and their correlation, each (N,), for energies (N,) in MeV."""
    y, x = np.log(energy / (2 if photon else 1) / medium.whole.critical), np.log(energy / PIVOT)
    t = np.maximum(y - 0.812, 0.3) - 0.55 * medium.sampling - 0.69 * (1 - medium.e_hat)
    alpha = 0.81 + (0.458 + 2.26 / medium.whole.z) * y - 0.476 * medium.sampling
    log_t = np.log(np.maximum(t, 0.2)) + c.t_max[0] + c.t_max[1] * x
    log_alpha = np.log(np.maximum(alpha, 1.05)) + c.alpha[0] + c.alpha[1] * x
    whole = medium.active.all()  # then the numbers are those of a homogeneous calorimeter
    widths = (-1.4 + 1.26 * y, -0.58 + 0.86 * y) if whole else (-2.5 + 1.25 * y, -0.82 + 0.79 * y)
    sigma_t, sigma_alpha = (
        np.exp(change[0] + change[1] * x) / np.maximum(width, 1 / WIDEST)
        for change, width in zip((c.t_sigma, c.alpha_sigma), widths, strict=True)
    )
    rho = np.clip((0.705 if whole else 0.784) - 0.023 * y + c.correlation, -0.98, 0.98)
    return log_t, log_alpha, sigma_t, sigma_alpha, rho


def radii(c: Coefficients, medium: Medium, energy: Floats, tau: Floats) -> tuple[Floats, Floats, Floats]:
    """R_C and R_T in mm and the core's share p for energies in MeV and τ = t/T of equal shapes."""
    z, log_e = medium.whole.z, np.log(energy / GeV)
    fs, e_hat = medium.sampling, medium.e_hat
    core = 0.0251 + 0.00319 * log_e + (0.1162 - 0.000381 * z) * tau
    core = core - 0.0203 * (1 - e_hat) + 0.0397 * fs * np.exp(-tau)
    k2, k4 = 0.645, 0.3585 + 0.0412 * log_e
    tail = (0.659 - 0.00309 * z) * (np.exp(-2.59 * (tau - k2)) + np.exp(k4 * (tau - k2)))
    tail = tail - 0.14 * (1 - e_hat) - 0.495 * fs * np.exp(-tau)
    u = ((0.401 + 0.00187 * z) - tau) / (1.313 - 0.0686 * log_e)
    p = (2.632 - 0.00094 * z) * np.exp(u - np.exp(u))
    p = np.clip(p + (1 - e_hat) * (0.348 - 0.642 * fs * np.exp(-((tau - 1) ** 2))), 0.01, 0.99)
    shift = [np.interp(tau, TAU, values) for values in (c.core, c.tail, c.share)]
    core = np.maximum(core, 0.005) * medium.moliere * np.exp(shift[0])
    tail = np.maximum(tail, 0.005) * medium.moliere * np.exp(shift[1])
    return core, np.maximum(tail, core), 1 / (1 + (1 - p) / p * np.exp(-shift[2]))


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
