r"""The weights of training showers for the next component of an ensemble (Tolstikhin et al., arXiv 1701.02386).

A mixture :math:`P_g` approximates the training data :math:`P_d`. The next component Q joins it with weight β, so that
the mixture becomes :math:`(1-\beta) P_g + \beta Q`. The paper says which Q is best, as weights of the training points
(:math:`p_i = 1/N`), in terms of the density ratio :math:`r = dP_g/dP_d`; a discriminator D between data (1) and mixture
(0), shown as many of each, gives :math:`r = (1 - D)/D`.

==========  ==========================================================================================================
``star``    :math:`w_i = \frac{p_i}{\beta}(\lambda^* - (1-\beta)\,r_i)_+` (theorem 1), the best Q
``dagger``  :math:`w_i = \frac{p_i}{\beta}(1 - \lambda^\dagger (1-\beta)\,r_i)_+` (theorem 2), which leaves the mixture
            as it is where it is too dense already. There is no solution if the mixture is absent (r = 0) from a share
            of β or more of the data.
``top_k``   equal weights for the share k of the points with the smallest r, zero for the rest
==========  ==========================================================================================================

λ makes the weights sum to one. Here that holds within every bin of incident energy, whose weights sum to its share of
the data: each rule is applied to the showers of one bin alone, so that no component has a spectrum of its own.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError

__all__ = ["Rule", "boosted_weights", "dagger", "effective_sample_size", "energy_bins", "star", "top_k"]

Rule = Literal["star", "dagger", "top_k"]
Floats = NDArray[np.float64]


def boosted_weights(
    ratio: Floats, beta: float, bins: NDArray[np.int64], rule: Rule = "star", top: float = 0.5
) -> Floats:
    """Weights (N,) of the training showers, of sum 1, and in every energy bin of that bin's share of the showers.

    Parameters
    ----------
    ratio : density of the mixture over that of the data at each shower, shape (N,).
    beta : weight of the next component, 0 < β ≤ 1.
    bins : the energy bin of each shower, shape (N,).
    rule, top : how weights come from ratios; `top` is the share k of ``top_k``.
    """
    rules: dict[Rule, Callable[[Floats], Floats]] = {
        "star": lambda r: star(r, beta)[0],
        "dagger": lambda r: dagger(r, beta)[0],
        "top_k": lambda r: top_k(r, top),
    }
    weights = np.empty(len(ratio))
    for number in np.unique(bins):
        inside = bins == number
        weights[inside] = rules[rule](ratio[inside]) * inside.mean()
    return weights


def star(ratio: Floats, beta: float) -> tuple[Floats, float]:
    r"""Weights of sum 1 and :math:`\lambda^*`, exactly.

    With the m smallest ratios above zero weight, :math:`\lambda = (\beta N + (1-\beta) \sum_{i \le m} r_i) / m`; m is
    the largest number for which the m-th weight is not negative.
    """
    _check(ratio, beta)
    ordered = np.sort(ratio)
    m = np.arange(1, len(ordered) + 1)
    candidates = (beta * len(ordered) + (1 - beta) * np.cumsum(ordered)) / m
    lam = candidates[np.flatnonzero(candidates >= (1 - beta) * ordered)[-1]]
    return np.maximum(lam - (1 - beta) * ratio, 0) / (beta * len(ratio)), float(lam)


def dagger(ratio: Floats, beta: float) -> tuple[Floats, float]:
    r"""Weights of sum 1 and :math:`\lambda^\dagger`; `InputError` if there is none.

    With the m smallest ratios above zero weight, :math:`\lambda = (m - \beta N) / ((1-\beta) \sum_{i \le m} r_i)`.
    """
    _check(ratio, beta)
    if beta == 1:
        return np.full(len(ratio), 1 / len(ratio)), 0.0
    ordered = np.sort(ratio)
    if (ordered == 0).mean() >= beta:
        raise InputError(
            f"the dagger rule has no solution: the mixture is absent from {(ordered == 0).mean():.1%} of the showers, "
            f"and the next component has the weight {beta:.1%}: use the star rule, or fewer components."
        )
    m, total = np.arange(1, len(ordered) + 1), np.cumsum(ordered)
    with np.errstate(divide="ignore", invalid="ignore"):
        candidates = (m - beta * len(ordered)) / ((1 - beta) * total)
        valid = (candidates > 0) & (candidates * (1 - beta) * ordered <= 1)
    lam = candidates[np.flatnonzero(valid)[-1]]
    return np.maximum(1 - lam * (1 - beta) * ratio, 0) / (beta * len(ratio)), float(lam)


def top_k(ratio: Floats, share: float) -> Floats:
    """Equal weights of sum 1 for the `share` of the points with the smallest ratio (at least one point)."""
    if not 0 < share <= 1:
        raise InputError(f"top is {share}; expected a share of the showers above 0 and at most 1.")
    chosen = np.argsort(ratio, kind="stable")[: max(1, round(share * len(ratio)))]
    weights = np.zeros(len(ratio))
    weights[chosen] = 1 / len(chosen)
    return weights


def energy_bins(energy: Floats, n: int) -> NDArray[np.int64]:
    """The bin of each of N energies, of n bins of equal population; equal energies are in one bin."""
    edges = np.quantile(energy, np.linspace(0, 1, n + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, energy, side="right"), dtype=np.int64)


def effective_sample_size(weights: Floats) -> float:
    r""":math:`(\sum w)^2 / \sum w^2`: as many equal weights would give means of this precision (Kish 1965)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def _check(ratio: Floats, beta: float) -> None:
    if not 0 < beta <= 1:
        raise InputError(f"the next component's weight is {beta}; expected a number above 0 and at most 1.")
    if not len(ratio) or not np.isfinite(ratio).all() or ratio.min() < 0:
        raise InputError("density ratios must be finite and not negative, for one shower at least.")
