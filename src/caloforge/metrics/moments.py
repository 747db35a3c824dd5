r"""Moments of the showers along each axis, as the 3DGAN line takes them for the choice of an epoch.

For the energies :math:`E_i` at position i (0, 1, … cells or layers) along x, y or z, each shower has

.. math:: m_1 = \frac{\sum_i i E_i}{\sum_i E_i}, \qquad m_2 = \frac{\sum_i (i - m_1)^2 E_i}{\sum_i E_i}.

The error of a moment is :math:`|\langle m' \rangle - \langle m \rangle| / \langle m \rangle`, averaged over the axes
and over the moments (Khattak et al., Eur. Phys. J. C 82 (2022) 386). The code of 3DGAN adds this term twice, so its
numbers are twice those here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import AXIS_NAMES, Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import Sample
from caloforge.observables import weighted_moments

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments(Metric):
    """Mean relative error of the average moments, of order 1, 2 or both."""

    order: int | None = None

    @property
    def name(self) -> str:
        return "moments" + (f"/{self.order}" if self.order else "")

    @property
    def definition(self) -> str:
        which = {None: "first and second moments", 1: "first moments", 2: "second moments"}[self.order]
        return (
            f"|⟨m′⟩ − ⟨m⟩| / ⟨m⟩ averaged over the {which} (second: central) along x, y, z in cells and layers (3DGAN, "
            f"Eur. Phys. J. C 82 (2022) 386, whose code counts it twice); error: from the standard errors of the means."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean relative error; NaN if a moment is undefined in all showers or zero."""
        (ours, our_error), (theirs, their_error) = (average_moments(each) for each in (reference, sample))
        chosen = slice(None) if self.order is None else slice(self.order - 1, self.order)
        scale = np.where(ours > 0, ours, np.nan)[chosen]
        relative = np.abs(theirs - ours)[chosen] / scale
        errors = np.hypot(our_error, their_error)[chosen] / scale
        error = np.sqrt((errors**2).sum()) / errors.size
        return Estimate(float(relative.mean()), float(error), len(reference), len(sample))


def has_moments(geometry: Geometry) -> bool:
    """Whether positions along three axes can be counted in cells: a block of flat layers of equal cells."""
    first = geometry.layers[0]
    flat = first.axes != "r_alpha" and first.equal and min(first.shape) > 1
    return geometry.is_block and flat and len(geometry.layers) > 1


def average_moments(sample: Sample) -> tuple[Floats, Floats]:
    """Mean and standard error over the showers of m₁ and m₂ along the two transverse axes and z, each (2, 3)."""
    values = np.stack([*_transverse(sample), _longitudinal(sample)], axis=1)
    defined = np.isfinite(values).all(axis=(0, 1))
    values = values[..., defined]
    if values.shape[-1] < 2:
        return np.full((2, 3), np.nan), np.full((2, 3), np.nan)
    return values.mean(axis=-1), values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])


def _transverse(sample: Sample) -> list[Floats]:
    """m₁ and m₂ (2, n) along each transverse axis, from centre and width in mm or rad."""
    geometry, layer = sample.geometry, sample.geometry.layers[0]
    found = []
    for name, edges in zip(AXIS_NAMES[layer.axes], (layer.slow, layer.fast), strict=True):
        cell = edges[1] - edges[0]
        first = edges[0] + cell / 2 - ((geometry.eta or 0.0) if name == "eta" else 0.0)
        mean, width = sample.values(f"mean_{name}"), sample.values(f"width_{name}")
        found.append(np.stack([(mean - first) / cell, (width / cell) ** 2]))
    return found


def _longitudinal(sample: Sample) -> Floats:
    """m₁ and m₂ (2, n) along z, in layers."""
    layers = sample.geometry.layers
    energy = np.stack([sample.values(f"energy/{layers[i].name}") for i in sample.geometry.by_depth], axis=1)
    mean, width = weighted_moments(energy, np.arange(len(layers), dtype=np.float64))
    return np.stack([mean, width**2])
