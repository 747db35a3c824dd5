r"""Mean squared error of the correlation matrix of the cells (Klein 2017), and what independent cells would get.

.. math:: \mathrm{MSE} = \frac{1}{n (n-1)} \sum_{i \ne j} (r_{ij} - r'_{ij})^2

with Pearson's r between the energies of cells i and j over the showers of each sample. Cells that are constant in both
samples are left out; a cell constant in one of them has r = 0 there. A bare number says little: its scale is set by
what cells would get that know the incident energy but not each other, so the ratio to that is given as well.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import BLOCKS, Sample, products

NEIGHBOURS = 50
ROUNDING = 1e-12
Floats = NDArray[np.float64]
_PEARSON = (
    "mean squared difference of Pearson coefficients of cell energies over pairs of different cells (Klein 2017"
    "; above 2 048 cells: 1 024 evenly numbered ones); cells constant in both samples are left out, constant in "
    "one count r = 0; error: jackknife over 10 blocks of showers"
)


@dataclass(frozen=True, eq=False)
class Correlated:
    """What the Pearson coefficients of m columns are made of.

    Parameters
    ----------
    sums : per block of showers, see `caloforge.metrics.sample.products`.
    constant : which columns never vary, shape (m,).
    n : number of showers.
    """

    sums: tuple[Floats, Floats, Floats]
    constant: NDArray[np.bool_]
    n: int

    def matrix(self, without: int | None = None) -> Floats:
        """Pearson coefficients (m, m), leaving out one block if asked."""
        return correlation_matrix(self.sums, self.constant, without)


@dataclass(frozen=True)
class CorrelationMSE(Metric):
    """Mean squared error of the cells' correlation matrix."""

    @property
    def name(self) -> str:
        return "correlation_mse"

    @property
    def definition(self) -> str:
        return f"M{_PEARSON[1:]}."

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean squared difference; 0 for equal matrices."""
        return difference(of_cells(reference), of_cells(sample))


@dataclass(frozen=True)
class IndependentCells(Metric):
    """The correlation error of independent cells at equal energy: a scale, made from the reference alone."""

    floor = "none"

    @property
    def name(self) -> str:
        return "correlation_mse/independent"

    @property
    def definition(self) -> str:
        return (
            f"correlation_mse of the reference whose cells were made independent: showers sorted by incident "
            f"energy, each cell's values permuted among every {NEIGHBOURS} consecutive showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean squared difference between the reference and its independent cells."""
        cells = independent_cells(reference.cells, reference.cells_energy, rng)
        return difference(of_cells(reference), of_columns(cells))


@dataclass(frozen=True)
class CorrelationRatio(Metric):
    """Correlation error over that of independent cells: 0 is perfect, 1 means that nothing was learnt."""

    @property
    def name(self) -> str:
        return "correlation_mse/ratio"

    @property
    def definition(self) -> str:
        return f"correlation_mse over correlation_mse/independent; 1: no correlation learnt beyond energy ({_PEARSON})."

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Ratio with the errors of both added in quadrature; NaN where independent cells have no error."""
        error = CorrelationMSE().compare(reference, sample, rng)
        scale = IndependentCells().compare(reference, sample, rng)
        if not scale.value > 0:
            return Estimate(np.nan, np.nan, error.n_reference, error.n_sample)
        ratio = error.value / scale.value
        return Estimate(
            ratio, float(np.hypot(error.error, ratio * scale.error)) / scale.value, error.n_reference, error.n_sample
        )


def independent_cells(cells: NDArray[np.float32], energy: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Cells (k, m) with each column permuted among every 50 showers that are consecutive in incident energy (k,)."""
    order = np.argsort(energy, kind="stable")
    shuffled = np.empty_like(cells)
    for start in range(0, len(order), NEIGHBOURS):
        group = order[start : start + NEIGHBOURS]
        shuffled[group] = rng.permuted(cells[group], axis=0)
    return shuffled


def correlation_matrix(
    products_: tuple[Floats, Floats, Floats], constant: NDArray[np.bool_], without: int | None = None
) -> Floats:
    """Pearson coefficients (m, m) from sums per block, zero for constant cells, leaving out one block if asked."""
    keep = np.arange(BLOCKS) != without
    count, total, product = (each[keep].sum(axis=0) for each in products_)
    covariance = product / count - np.outer(total / count, total / count)
    variance = np.diag(covariance)
    rounding = ROUNDING * np.diag(product) / count  # a cell that is constant once a block is left out
    deviation = np.sqrt(np.where(constant | (variance <= rounding), 0.0, variance))
    scale = np.outer(deviation, deviation)
    return np.asarray(np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0))


def matrix_of(sample: Sample) -> Floats:
    """Pearson coefficients of the sample's correlated cells, shape (m, m)."""
    return of_cells(sample).matrix()


def of_cells(sample: Sample) -> Correlated:
    """The sample's correlated cells; their sums are kept with the sample."""
    return Correlated(sample.cell_products, _constant(sample.cells), len(sample.cells))


def of_columns(columns: NDArray[np.float32] | Floats) -> Correlated:
    """Any columns (n, m), one row for each shower."""
    return Correlated(products(columns), _constant(columns), len(columns))


def _constant(columns: NDArray[np.float32] | Floats) -> NDArray[np.bool_]:
    return np.asarray(columns.min(axis=0) == columns.max(axis=0))


def difference(ours: Correlated, theirs: Correlated) -> Estimate:
    """Mean squared difference of two matrices over pairs, with its jackknife error."""
    used = ~(ours.constant & theirs.constant)
    if used.sum() < 2:
        return Estimate(np.nan, np.nan, ours.n, theirs.n)

    def error(without: int | None = None) -> float:
        squared = (ours.matrix(without) - theirs.matrix(without))[np.ix_(used, used)] ** 2
        np.fill_diagonal(squared, 0.0)
        return float(squared.sum() / (used.sum() * (used.sum() - 1)))

    blocks = min(BLOCKS, ours.n - 1, theirs.n - 1)
    replicas = [error(block) for block in range(blocks)] if blocks == BLOCKS else [np.nan]
    spread = np.sqrt((BLOCKS - 1) * np.var(replicas))
    return Estimate(error(), float(spread), ours.n, theirs.n)
