r"""Fit the parametrised showers to a training set, so that they are no straw man.

**Along the shower and in energy** the fit is by indirect inference: for every shower, of the training set and of GFlash
alike, α and T are estimated from the moments of its layer energies,

.. math:: \hat\alpha = \bar t^2 / \mathrm{Var}(t), \qquad \hat T = \bar t\,(\hat\alpha - 1) / \hat\alpha

and the corrections are moved until both samples agree in the straight lines of :math:`\ln\hat T` and
:math:`\ln\hat\alpha` against ln E, in the spread about these lines below and above the median energy and in its
correlation, in the resolution, and in the number of cells that are hit. Estimators may be biased, by leakage or by
noise: they are so on both sides. What the layers see is degenerate with the mean profile; so the mean of T and α is
fitted with the shares of the published formulas, and kept when, after that, the mean energy of every layer is matched.

**Across** the shower `caloforge.simulate.lateral_fit` does it; where layers are few, `caloforge.simulate.gflash_few`
does the longitudinal part.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.observables import layer_energy
from caloforge.showers import Showers
from caloforge.simulate.beam import Position, beam
from caloforge.simulate.gflash import GFlash, random_numbers
from caloforge.simulate.gflash_few import fit_few
from caloforge.simulate.lateral_fit import Lateral
from caloforge.simulate.parametrisation import PIVOT

Floats = NDArray[np.float64]
ROUNDS, STEPS = 3, 8
OFTEN = 4  # showers thrown for each of the training set
QUANTILES = (0.07, 0.25, 0.55)  # of the energy, between bins
FEWEST, FEW_LAYERS = 100, 8  # showers, and layers below which `fit_few` does the longitudinal part
GRAINS, SAMPLE = 3, 150  # steps, and showers in each, of the fit to the number of hits
OWN, SAMPLE_OWN = (0.0, 0.25, 0.5, 0.75, 1.0), 600


def fit(showers: Showers, particle: str = "e-", position: Position | None = None, seed: int = 1) -> GFlash:
    """GFlash with the coefficients of a training set of (at normal incidence, or projective) showers."""
    if len(showers) < FEWEST or set(showers.conditions) != {"energy"}:
        raise InputError(
            f"GFlash is fitted to {FEWEST} showers or more whose only condition is the energy; got {len(showers)} with "
            f"{', '.join(showers.conditions)}."
        )
    gflash = GFlash(showers.geometry, particle, None, position)
    data = layer_energy(showers)
    lateral = Lateral(gflash, showers)
    halves = _halves(showers.incident)
    for number in range(ROUNDS):
        contained = lateral.contained(gflash)
        if data.shape[1] < FEW_LAYERS:
            gflash = fit_few(_grainy(gflash, showers, halves, seed), showers.incident, data, contained, seed)
            gflash = _own(lateral.fitted(gflash, number > 0), showers, seed)
            continue
        if number == 0:
            gflash = _along(gflash, showers.incident, data, contained, seed, profile=True)
        gflash = _along(gflash, showers.incident, data, contained, seed + 100 * number)
        gflash = _grainy(gflash, showers, halves, seed)
        gflash = lateral.fitted(gflash, number > 0)
    last = fit_few if data.shape[1] < FEW_LAYERS else _along
    return last(gflash, showers.incident, data, lateral.contained(gflash), seed)


def _along(gflash: GFlash, energy: Floats, data: Floats, contained: Floats, seed: int, profile: bool = False) -> GFlash:
    for step in range(STEPS):
        gflash = _adjusted(gflash, energy, data, contained, seed + step, profile)
    return gflash


def _halves(energy: Floats) -> list[NDArray[np.bool_]]:
    """Showers below and above the median energy; all, if they are few or of one energy."""
    low = energy <= np.median(energy)
    return [low, ~low] if (~low).sum() >= FEWEST / 2 else [np.ones(len(energy), np.bool_)]


def thrown(gflash: GFlash, energy: Floats, contained: Floats, seed: int) -> Floats:
    """Layer energies (N, n_layers) as GFlash makes them; `contained` is the share of each layer inside its cells."""
    rng = np.random.default_rng(seed)
    slope = _slope(gflash, len(energy))
    visible, _ = gflash.profiles(energy, random_numbers(rng, len(energy)), slope)
    quantum = visible.sum(1, keepdims=True) / gflash.spots(energy)[:, None]
    number = rng.poisson(np.maximum(visible * contained / np.maximum(quantum, 1e-12), 0))
    made = quantum * gflash.spot_energies(rng, number)
    if gflash.medium.active.all():
        made *= ((visible * contained).sum(1) / np.maximum(made.sum(1), 1e-12))[:, None]
    return np.asarray(made)


def _slope(gflash: GFlash, n: int) -> Floats:
    """Cosine of the angle to the layers' normal."""
    one = beam(gflash.geometry, gflash.position, {"energy": np.ones(1)}, 0, 0)[1]
    return np.full(n, one[0, 2])


def statistics(layers: Floats, gflash: GFlash) -> Floats:
    """Ln T and ln α of each shower from the moments of its layer energies (N, n_layers): shape (N, 2), NaN if none."""
    depth = np.array([gflash.depth(layer) for layer in range(len(gflash.geometry.layers))])
    weight = layers / gflash.published
    total = weight.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = weight @ depth / total
        variance = weight @ depth**2 / total - mean**2
        alpha = np.maximum(mean**2 / variance, 1.02)
        found = np.stack([np.log(mean * (alpha - 1) / alpha), np.log(alpha)], axis=1)
    found[~np.isfinite(found).all(1)] = np.nan
    return np.asarray(found)


def _lines(values: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Straight lines (2, k) of the columns of values (N, k) against x, and what is left (N, k), NaN where undefined."""
    good = np.isfinite(values).all(1)
    design = np.stack([np.ones(len(x)), x], axis=1)
    line = np.zeros((2, values.shape[1]))
    columns = 2 if np.ptp(x) > 1e-6 else 1
    line[:columns] = np.linalg.lstsq(design[good, :columns], values[good], rcond=None)[0]
    return line, np.asarray(values - design @ line)


def _width(rest: Floats) -> Floats:
    """Standard deviation of the columns, without what is more than five of them away."""
    rest = rest[np.isfinite(rest).all(1)]
    for _ in range(2):
        rest = rest[(np.abs(rest - rest.mean(0)) <= 5 * rest.std(0) + 1e-12).all(1)]
    return np.asarray(np.maximum(rest.std(0), 1e-4))


def _skewness(rest: Floats) -> float:
    """Third standardised moment of the first column, without what is more than five deviations away."""
    rest = rest[np.isfinite(rest).all(1), 0] / _width(rest)[0]
    return float((rest[np.abs(rest) < 5] ** 3).mean())


def _adjusted(gflash: GFlash, energy: Floats, data: Floats, contained: Floats, seed: int, profile: bool) -> GFlash:
    """One step of the coefficients towards the data: of the mean `profile`, or else of what each layer sees of it."""
    energies = np.tile(energy, OFTEN)
    made = thrown(gflash, energies, np.tile(contained, (OFTEN, 1)), seed)
    data = np.tile(data, (OFTEN, 1))
    x, halves, c = np.log(energies / PIVOT), _halves(energies), gflash.coefficients
    (line, rest), (line_, rest_) = (_lines(statistics(each, gflash), x) for each in (data, made))
    shift = 0.7 * (line - line_) * profile
    grow = [np.log(_width(rest[half]) / _width(rest_[half])) for half in halves]
    sigma, sigma_slope = _two_points(0.6 * np.clip(np.stack(grow), -0.5, 0.5), x, halves)
    rho, rho_ = (float(np.asarray(np.corrcoef(each[np.isfinite(each).all(1)].T))[0, 1]) for each in (rest, rest_))
    bins = _bins(energies)
    ratio = np.array([data[each].sum(0) / np.maximum(made[each].sum(0), 1e-12) for each in bins])
    ratio = np.log(np.clip(np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0), 0.3, 3.0))
    visible, power = _line(0.8 * ratio, x, bins)
    if profile:
        visible, power = np.full(data.shape[1], np.log(data.sum() / made.sum())), np.zeros(data.shape[1])
    skew, skew_ = (_skewness(each) for each in (rest, rest_))
    totals = [_lines(np.log(np.maximum(each.sum(1), 1e-9) / energies)[:, None], x) for each in (data, made)]
    widths = np.array([[_width(each[1][half])[0] for half in halves] for each in totals])
    coefficients = replace(
        c,
        t_max=(float(c.t_max[0] + shift[0, 0]), float(c.t_max[1] + shift[1, 0])),
        alpha=(float(c.alpha[0] + shift[0, 1]), float(c.alpha[1] + shift[1, 1])),
        t_sigma=(float(c.t_sigma[0] + sigma[0]), float(c.t_sigma[1] + sigma_slope[0])),
        alpha_sigma=(float(c.alpha_sigma[0] + sigma[1]), float(c.alpha_sigma[1] + sigma_slope[1])),
        correlation=float(np.clip(c.correlation + 0.5 * (rho - rho_), -1.5, 0.5)),
        skew=float(np.clip(c.skew + 0.3 * (skew - skew_), -0.4, 0.4)),
        visible=tuple((np.asarray(c.visible) * np.exp(visible)).tolist()),
        visible_power=tuple((np.asarray(c.visible_power) + power).tolist()),
        spot_shape=float(np.clip(c.spot_shape / np.clip(widths[0, 0] / widths[1, 0], 0.5, 2.0) ** 1.5, 0.02, 20.0)),
        constant=float(np.sqrt(max(c.constant**2 + 0.7 * (widths[0, -1] ** 2 - widths[1, -1] ** 2), 0.0))),
    )
    return gflash.changed(coefficients)


def _bins(energy: Floats) -> list[NDArray[np.bool_]]:
    """Showers in bins of energy, finer at the low end, where the response changes fast; all, if of one energy."""
    edges = np.unique(np.quantile(energy, QUANTILES))
    place = np.searchsorted(edges, energy, side="right")
    return [place == b for b in np.unique(place)] if np.ptp(energy) > 0 else [np.ones(len(energy), np.bool_)]


def _line(values: Floats, x: Floats, bins: list[NDArray[np.bool_]]) -> tuple[Floats, Floats]:
    """Value at x = 0 and slope, each (k,), of the line through the values (bins, k) at the mean x of the bins."""
    if len(bins) == 1:
        return values[0], np.zeros_like(values[0])
    slope, start = np.polyfit([x[each].mean() for each in bins], values, 1, w=[np.sqrt(each.sum()) for each in bins])
    return start, slope


def _two_points(values: Floats, x: Floats, halves: list[NDArray[np.bool_]]) -> tuple[Floats, Floats]:
    """Value at x = 0 and slope, each (k,), of the line through the values (1 or 2, k) at the mean x of the halves."""
    if len(halves) == 1:
        return values[0], np.zeros_like(values[0])
    low, high = (float(x[half].mean()) for half in halves)
    slope = (values[1] - values[0]) / (high - low)
    return np.asarray(values[0] - slope * low), np.asarray(slope)


def _grainy(gflash: GFlash, showers: Showers, halves: list[NDArray[np.bool_]], seed: int) -> GFlash:
    """GFlash with so many spots that as many cells are hit as in the training set."""
    x = np.log(showers.incident / 1e3)
    for _ in range(GRAINS):
        change = []
        for half in halves:
            rows = np.flatnonzero(half)[:SAMPLE]
            made = gflash.sample({"energy": showers.incident[rows]}, seed)
            both = showers.energies[rows], made.energies
            hits, hits_ = (np.count_nonzero(each > 0, axis=1).mean() for each in both)
            change.append([np.clip(1.5 * np.log(hits / max(hits_, 1e-3)), -1.0, 1.0)])
        shift, slope = _two_points(np.array(change), x, halves)
        c = gflash.coefficients
        spots = float(np.clip(c.spots * np.exp(shift[0]), 1.0, 1e5))
        gflash = gflash.changed(replace(c, spots=spots, spots_power=float(np.clip(c.spots_power + slope[0], 0.3, 1.3))))
    return gflash


def _own(gflash: GFlash, showers: Showers, seed: int) -> GFlash:
    """GFlash whose radial profile follows a shower's own maximum so far that the response is as wide as in the data."""
    rows = np.argsort(showers.incident)[len(showers) // 2 :][:SAMPLE_OWN]
    energy = showers.incident[rows]
    x = np.log(energy / PIVOT)

    def width(energies: Any) -> float:
        response = energies.sum(1, dtype=np.float64) / energy
        return float(_width(_lines(np.log(response)[:, None], x)[1])[0])

    wanted = width(showers.energies[rows])
    candidates = [gflash.changed(replace(gflash.coefficients, own=own)) for own in OWN]
    off = [abs(np.log(width(each.sample({"energy": energy}, seed).energies) / wanted)) for each in candidates]
    best = OWN[int(np.argmin(off))]
    return gflash.changed(replace(gflash.coefficients, own=(gflash.coefficients.own + best) / 2))
