r"""The MIP peak: where the spectrum of single cells has its maximum.

A minimum-ionising particle that crosses 0.5 mm of silicon leaves 0.15 to 0.2 MeV, so cells crossed by one particle
pile up there: Getting High (Buhmann et al., arXiv 2005.05334) judges generators by this peak. Cells are counted in
logarithmic bins from 0.01 MeV on and divided by the width of the bin, as only the number of cells *per MeV* has its
maximum at the MIP; per bin, it lies where several particles share a cell. The position is the vertex of the parabola
through the logarithms of these densities around the highest bin between 0.1 and 0.5 MeV, each weighted by its count;
it is undefined where the spectrum has no maximum inside this range. Seven bins reach 40 % to either side: fewer would
follow the rounding of compact files.

The spectrum is that of the showers as they are compared: below a threshold there is nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import BLOCKS, WHOLE, Sample, blocks_of
from caloforge.units import MeV

LOWEST, DECADES, PER_DECADE = 0.01 * MeV, 4, 20
EDGES = LOWEST * 10 ** np.linspace(0, DECADES, DECADES * PER_DECADE + 1)
RANGE = 0.1 * MeV, 0.5 * MeV
REACH = 3  # bins at either side of the highest that the parabola is fitted to
FEWEST = 100  # cells in the highest bin
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MIPPeak(Metric):
    """Relative difference of the positions of the MIP peaks."""

    windows = False

    @property
    def name(self) -> str:
        return "mip_peak"

    @property
    def definition(self) -> str:
        return (
            f"|x′/x − 1| with x the energy at which the number of cells per MeV has its maximum, between "
            f"{RANGE[0]:g} and {RANGE[1]:g} MeV: vertex of a parabola through {2 * REACH + 1} of {PER_DECADE} "
            f"logarithmic bins a decade, over at most {WHOLE} showers a side (Getting High, arXiv 2005.05334); error: "
            f"jackknife over {BLOCKS} blocks of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Relative difference; NaN if a side has no peak."""
        sizes = [len(each.showers) for each in (reference, sample)]
        ours, theirs = (block_spectra(each.showers.energies) for each in (reference, sample))

        def shift(without: int | None = None) -> float:
            keep = np.arange(BLOCKS) != without
            return peak(theirs[keep].sum(axis=0)) / peak(ours[keep].sum(axis=0)) - 1

        replicas = [shift(block) for block in range(BLOCKS)] if min(sizes) > BLOCKS else [np.nan]
        return Estimate(abs(shift()), float(np.sqrt((BLOCKS - 1) * np.var(replicas))), *sizes)


def block_spectra(energies: NDArray[np.float32]) -> Floats:
    """Cells in each bin of `EDGES` of each block of showers, shape (BLOCKS, bins)."""
    block = blocks_of(len(energies))
    each = [energies[block == number] for number in range(BLOCKS)]
    return np.stack([np.histogram(cells[cells >= LOWEST], EDGES)[0] for cells in each]).astype(np.float64)


def peak(counts: Floats) -> float:
    """Position in MeV of the maximum of the cells per MeV, given those per bin (bins,); NaN if there is none."""
    center = np.sqrt(EDGES[1:] * EDGES[:-1])
    density = counts / np.diff(EDGES)
    inside = np.flatnonzero((center > RANGE[0]) & (center < RANGE[1]))
    highest = int(inside[np.argmax(density[inside])])
    if highest in (inside[0], inside[-1]) or counts[highest] < FEWEST:
        return float("nan")
    near = np.arange(highest - REACH, highest + REACH + 1)
    if not (counts[near] > 0).all():
        return float("nan")
    x = np.log(center[near] / center[highest])
    curvature, slope, _ = np.polyfit(x, np.log(density[near]), 2, w=np.sqrt(counts[near]))
    vertex = -slope / (2 * curvature) if curvature < 0 else np.nan
    found = float(center[highest] * np.exp(vertex))
    return found if RANGE[0] < found < RANGE[1] else float("nan")
