r"""Fit the parametrised showers along the shower where layers are too few to see its profile (ATLAS, CaloGAN).

With three or four layers, T and α cannot be estimated shower by shower. Instead all longitudinal corrections are found
at once by least squares: showers are thrown with the same random numbers in every step, so that the sum is smooth, and
in bins of energy the mean and the spread of every layer, the mean and the spread of the response, and the correlation
of the two largest layers are compared with the training set.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from caloforge.simulate.beam import beam, slopes
from caloforge.simulate.gflash import GFlash, random_numbers

Floats = NDArray[np.float64]
BINS = 4
SMALL = 0.003  # of the largest layer: less is not compared
# how far each comparison may be off, relative (of a layer that has 1 % of the largest, ten times as far)
LAYER_MEAN, LAYER_SPREAD, RESPONSE_MEAN, RESPONSE_SPREAD, CORRELATION = 0.01, 0.05, 0.003, 0.02, 0.1
PRIOR, STEPS = 0.2, 50
# corrections: the names of pairs, single ones, and how far each may go
PAIRS, LIMIT = ("t_max", "alpha", "t_sigma", "alpha_sigma"), 1.5


def fit_few(gflash: GFlash, energy: Floats, data: Floats, contained: Floats, seed: int) -> GFlash:
    """GFlash whose longitudinal corrections fit layer energies `data` (N, n_layers) of showers of `energy` (N,)."""
    n_layers = data.shape[1]
    throw = _Throw(gflash, energy, contained, seed)
    place = np.searchsorted(np.quantile(energy, np.linspace(0, 1, BINS + 1))[1:-1], energy)
    bins = [rows for rows in (np.flatnonzero(place == b) for b in range(BINS)) if len(rows) > 20]
    large = np.argsort(data.sum(0))[-2:]
    wanted = [_summary(data[rows], energy[rows], large) for rows in bins]
    start = gflash.coefficients

    def changed(p: Floats) -> GFlash:
        values = [float(x) for x in p]
        pairs = {name: tuple(values[2 * i : 2 * i + 2]) for i, name in enumerate(PAIRS)}
        shift, power = np.split(p[2 * len(PAIRS) : -3], 2)
        visible = tuple((np.asarray(start.visible) * np.exp(shift)).tolist())
        single = {"correlation": values[-3], "spot_shape": math.exp(values[-2]), "constant": math.exp(values[-1])}
        changes: dict[str, Any] = {"visible": visible, "visible_power": tuple(power.tolist()), **pairs, **single}
        return gflash.changed(replace(start, **changes))

    def residuals(p: Floats) -> Floats:
        made = throw(changed(p))
        found = [_summary(made[rows], energy[rows], large) for rows in bins]
        return np.concatenate([*(_difference(a, b) for a, b in zip(found, wanted, strict=True)), PRIOR * p])

    pairs = [x for name in PAIRS for x in getattr(start, name)]
    single = [start.correlation, np.log(start.spot_shape), np.log(max(start.constant, 3e-3))]
    first = np.array([*pairs, *([0.0] * n_layers), *start.visible_power, *single])
    low, high = np.minimum(first, 0) - LIMIT, np.maximum(first, 0) + LIMIT
    found = least_squares(
        residuals, first, bounds=(low, high), max_nfev=STEPS, diff_step=2e-3, x_scale="jac", loss="soft_l1"
    )
    return changed(found.x)


class _Throw:
    """Layer energies (N, n_layers) with the same random numbers each time; spots as a normal approximation."""

    def __init__(self, gflash: GFlash, energy: Floats, contained: Floats, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.energy, self.contained = energy, contained
        self.random, self.noise = random_numbers(rng, len(energy)), rng.standard_normal(contained.shape)
        one = {"energy": np.ones(1)}
        direction = beam(gflash.geometry, gflash.position, one, 0, 0)[1]
        self.slope = np.full(len(energy), slopes(gflash.geometry, one, direction))

    def __call__(self, gflash: GFlash) -> Floats:
        visible, _ = gflash.profiles(self.energy, self.random, self.slope)
        quantum = (visible.sum(1) / gflash.spots(self.energy))[:, None]
        visible = visible * self.contained
        width = np.sqrt(visible * quantum * (1 + 1 / gflash.coefficients.spot_shape))
        made = np.maximum(visible + width * self.noise, 0)
        if gflash.medium.active.all():
            made *= (visible.sum(1) / np.maximum(made.sum(1), 1e-12))[:, None]
        return np.asarray(made)


def _summary(layers: Floats, energy: Floats, large: NDArray[np.int64]) -> dict[str, Any]:
    """Means and spreads of the layers' shares of the incident energy and of the response; correlation of two layers."""
    share = layers / energy[:, None]
    response = share.sum(1)
    return {
        "mean": share.mean(0),
        "spread": share.std(0),
        "response": response.mean(),
        "resolution": _width(response),
        "correlation": np.asarray(np.corrcoef(share[:, large].T))[0, 1] if len(large) > 1 else 0.0,
    }


def _width(values: Floats) -> float:
    """Standard deviation without what is more than five of them away."""
    for _ in range(2):
        values = values[np.abs(values - values.mean()) <= 5 * values.std() + 1e-12]
    return float(values.std())


def _difference(made: dict[str, Any], wanted: dict[str, Any]) -> Floats:
    use = wanted["mean"] > SMALL * wanted["mean"].max()
    ratio = {name: np.log(np.maximum(made[name], 1e-9) / wanted[name]) for name in wanted if name != "correlation"}
    single = [
        ratio["response"] / RESPONSE_MEAN,
        ratio["resolution"] / RESPONSE_SPREAD,
        (made["correlation"] - wanted["correlation"]) / CORRELATION,
    ]
    weight = np.sqrt(wanted["mean"] / wanted["mean"].max())[use]
    layers = [ratio["mean"][use] * weight / LAYER_MEAN, ratio["spread"][use] * weight / LAYER_SPREAD]
    return np.concatenate([*layers, single])
