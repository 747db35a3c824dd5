"""What every metric is: a frozen dataclass that compares two samples and returns a value with its error."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from caloforge.metrics.sample import Sample, Source


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error, and how many showers of each side it was made from (0: not counted)."""

    value: float
    error: float
    n_reference: int = 0
    n_sample: int = 0


class Metric(ABC):
    """A distance or figure of merit between Geant4 showers (`reference`) and others (`sample`).

    Subclasses are frozen dataclasses: their fields are the parameters of the definition.
    """

    floor: ClassVar[Literal["independent", "reference", "none"]] = "independent"
    """What takes the sample's place in the floor: independent Geant4 showers, the reference itself, or nothing."""
    windows: ClassVar[bool] = True
    """Whether the metric is also evaluated in windows of incident energy."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Path such as ``separation/width_eta/strip``."""

    @property
    @abstractmethod
    def definition(self) -> str:
        """What is computed, in one or two sentences with the source."""

    @property
    def subject(self) -> str | None:
        """The observable compared, if it is one."""
        return None

    @abstractmethod
    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """The metric of two surveyed samples."""

    def __call__(self, reference: Sample | Source, sample: Sample | Source, rng: np.random.Generator) -> Estimate:
        """The metric of two sets of showers, each above its geometry's thresholds."""
        return self.compare(Sample.of(reference), Sample.of(sample), rng)
