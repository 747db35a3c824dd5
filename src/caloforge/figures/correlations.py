"""Correlation matrices of cells and of observables."""

from typing import Any

import numpy as np

from caloforge.figures.samples import REFERENCE, Floats, Samples
from caloforge.metrics.correlation import matrix_of
from caloforge.metrics.sample import correlated_cells, even_rows, random_rows
from caloforge.observables import table

SHOWN = 128  # cells, at most, in a picture of the correlation matrix
CORRELATED = 50_000  # showers, at most, that correlations of observables are made of


def cell_correlations(samples: Samples) -> dict[str, Any]:
    """Pearson coefficients of at most 128 cells, and which cells they are."""
    cells = correlated_cells(samples[REFERENCE].geometry)
    shown = even_rows(len(cells), SHOWN)
    matrices = {name: matrix_of(sample)[np.ix_(shown, shown)] for name, sample in samples.items()}
    return {"cells": cells[shown], "matrices": matrices}


def observable_correlations(samples: Samples) -> dict[str, Any]:
    """Pearson coefficients of the observables over the showers in which both are defined."""
    names = list(table(samples[REFERENCE].geometry))
    if len(names) > SHOWN // 2:
        names = [name for name in names if "/" not in name or name.startswith("fraction/")]
    rows = {name: random_rows(len(sample), CORRELATED) for name, sample in samples.items()}
    values = {name: np.stack([sample.values(each)[rows[name]] for each in names]) for name, sample in samples.items()}
    return {"observables": names, "matrices": {name: _pearson(each) for name, each in values.items()}}


def _pearson(values: Floats) -> Floats:
    """Coefficients (k, k) of the rows of values (k, N), over the columns where both are defined; 0 for constants."""
    defined = np.isfinite(values)
    count = np.maximum(defined.astype(float) @ defined.T, 1.0)
    scale = np.nanstd(np.where(defined.any(axis=1, keepdims=True), values, 0.0), axis=1, keepdims=True)
    mean = np.nanmean(np.where(defined.any(axis=1, keepdims=True), values, 0.0), axis=1, keepdims=True)
    z = np.where(defined & (scale > 0), (values - mean) / np.where(scale > 0, scale, 1.0), 0.0)
    first, second = z @ defined.T / count, (z**2) @ defined.T / count
    covariance, variance = z @ z.T / count - first * first.T, second - first**2
    norm = np.sqrt(np.maximum(variance * variance.T, 0.0))
    return np.asarray(np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 1e-12))
