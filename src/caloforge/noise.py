"""Electronics noise: independent Gaussian numbers in the cells of a layer, before any threshold.

Events 128·b to 128·(b + 1) − 1 share one block of standard normal numbers, keyed by (seed, b), with a number for each
cell. So an event's noise depends on (seed, event number) and the cells alone: in whatever pieces a file is worked on,
and whichever layers have noise, the same event gets the same bits.

Cells may become negative. Nothing is cut here: thresholds belong to those who compare or train.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.showers import Showers, check_seed

BLOCK = 128  # events that share a block of noise
STREAM = 9  # of random numbers

Numbers = NDArray[np.int64]


def add_noise(showers: Showers, sigma: Mapping[str, float], seed: int, events: Numbers) -> Showers:
    """The showers with Gaussian noise in the cells of some layers; energies may become negative.

    Parameters
    ----------
    sigma : standard deviation in MeV in each cell of a layer, by the layer's name; other layers stay as they are.
    seed, events : the noise is a function of the seed, an event's number and the cells; `events` has shape (N,).
    """
    check_seed(seed)
    if events.shape != (len(showers),) or (events < 0).any():
        raise InputError(f"{len(showers)} showers need as many event numbers from 0 on; got shape {events.shape}.")
    widths = np.zeros(showers.geometry.n_cells, np.float32)
    for layer, value in sigma.items():
        check_sigma(layer, value)
        widths[showers.geometry.cells(layer)] = value
    energies = showers.energies.copy()
    blocks, counts = np.unique(events // BLOCK, return_counts=True)
    order, ends = np.argsort(events // BLOCK, kind="stable"), np.cumsum(counts)
    for block, count, end in zip(blocks, counts, ends, strict=True):
        rows = order[end - count : end]
        energies[rows] += widths * _noise(seed, int(block), len(widths))[events[rows] % BLOCK]
    return Showers(energies, showers.conditions, showers.geometry)


def _noise(seed: int, block: int, n_cells: int) -> NDArray[np.float32]:
    """Standard normal numbers of a block of events, shape (BLOCK, n_cells)."""
    bits = np.random.Philox(key=np.array([seed, block], np.uint64), counter=[0, 0, 0, STREAM])
    return np.random.Generator(bits).standard_normal((BLOCK, n_cells), dtype=np.float32)


def check_sigma(layer: str, sigma: float) -> None:
    """Refuse what is no standard deviation in MeV."""
    if not 0 <= sigma < math.inf:
        raise InputError(f"the noise of layer {layer!r} is {sigma:g} MeV; its standard deviation cannot be negative.")
