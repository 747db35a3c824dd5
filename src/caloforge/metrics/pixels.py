r"""Energies of single cells: the spectrum of all, and the central ones at 250 GeV.

*Spectrum* (Khattak et al., Rehm et al.): all cells above 10⁻⁶ GeV, the resolution that the 3DGAN line assumes, in
logarithmic bins.

*Pixels* (Rehm et al., arXiv 2103.13698 and its talk): the cells that hold most of a shower, at 250 ± 2 GeV, each
compared with itself. There are 343 of them, 7³; here those in the middle of a block of layers, 7 along each axis (rows
and columns 9 to 15 of 25, and layers 9 to 15). Of each, mean and standard deviation over the showers are divided by
Geant4's, and the ratios averaged over the cells. The published ratios, 1.00 and 0.90 for Conv2D, 0.93 and 0.86 for
Conv3D, came from 1 580 showers. A spectrum up to 500 GeV has too few showers there, so this needs a sample of its own.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import BLOCKS, WHOLE, Sample, blocks_of
from caloforge.metrics.separation import separation_power
from caloforge.units import GeV

LOWEST, DECADES, PER_DECADE = 1e-6 * GeV, 9, 10
EDGES = LOWEST * 10 ** np.linspace(0, DECADES, DECADES * PER_DECADE + 1)
ACROSS = 7  # central cells along each axis
ENERGY = 248 * GeV, 252 * GeV
WANTED = 1500  # showers


@dataclass(frozen=True)
class CellSpectrum(Metric):
    """Separation power between the spectra of the energies of all cells."""

    windows = False

    @property
    def name(self) -> str:
        return "cell_spectrum"

    @property
    def definition(self) -> str:
        return (
            f"Separation power of the energies of single cells above {LOWEST / GeV:g} GeV, in {PER_DECADE} logarithmic "
            f"bins a decade, over at most {WHOLE} showers a side (Khattak et al., Rehm et al.); error: jackknife over "
            f"{BLOCKS} blocks of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Separation power; NaN if a side has no cell above 10⁻⁶ GeV."""
        sizes = [len(each.showers) for each in (reference, sample)]
        ours, theirs = (spectra(each.showers.energies) for each in (reference, sample))
        if not (ours.any() and theirs.any()):
            return Estimate(np.nan, np.nan, *sizes)

        def power(without: int | None = None) -> float:
            keep = np.arange(BLOCKS) != without
            return float(separation_power(ours[keep].sum(axis=0), theirs[keep].sum(axis=0)))

        replicas = [power(block) for block in range(BLOCKS)] if min(sizes) > BLOCKS else [np.nan]
        return Estimate(power(), float(np.sqrt((BLOCKS - 1) * np.var(replicas))), *sizes)


@dataclass(frozen=True)
class Pixels(Metric):
    """Mean over the central cells of the sample's mean, or spread, of their energy over Geant4's."""

    moment: Literal["mean", "spread"]
    windows = False

    @property
    def name(self) -> str:
        return f"pixels/{self.moment}"

    @property
    def definition(self) -> str:
        what = "mean" if self.moment == "mean" else "standard deviation"
        return (
            f"{what.capitalize()} of the energy of each of the {ACROSS}³ central cells over Geant4's, averaged over "
            f"the cells (Rehm et al., arXiv 2103.13698): 1 is perfect. Only for samples of {ENERGY[0] / GeV:g} to "
            f"{ENERGY[1] / GeV:g} GeV, {WANTED} showers or more; error: jackknife over {BLOCKS} blocks of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean ratio; NaN unless all showers are of 248 to 252 GeV."""
        numbers = len(reference), len(sample)
        if not all(at_250_gev(each) for each in (reference, sample)):
            return Estimate(np.nan, np.nan, *numbers)
        cells = central_cells(reference.geometry)

        def ratio(without: int | None = None) -> float:
            ours, theirs = (self._moment(each, without)[cells] for each in (reference, sample))
            hit = ours > 0
            return float(np.mean(theirs[hit] / ours[hit])) if hit.any() else np.nan

        replicas = [ratio(block) for block in range(BLOCKS)] if min(numbers) > BLOCKS else [np.nan]
        return Estimate(ratio(), float(np.sqrt((BLOCKS - 1) * np.var(replicas))), *numbers)

    def _moment(self, sample: Sample, without: int | None) -> NDArray[np.float64]:
        mean = self.moment == "mean"
        return sample.sums.mean(without) if mean else np.sqrt(sample.sums.variance(without))


def spectrum(energies: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of energies in each bin of `EDGES`, all showers and cells together, shape (90,)."""
    return np.histogram(energies[energies > LOWEST], EDGES)[0]


def spectra(energies: NDArray[np.float32]) -> NDArray[np.int64]:
    """The spectrum of each block of showers, shape (BLOCKS, 90)."""
    block = blocks_of(len(energies))
    return np.stack([spectrum(energies[block == i]) for i in range(BLOCKS)])


def at_250_gev(sample: Sample) -> bool:
    """Whether all showers of a sample are of 248 to 252 GeV."""
    return bool(sample.energy.min() >= ENERGY[0] and sample.energy.max() <= ENERGY[1])


def central_cells(geometry: Geometry) -> NDArray[np.int64]:
    """Numbers of the 7³ central cells of a block of layers; none if it is no block, polar or smaller."""
    shape = (len(geometry.layers), *geometry.shapes[0])
    if not geometry.is_block or geometry.layers[0].axes == "r_alpha" or min(shape) < ACROSS:
        return np.empty(0, np.int64)
    layers, rows, columns = (np.arange(ACROSS) + (n - ACROSS) // 2 for n in shape)
    deep = np.asarray(geometry.by_depth)[layers]
    return np.asarray(np.ravel_multi_index(np.ix_(deep, rows, columns), shape)).ravel()
