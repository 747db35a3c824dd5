"""How well the parts of a set can be told apart: real and generated showers, or the components of an ensemble.

A picture such as a t-SNE may show islands, or seem to. Two numbers say how much there is to it:

*Neighbourhood purity*: the share of a shower's k nearest neighbours (Euclidean) that carry its own label, averaged
over all showers. For m labels of equal size that are drawn from one distribution it is 1/m; 1 means islands.

*Component AUC*: the area under the ROC curve of a random forest, on the parts of a five-fold cross-validation that it
did not learn from, averaged over all pairs of labels (Hand & Till, Mach. Learn. 45 (2001) 171); ½ means that they
cannot be told apart.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEAREST = 5
FOLDS, TREES = 5, 100
Array = NDArray[np.float32]


def distances(features: Array) -> Array:
    """Euclidean distance of each pair of rows (n, k), with zeros in the diagonal, shape (n, n)."""
    centered = features - features.mean(axis=0)
    squares = np.einsum("ni,ni->n", centered, centered)
    found = centered @ centered.T
    found *= -2
    found += squares
    found += squares[:, None]
    np.fill_diagonal(found, 0.0)
    return np.asarray(np.sqrt(np.maximum(found, 0.0, out=found), out=found))


def neighbourhood_purity(features: ArrayLike, labels: ArrayLike, k: int = NEAREST) -> float:
    """Share of the k nearest neighbours, itself left out, that have the label (n,) of a row of features (n, m)."""
    return float(purities(distances(np.asarray(features, np.float32)), np.asarray(labels), k).mean())


def purities(distance: Array, labels: NDArray[np.generic], k: int) -> NDArray[np.float64]:
    """Share of the k nearest neighbours of each row of distances (n, n) that have its label, shape (n,)."""
    apart = distance.copy()
    np.fill_diagonal(apart, np.inf)
    nearest = np.argpartition(apart, k - 1, axis=1)[:, :k]
    return np.asarray((labels[nearest] == labels[:, None]).mean(axis=1))


def component_auc(features: ArrayLike, labels: ArrayLike, seed: int = 0) -> float:
    """AUC between labels (n,) from features (n, m), averaged over the pairs; NaN if a label has fewer than 5 rows."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    y = np.unique(np.asarray(labels), return_inverse=True)[1]
    if np.bincount(y).min() < FOLDS:
        return float("nan")
    forest = RandomForestClassifier(TREES, min_samples_leaf=FOLDS, random_state=seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    shares = cross_val_predict(forest, np.asarray(features), y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, shares if shares.shape[1] > 2 else shares[:, 1], multi_class="ovo"))
