"""Drawing the conditions of a sample from what the user wrote, reproducibly event by event.

=====================  =====================================================
``50GeV``              fixed
``10GeV,50GeV``        cycled through: event i takes value i mod 2
``2GeV:500GeV``        uniform between the ends
``log:1GeV:1TeV``      log-uniform between the ends
=====================  =====================================================

Event i's value depends on (seed, i) alone: numbers are drawn in blocks of 1 024 events keyed by (seed, block, stream).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.units import quantity

BLOCK = 1024
STREAMS = {"energy": 2, "theta": 3, "phi": 4, "eta": 8}


@dataclass(frozen=True)
class Spectrum:
    """How the values of one condition are distributed; `values` are in MeV or rad."""

    kind: Literal["cycled", "uniform", "log-uniform"]
    values: tuple[float, ...]

    def sample(self, seed: int, first_event: int, n: int, stream: int) -> NDArray[np.float64]:
        """Values of events first_event … first_event + n − 1, shape (N,)."""
        if self.kind == "cycled":
            return np.array(self.values)[np.arange(first_event, first_event + n) % len(self.values)]
        low, high = self.values
        u = uniforms(seed, first_event, n, stream)
        return low + (high - low) * u if self.kind == "uniform" else low * (high / low) ** u


def uniforms(seed: int, first_event: int, n: int, stream: int) -> NDArray[np.float64]:
    """Numbers uniform in [0, 1), one per event, shape (N,), keyed by (seed, block of 1 024 events, stream)."""
    first, last = first_event // BLOCK, (first_event + max(n, 1) - 1) // BLOCK
    blocks = [
        np.random.Generator(np.random.Philox(key=[seed, block], counter=[0, 0, 0, stream])).random(BLOCK)
        for block in range(first, last + 1)
    ]
    start = first_event - first * BLOCK
    return np.concatenate(blocks)[start : start + n]


def spectrum(text: str, dimension: str, name: str) -> Spectrum:
    """Read a `Spectrum`; energies must be above zero and ranges increase."""
    log = text.startswith("log:")
    parts = text.removeprefix("log:").split(":")
    if len(parts) == 2:
        low, high = (quantity(part, dimension) for part in parts)
        if low >= high or (log and low <= 0):
            raise InputError(
                f"{name} {text!r} is not a range: write the lower end first and the higher end second"
                f"{', both above zero' if log else ''}."
            )
        found = Spectrum("log-uniform" if log else "uniform", (low, high))
    elif len(parts) == 1 and not log:
        found = Spectrum("cycled", tuple(quantity(part, dimension) for part in parts[0].split(",")))
    else:
        raise InputError(
            f"{name} {text!r} is not understood: write a value, values separated by commas, a range "
            "'low:high' or 'log:low:high'."
        )
    if name == "energy" and min(found.values) <= 0:
        raise InputError(f"energy {text!r} includes zero or less: give incident kinetic energies above zero.")
    return found


@dataclass(frozen=True)
class ConditionSampler:
    """Draws all conditions of a sample; `texts` maps names (energy, theta, phi, eta) to what the user wrote."""

    texts: Mapping[str, str]

    def __post_init__(self) -> None:
        self.spectra()

    def spectra(self) -> dict[str, Spectrum]:
        """The spectrum of each condition."""
        dimensions = {"energy": "energy", "theta": "angle", "phi": "angle", "eta": "number"}
        return {name: spectrum(text, dimensions[name], name) for name, text in self.texts.items()}

    def sample(self, seed: int, first_event: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Conditions of n events from `first_event` on, each of shape (N,)."""
        return {name: each.sample(seed, first_event, n, STREAMS[name]) for name, each in self.spectra().items()}

    def provenance(self) -> dict[str, str]:
        """The texts."""
        return dict(self.texts)


def trained_range(name: str, low: float, high: float) -> tuple[float, float]:
    """The range that may be asked for of what has seen `low` to `high`: 1 % wider (of the logarithm, for energies).

    A sample that was simulated from 1 to 300 GeV ends a little inside, and these very limits must be allowed.
    """
    if name not in ("energy", "deposited"):
        width = 0.01 * (high - low) + 1e-6
        return low - width, high + width
    factor = (high / low) ** 0.01 * (1 + 1e-6)
    return (0.0 if name == "deposited" else low / factor), high * factor
