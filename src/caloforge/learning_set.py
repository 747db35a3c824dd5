"""Showers on their way to a model: counted as the surrogate counts them, the statistics fitted, then transformed.

Whatever reads all cells does so part by part, so that large files are never held in memory twice.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caloforge.errors import InputError
from caloforge.models.base import Batch, Model
from caloforge.models.response import Response
from caloforge.showers import Showers
from caloforge.transforms import Chain

__all__ = ["LearningSet"]

STATISTICS, PART = 20_000, 10_000
Floats = NDArray[np.float64]


class LearningSet:
    """Training showers, their weights (N,) of any scale, and whether cells below the thresholds count."""

    def __init__(self, showers: Showers, threshold: bool, weights: Floats | None = None) -> None:
        self.showers, self.threshold, self.given = showers, threshold, weights
        self.weights = _mean_one(weights, len(showers))

    def cells(self, index: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Cell energies in MeV of some showers, shape (n, n_cells)."""
        energies = np.asarray(self.showers.energies[index])
        return np.where(energies < self.showers.geometry.thresholds, 0, energies) if self.threshold else energies

    @cached_property
    def deposited(self) -> Floats:
        """The deposited energy in MeV, shape (N,)."""
        return np.concatenate([self.cells(part).sum(1, dtype=np.float64) for part in _parts(len(self.showers))])

    def fingerprint(self) -> str:
        """A checksum of showers and weights, to tell a training on others apart."""
        digest = sha256(self.showers.geometry.to_json().encode())
        given = [] if self.given is None else [self.given]
        for values in (*self.showers.conditions.values(), self.deposited, *given):
            digest.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
        return digest.hexdigest()

    def batch(
        self, names: tuple[str, ...], model: Model, chain: Chain, response: Response | None
    ) -> tuple[Batch, dict[str, tuple[float, float]]]:
        """Fit all statistics, and transform: what the model learns from, and the range of each condition.

        Empty showers are left out if there is a `response`, which learns how often they occur.
        """
        conditions = {name: self.showers.conditions[name] for name in names}
        keep = np.arange(len(self.showers))
        if response is not None:
            response.fit(self.showers.incident, self.deposited, self.weights)
            keep, conditions["deposited"] = np.flatnonzero(self.deposited > 0), self.deposited
        if not len(keep):
            raise InputError("every training shower is empty above the thresholds: there is nothing to learn from.")
        trained = {name: (float(v[keep].min()), float(v[keep].max())) for name, v in conditions.items()}
        c = {name: torch.from_numpy(values[keep].astype(np.float32)) for name, values in conditions.items()}
        x = self._transformed(chain, keep, c)
        model.conditioning.fit(c)
        scaled = model.conditioning(c)
        model.prepare(x[:STATISTICS], scaled[:STATISTICS])
        w = torch.from_numpy(self.weights[keep].astype(np.float32))
        return Batch(x, scaled, w / w.mean()), trained

    def shown(
        self, names: tuple[str, ...], chain: Chain
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, dict[str, Tensor]]]:
        """For part after part of the showers that are not empty: their numbers, transformed cells, and conditions."""
        conditions = {name: self.showers.conditions[name] for name in names} | {"deposited": self.deposited}
        keep = np.flatnonzero(self.deposited > 0)
        for part in _parts(len(keep)):
            rows = keep[part]
            c = {name: torch.from_numpy(values[rows].astype(np.float32)) for name, values in conditions.items()}
            yield rows, chain(torch.from_numpy(self.cells(rows)), c), c

    def _transformed(self, chain: Chain, keep: NDArray[np.int64], c: Mapping[str, Tensor]) -> Tensor:
        """Fit the chain to the first showers, which come in random order, and transform all."""
        chain.fit(torch.from_numpy(self.cells(keep[:STATISTICS])), _rows(c, slice(STATISTICS)))
        x = torch.empty(len(keep), self.showers.geometry.n_cells)
        for rows in _parts(len(keep)):
            x[rows] = chain(torch.from_numpy(self.cells(keep[rows])), _rows(c, rows))
        return x


def _mean_one(weights: Floats | None, n: int) -> Floats:
    """Weights of mean 1."""
    if weights is None:
        return np.ones(n)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (n,) or not np.isfinite(weights).all() or not (weights >= 0).all() or not weights.any():
        raise InputError(f"the weights must be {n} finite numbers, none negative, not all zero; got {weights}.")
    return np.asarray(weights / weights.mean())


def _parts(n: int) -> Iterator[slice]:
    return (slice(start, start + PART) for start in range(0, n, PART))


def _rows(c: Mapping[str, Tensor], rows: slice) -> dict[str, Tensor]:
    return {name: values[rows] for name, values in c.items()}
