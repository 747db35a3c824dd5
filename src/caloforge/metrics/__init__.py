"""Metrics: each compares Geant4 showers with others and returns a value with its error. Importing them needs no torch.

A metric is added as one file with one frozen dataclass, and one line in `default_metrics`.
"""

from dataclasses import replace
from typing import Literal

from caloforge.block_observables import is_image
from caloforge.geometry import Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.cells import CellMoment
from caloforge.metrics.classifier import AUC
from caloforge.metrics.core_response import ENERGIES, CoreResponse
from caloforge.metrics.correlation import CorrelationMSE, CorrelationRatio, IndependentCells
from caloforge.metrics.mip import MIPPeak
from caloforge.metrics.mmd import MMD, KernelTest, MMDPValue
from caloforge.metrics.moments import Moments, has_moments
from caloforge.metrics.neighbours import NearestGenerated, NearestTraining, TrainingSet
from caloforge.metrics.observable_correlation import ObservableCorrelation
from caloforge.metrics.pixels import CellSpectrum, Pixels, central_cells
from caloforge.metrics.prdc import KINDS, PRDC, Neighbourhoods
from caloforge.metrics.radial import RadialShape
from caloforge.metrics.sample import Sample, Source, survey
from caloforge.metrics.sampling import SamplingFraction
from caloforge.metrics.separation import Separation
from caloforge.metrics.shapes import ShowerShape, shape_metrics
from caloforge.metrics.ssim import SSIM, has_images
from caloforge.metrics.wasserstein import Wasserstein
from caloforge.observables import table

__all__ = [
    "AUC",
    "MMD",
    "PRDC",
    "QUICK_AUC",
    "QUICK_KERNEL",
    "SSIM",
    "CellMoment",
    "CellSpectrum",
    "CoreResponse",
    "CorrelationMSE",
    "CorrelationRatio",
    "Estimate",
    "IndependentCells",
    "KernelTest",
    "MIPPeak",
    "MMDPValue",
    "Metric",
    "Moments",
    "NearestGenerated",
    "NearestTraining",
    "Neighbourhoods",
    "ObservableCorrelation",
    "Pixels",
    "RadialShape",
    "Sample",
    "SamplingFraction",
    "Separation",
    "ShowerShape",
    "Source",
    "TrainingSet",
    "Wasserstein",
    "default_metrics",
    "survey",
]


# For a first look: weaker tests that take seconds.
QUICK_AUC = AUC(epochs=5, max_events=3000, repeats=1)
QUICK_KERNEL = KernelTest(max_events=1000, permutations=500, steps=100, batch=250)


def default_metrics(geometry: Geometry, auc: AUC | None = None, kernel: KernelTest | None = None) -> list[Metric]:
    """All metrics of a report, but ``nearest/training``, which needs the training set.

    `auc` sets the classifier of both ``auc/high`` and ``auc/low``, `kernel` the test of ``mmd`` and ``mmd/p_value``.
    """
    auc, kernel = auc or AUC(), kernel or KernelTest()
    metrics: list[Metric] = [CorrelationRatio(), CorrelationMSE(), IndependentCells(), NearestGenerated()]
    metrics += [replace(auc, inputs="high"), replace(auc, inputs="low"), MMD(kernel), MMDPValue(kernel)]
    layers = [None, *(layer.name for layer in geometry.layers)] if len(geometry.layers) > 1 else [None]
    metrics += [CellMoment("mean", layer) for layer in layers] + [CellMoment("variance", layer) for layer in layers]
    metrics += [Separation(name) for name in table(geometry)] + [Wasserstein(name) for name in table(geometry)]
    return metrics + _of_images(geometry) + (_of_blocks() if is_image(geometry) else [])


def _of_images(geometry: Geometry) -> list[Metric]:
    """The metrics of the 3DGAN line, as far as they are defined for a geometry."""
    among = Neighbourhoods()
    metrics: list[Metric] = [SamplingFraction(), *shape_metrics(geometry), CellSpectrum()]
    metrics += [PRDC(kind, among) for kind in KINDS]
    if has_moments(geometry):
        metrics += [Moments(), Moments(1), Moments(2)]
    if len(central_cells(geometry)):
        metrics += [Pixels("mean"), Pixels("spread")]
    if has_images(geometry):
        metrics += [SSIM("across"), SSIM("within")]
    return metrics


def _of_blocks() -> list[Metric]:
    """The metrics of Getting High, for blocks of equal cells."""
    kinds: tuple[Literal["linearity", "width", "resolution"], ...] = ("linearity", "width", "resolution")
    cores = [CoreResponse(kind, energy) for kind in kinds for energy in ENERGIES]
    return [MIPPeak(), RadialShape(), ObservableCorrelation(), *cores]
