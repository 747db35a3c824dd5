r"""Linearity, width and resolution of the visible energy at fixed energies.

Of the ratios of visible to incident energy (`caloforge.block_observables`) at one energy, :math:`\mu_{90}` and
:math:`\sigma_{90}` are mean and RMS of the shortest interval that holds 90 % of the showers (`caloforge.resolution`;
Getting High, arXiv 2005.05334, shows 20, 50 and 80 GeV). In a spectrum, showers within 10 % of the energy stand for
it: the ratio of each is taken with its own incident energy, so the width of the window does not enter.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import Sample
from caloforge.resolution import Core, mu90_sigma90
from caloforge.units import GeV

ENERGIES = (20 * GeV, 50 * GeV, 80 * GeV)
WITHIN = 0.1  # of the energy
MINIMUM = 20  # showers
SYMBOLS = {"linearity": "μ₉₀", "width": "σ₉₀", "resolution": "σ₉₀/μ₉₀"}


@dataclass(frozen=True)
class CoreResponse(Metric):
    """Relative difference of μ₉₀, σ₉₀ or σ₉₀/μ₉₀ of visible over incident energy at one energy in MeV."""

    kind: Literal["linearity", "width", "resolution"]
    energy: float
    windows = False

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.energy / GeV:g}GeV"

    @property
    def definition(self) -> str:
        return (
            f"|sample / Geant4 − 1| of {SYMBOLS[self.kind]} of visible over incident energy, from showers within "
            f"{WITHIN:.0%} of {self.energy / GeV:g} GeV, {MINIMUM} at least: mean and RMS in the shortest interval of "
            f"90 % (Getting High, arXiv 2005.05334); error: from those of both."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Relative difference; NaN for fewer than 20 showers of a side."""
        responses = [visible_response(each, self.energy) for each in (reference, sample)]
        sizes = [len(each) for each in responses]
        if min(sizes) < MINIMUM:
            return Estimate(np.nan, np.nan, *sizes)
        (ours, our_error), (theirs, their_error) = (self._value(mu90_sigma90(each)) for each in responses)
        if not ours > 0:
            return Estimate(np.nan, np.nan, *sizes)
        error = np.hypot(their_error / ours, theirs * our_error / ours**2)
        return Estimate(abs(theirs / ours - 1), float(error), *sizes)

    def _value(self, core: Core) -> tuple[float, float]:
        return {
            "linearity": (core.mu, core.mu_error),
            "width": (core.sigma, core.sigma_error),
            "resolution": (core.resolution, core.resolution_error),
        }[self.kind]


def visible_response(sample: Sample, energy: float) -> np.ndarray:
    """Visible over incident energy of the showers within 10 % of an energy in MeV."""
    near = np.abs(sample.energy - energy) <= WITHIN * energy
    return sample.values("energy_visible")[near] / sample.energy[near]
