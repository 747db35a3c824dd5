r"""Precision, recall, density, coverage: are generated showers like Geant4's, and are all kinds of Geant4's made?

Around each shower x of a set stands a ball :math:`B_k(x)` that reaches to its k-th nearest neighbour in the same set.
With real showers :math:`x_i` (i ≤ N) and generated ones :math:`y_j` (j ≤ M),

==========  ============================================================================================
precision   share of the generated showers that lie in the ball of any real one
recall      share of the real showers that lie in the ball of any generated one
density     :math:`\frac{1}{kM} \sum_j \sum_i 1[y_j \in B_k(x_i)]`; 1 for equal distributions, may exceed it
coverage    share of the real balls that hold any generated shower
==========  ============================================================================================

Precision and recall are those of Kynkäänniemi et al. (arXiv 1904.06991); density and coverage, which an outlier with a
large ball does not spoil, of Naeem et al. (arXiv 2002.09797). Recall and coverage say how much of Geant4's variety is
there: a dropped mode lowers them. As in the CaloChallenge (arXiv 2410.21611), k = 5 and a shower is the vector of
log₁₀ of its cell energies in MeV, zeros being replaced by 0.1 MeV; here weaker cells are, too, or an empty cell
would count as one that holds more. All four depend on the number of showers and of cells: compare values, and floors,
of equal sizes only. For equal distributions, coverage is about :math:`1 - 2^{-k}`, 0.97.

Beside them stands the neighbourhood purity (`caloforge.metrics.components`) of real and generated showers: ½ for equal
distributions, 1 if every shower's neighbours are of its own kind.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.components import Array, distances, purities
from caloforge.metrics.sample import Sample, random_rows
from caloforge.showers import Showers

WEAKEST = 0.1  # MeV
KINDS: tuple[Literal["precision", "recall", "density", "coverage", "purity"], ...] = (
    "precision",
    "recall",
    "density",
    "coverage",
    "purity",
)
_MEANING = {
    "precision": "Share of the sample's showers in the k-nearest-neighbour ball of any of Geant4 (arXiv 1904.06991)",
    "recall": "Share of Geant4's showers in the k-nearest-neighbour ball of any of the sample (arXiv 1904.06991)",
    "density": "Number of Geant4 balls around a shower of the sample over k, averaged (arXiv 2002.09797)",
    "coverage": "Share of Geant4's k-nearest-neighbour balls that hold a shower of the sample (arXiv 2002.09797)",
    "purity": "Share of the k nearest neighbours, among both samples, that are of a shower's own sample; ½ if equal",
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbourhoods:
    """The k nearest neighbours of showers of two samples; keeps what it has found.

    Parameters
    ----------
    k : neighbours.
    max_events : showers of each side.
    """

    k: int = 5
    max_events: int = 2000
    _found: dict[Any, tuple[dict[str, Floats], Sample, Sample]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def numbers(self, reference: Sample, sample: Sample) -> dict[str, Floats]:
        """What each shower adds to each of the `KINDS`; nothing for too few showers."""
        key = id(reference), id(sample)
        if key not in self._found:
            n = min(len(reference.showers), len(sample.showers), self.max_events)
            sides = [log_cells(each.showers[random_rows(len(each.showers), n)]) for each in (reference, sample)]
            found = neighbourhoods(sides[0], sides[1], self.k) if n > self.k else {}
            self._found[key] = found, reference, sample
        return self._found[key][0]


@dataclass(frozen=True)
class PRDC(Metric):
    """Precision, recall, density, coverage or neighbourhood purity of the logarithms of the cell energies."""

    kind: Literal["precision", "recall", "density", "coverage", "purity"]
    among: Neighbourhoods = field(default_factory=Neighbourhoods)
    windows = False

    @property
    def name(self) -> str:
        return self.kind

    @property
    def definition(self) -> str:
        return (
            f"{_MEANING[self.kind]}; k = {self.among.k}, log₁₀ of all cells (at least {WEAKEST:g} MeV, as in "
            f"CaloChallenge), equally many and at most {self.among.max_events} showers a side: compare at equal sizes "
            f"only; error: standard error over the showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """The mean over the showers; NaN for too few."""
        numbers = self.among.numbers(reference, sample)
        if not numbers:
            return Estimate(np.nan, np.nan, len(reference.showers), len(sample.showers))
        values, n = numbers[self.kind], len(numbers["recall"])
        return Estimate(float(values.mean()), float(values.std() / np.sqrt(len(values))), n, n)


def log_cells(showers: Showers) -> Array:
    """log₁₀ of cell energies in MeV, none below 0.1 MeV, shape (N, n_cells)."""
    return np.log10(np.maximum(showers.energies, np.float32(WEAKEST)))


def neighbourhoods(real: Array, generated: Array, k: int) -> dict[str, Floats]:
    """Of each of the `KINDS` its value for each shower, from features (N, m) of either side, more than k of them."""
    n = len(real)
    distance = distances(np.concatenate([real, generated]))
    across = distance[:n, n:]
    real_balls, generated_balls = (np.partition(each, k, axis=1)[:, k] for each in (distance[:n, :n], distance[n:, n:]))
    in_real = across <= real_balls[:, None]
    labels = np.arange(len(distance)) >= n
    found = {
        "precision": in_real.any(axis=0),
        "recall": (across <= generated_balls).any(axis=1),
        "density": in_real.sum(axis=0) / k,
        "coverage": in_real.any(axis=1),
        "purity": purities(distance, labels, k),
    }
    return {name: each.astype(np.float64) for name, each in found.items()}
