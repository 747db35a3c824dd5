"""Metrics: each compares Geant4 showers with others and returns a value with its error. Importing them needs no torch.

A metric is added as one file with one frozen dataclass, and one line in `default_metrics`.
"""

from caloforge.geometry import Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.cells import CellMoment
from caloforge.metrics.classifier import AUC
from caloforge.metrics.correlation import CorrelationMSE, CorrelationRatio, IndependentCells
from caloforge.metrics.neighbours import NearestGenerated, NearestTraining, TrainingSet
from caloforge.metrics.sample import Sample, Source, survey
from caloforge.metrics.separation import Separation
from caloforge.metrics.wasserstein import Wasserstein
from caloforge.observables import table

__all__ = [
    "AUC",
    "CellMoment",
    "CorrelationMSE",
    "CorrelationRatio",
    "Estimate",
    "IndependentCells",
    "Metric",
    "NearestGenerated",
    "NearestTraining",
    "Sample",
    "Separation",
    "Source",
    "TrainingSet",
    "Wasserstein",
    "default_metrics",
    "survey",
]


def default_metrics(geometry: Geometry, auc: AUC | None = None) -> list[Metric]:
    """All metrics of a report, but ``nearest/training``, which needs the training set; `auc` sets the classifier."""
    metrics: list[Metric] = [CorrelationRatio(), CorrelationMSE(), IndependentCells(), auc or AUC(), NearestGenerated()]
    layers = [None, *(layer.name for layer in geometry.layers)] if len(geometry.layers) > 1 else [None]
    metrics += [CellMoment("mean", layer) for layer in layers] + [CellMoment("variance", layer) for layer in layers]
    metrics += [Separation(name) for name in table(geometry)] + [Wasserstein(name) for name in table(geometry)]
    return metrics
