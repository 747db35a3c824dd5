r"""MIXDISC: how dense a mixture is at each training shower, compared with the data.

A discriminator D(x, c), which sees the conditions too, tells training showers (1) from as many showers that the mixture
made at the same conditions (0). Its probability gives the ratio of the densities,

.. math::  \frac{dP_g}{dP_d}(x \mid c) = \frac{1 - D(x, c)}{D(x, c)}.

On the showers that it was trained on, a discriminator is surer than it should be: D comes close to 1 for all of them,
and all weights become equal. So it is **cross-fitted**: the showers are divided into parts, and each part is judged by
a discriminator that was trained on the others. And it is **calibrated**: a logistic function of its log-odds, fitted to
those judgements (Platt 1999), makes its probabilities true ones.

The discriminator is scikit-learn's histogram gradient boosting, with smaller trees and smaller steps than usual, which
make smoother ratios, on the observables of the showers, and on the cells
over the incident energy where there are not too many.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from caloforge.errors import InputError
from caloforge.observables import evaluate, table
from caloforge.showers import Showers

__all__ = ["Judgement", "calibrated", "density_ratio", "inputs"]

MOST_CELLS = 512  # with more, the observables alone are shown
SLICE = 2**22  # cells looked at at a time: 16 MB
SMOOTH: dict[str, Any] = {"learning_rate": 0.07, "max_iter": 300, "max_leaf_nodes": 8, "min_samples_leaf": 50}
LARGEST = 20.0  # log-odds are kept within ± this

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """What a discriminator says of N training showers.

    Parameters
    ----------
    ratio : density of the mixture over that of the data, shape (N,).
    auc : area under the ROC curve, on showers that the discriminator was not trained on; ½ if it sees no difference.
    """

    ratio: Floats
    auc: float


def density_ratio(data: Showers, generated: Showers, folds: int = 4, seed: int = 1) -> Judgement:
    """Judge training showers by a cross-fitted, calibrated discriminator between them and generated ones.

    Parameters
    ----------
    data, generated : N showers each, shower i of both at the same conditions.
    folds : parts that the showers are divided into.
    seed : of the division and the training.
    """
    if len(data) != len(generated) or not 2 <= folds <= len(data):
        raise InputError(
            f"{len(data)} training showers, {len(generated)} generated ones, {folds} folds: expected as many of each, "
            "and two folds or more."
        )
    x = np.concatenate([inputs(data), inputs(generated)])
    label = np.repeat([1, 0], len(data))
    part = np.tile(np.random.default_rng(seed).permutation(len(data)) % folds, 2)  # pairs of equal conditions stay so
    odds = np.empty(len(x))
    for fold in range(folds):
        network = HistGradientBoostingClassifier(**SMOOTH, early_stopping=True, random_state=seed)
        network.fit(x[part != fold], label[part != fold])
        odds[part == fold] = network.decision_function(x[part == fold])
    return calibrated(odds[: len(data)], odds[len(data) :])


def calibrated(of_data: Floats, of_generated: Floats) -> Judgement:
    """The judgement that log-odds of data (N,) and of generated showers (M,) amount to, once they are calibrated."""
    odds = np.concatenate([of_data, of_generated])[:, None]
    label = np.repeat([1, 0], [len(of_data), len(of_generated)])
    balance = {1: 0.5 / len(of_data), 0: 0.5 / len(of_generated)}
    scale = LogisticRegression(C=np.inf, class_weight=balance).fit(odds, label)
    log_ratio = -np.clip(scale.decision_function(of_data[:, None]), -LARGEST, LARGEST)
    return Judgement(np.exp(log_ratio), float(roc_auc_score(label, odds[:, 0])))


def inputs(showers: Showers) -> NDArray[np.float32]:
    """What the discriminator sees of N showers, above the thresholds, shape (N, k); undefined observables are NaN."""
    step = max(1, SLICE // showers.geometry.n_cells)
    return np.concatenate([_inputs(showers[start : start + step]) for start in range(0, len(showers), step)])


def _inputs(showers: Showers) -> NDArray[np.float32]:
    showers = showers.above_threshold()
    columns = [showers.conditions[name] for name in sorted(showers.conditions)]
    columns += list(evaluate(showers, list(table(showers.geometry))).values())
    if showers.geometry.n_cells <= MOST_CELLS:
        columns += list((showers.energies / showers.incident[:, None]).T)
    return np.stack(columns, axis=1).astype(np.float32)
