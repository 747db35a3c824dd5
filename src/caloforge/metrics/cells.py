r"""Mean and variance of every cell, as relative errors.

.. math:: \frac{\lVert m' - m \rVert_2}{\lVert m \rVert_2}

with m (reference) and m′ (sample) the vector of mean cell energies, or of their variances, over all cells or over those
of one layer. The norm is dominated by the cells that hold most of the energy, as an average image is.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import BLOCKS, Sample


@dataclass(frozen=True)
class CellMoment(Metric):
    """Relative error of the cells' means or variances, over all cells or one layer."""

    moment: Literal["mean", "variance"]
    layer: str | None = None

    @property
    def name(self) -> str:
        return f"cell_{self.moment}" + (f"/{self.layer}" if self.layer else "")

    @property
    def definition(self) -> str:
        where = f"the cells of layer {self.layer}" if self.layer else "all cells"
        return (
            f"‖m′ − m‖₂ / ‖m‖₂ with m the {self.moment} of each cell's energy, over {where}; error: jackknife over "
            f"{BLOCKS} blocks of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Relative norm of the difference; NaN if the reference's is zero."""
        cells = reference.geometry.cells(self.layer) if self.layer else slice(None)

        def error(without: int | None = None) -> float:
            ours, theirs = (getattr(each.sums, self.moment)(without)[cells] for each in (reference, sample))
            norm = np.linalg.norm(ours)
            return float(np.linalg.norm(theirs - ours) / norm) if norm > 0 else np.nan

        enough = min(len(reference), len(sample)) > BLOCKS
        replicas = [error(block) for block in range(BLOCKS)] if enough else [np.nan]
        return Estimate(error(), float(np.sqrt((BLOCKS - 1) * np.var(replicas))), len(reference), len(sample))
