r"""Mean and RMS of the shortest interval that holds 90 % of the values: :math:`\mu_{90}` and :math:`\sigma_{90}`.

A calorimeter's response has tails (energy that leaks out, showers that start late) which dominate the mean and RMS of
all events. So linearity and resolution are quoted for the core: sort the :math:`n` values, slide a window of
:math:`n_{90} = \lceil 0.9\,n \rceil` of them, and keep the one that spans least. Then

.. math:: \Delta\mu_{90} = \sigma_{90} / \sqrt{n_{90}}, \qquad \Delta\sigma_{90} = \sigma_{90} / \sqrt{2\,n_{90}},

as in Getting High (Buhmann et al., arXiv 2005.05334; its code takes the window of least RMS, which differs in flat
distributions only). For a normal distribution :math:`\sigma_{90} = 0.789\,\sigma`: never compare it with a full RMS.

In a bin of incident energy that is not narrow, take the values to be E_reco / E_true of each event: the spread of
E_true within the bin then cancels, :math:`\mu_{90}` is the linearity and :math:`\sigma_{90} / \mu_{90}` the resolution.

>>> mu90_sigma90([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 100.0]).mu
5.0
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHARE = 0.9
FEWEST = 10  # values: of fewer, 90 % is all of them


@dataclass(frozen=True)
class Core:
    """Mean `mu` and RMS `sigma`, in the unit of the values, of the `n` values in the shortest interval."""

    mu: float
    sigma: float
    n: int

    @property
    def mu_error(self) -> float:
        """Standard error of `mu`."""
        return self.sigma / math.sqrt(self.n) if self.n else math.nan

    @property
    def sigma_error(self) -> float:
        """Standard error of `sigma`."""
        return self.sigma / math.sqrt(2 * self.n) if self.n else math.nan

    @property
    def resolution(self) -> float:
        """σ90 / μ90; NaN unless μ90 is above zero."""
        return self.sigma / self.mu if self.mu > 0 else math.nan

    @property
    def resolution_error(self) -> float:
        """Standard error of the resolution, from those of `mu` and `sigma` as if they were independent."""
        r = self.resolution
        return r * math.sqrt(0.5 / self.n + r**2 / self.n) if self.n else math.nan


def shortest_interval(values: ArrayLike, share: float = SHARE) -> tuple[float, float]:
    """Ends of the shortest interval that holds at least `share` of the values (n,); the lowest of equally short ones.

    Undefined (NaN) values are left out; the ends are NaN if there is none left.
    """
    ordered = _defined(values)
    if not len(ordered):
        return math.nan, math.nan
    held = max(1, math.ceil(share * len(ordered) - 1e-9))  # 0.9 × 10 is 9, whatever the rounding
    widths = ordered[held - 1 :] - ordered[: len(ordered) - held + 1]
    first = int(np.argmin(widths))
    return float(ordered[first]), float(ordered[first + held - 1])


def mu90_sigma90(values: ArrayLike) -> Core:
    """Mean and RMS of the values (n,) in their shortest interval of 90 %, ends included; NaN for fewer than 10."""
    defined = _defined(values)
    if len(defined) < FEWEST:
        return Core(math.nan, math.nan, 0)
    low, high = shortest_interval(defined)
    core = defined[(defined >= low) & (defined <= high)]
    return Core(float(core.mean()), float(core.std()), len(core))


def _defined(values: ArrayLike) -> NDArray[np.float64]:
    """The values that are not NaN, in order."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return np.sort(array[~np.isnan(array)])
