"""`Showers`: the batch that every stage passes on, and `Simulator`: whatever makes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Geometry

Conditions = Mapping[str, NDArray[np.float64]]
SEED_LIMIT = 2**31 - 1  # seeds and event numbers stay below, as Geant4's engine wants


@dataclass(frozen=True, eq=False)
class Showers:
    """A batch of N showers.

    Parameters
    ----------
    energies : cell energies in MeV, shape (N, n_cells), float32.
    conditions : what each shower was asked for, each of shape (N,); always ``"energy"``, the incident kinetic energy
        in MeV, and for some samples ``"theta"``, ``"phi"`` (rad) or others.
    geometry : the numbering of the cells.
    """

    energies: NDArray[np.float32]
    conditions: Mapping[str, NDArray[np.float64]]
    geometry: Geometry

    def __post_init__(self) -> None:
        energies = np.asanyarray(self.energies, dtype=np.float32)
        if energies.ndim != 2 or energies.shape[1] != self.geometry.n_cells:
            raise InputError(
                f"energies have shape {energies.shape}; expected (N, {self.geometry.n_cells}) for "
                f"geometry {self.geometry.name!r}."
            )
        if not np.isfinite(np.sum(energies, dtype=np.float64)):
            raise InputError("some cell energies are not finite: drop or repair those showers first.")
        conditions = check_conditions(self.conditions)
        if len(conditions["energy"]) != len(energies):
            raise InputError(f"{len(conditions['energy'])} conditions for {len(energies)} showers: give one each.")
        object.__setattr__(self, "energies", energies)
        object.__setattr__(self, "conditions", conditions)

    def __len__(self) -> int:
        return len(self.energies)

    def __getitem__(self, index: slice | NDArray[Any]) -> "Showers":
        """The showers that a slice, a mask or an array of indices selects."""
        if isinstance(index, int | np.integer):
            raise TypeError("a single number is ambiguous: use showers[i : i + 1].")
        return Showers(self.energies[index], {k: v[index] for k, v in self.conditions.items()}, self.geometry)

    @property
    def incident(self) -> NDArray[np.float64]:
        """Incident energy in MeV, shape (N,)."""
        return self.conditions["energy"]

    def layer(self, layer: int | str) -> NDArray[np.float32]:
        """Cell energies of one layer in MeV, shape (N, rows, columns)."""
        shape = self.geometry.shapes[self.geometry.index(layer)]
        return self.energies[:, self.geometry.cells(layer)].reshape(-1, *shape)

    def above_threshold(self, geometry: Geometry | None = None) -> "Showers":
        """The showers with every cell below its layer's threshold set to zero (idempotent)."""
        thresholds = (geometry or self.geometry).thresholds
        if not thresholds.any():
            return self
        return Showers(np.where(self.energies < thresholds, 0, self.energies), self.conditions, self.geometry)


def check_seed(seed: int) -> None:
    """Refuse seeds that cannot be used."""
    if not 0 <= seed < SEED_LIMIT:
        raise InputError(f"seed {seed} is out of range: give a number from 0 to {SEED_LIMIT - 1}.")


def check_conditions(conditions: Conditions) -> dict[str, NDArray[np.float64]]:
    """The conditions as float64 arrays of equal length; energies in MeV must be positive, everything finite."""
    checked = {name: np.asarray(values, dtype=np.float64) for name, values in conditions.items()}
    if "energy" not in checked:
        raise InputError(f"the conditions are {sorted(checked)}; 'energy' (incident, MeV) is missing.")
    shapes = {name: values.shape for name, values in checked.items()}
    if any(len(shape) != 1 or shape != shapes["energy"] for shape in shapes.values()):
        raise InputError(f"every condition needs shape (N,) with one N, got {shapes}.")
    if not all(np.isfinite(values).all() for values in checked.values()) or not (checked["energy"] > 0).all():
        raise InputError("conditions must be finite and incident energies above zero (MeV).")
    return checked


def concatenate(batches: Sequence[Showers]) -> Showers:
    """One batch of all showers, in order; the batches must share geometry and condition names."""
    if not batches:
        raise InputError("nothing to concatenate: give at least one batch of showers.")
    first = batches[0]
    for batch in batches[1:]:
        if batch.geometry != first.geometry or set(batch.conditions) != set(first.conditions):
            raise InputError(
                f"cannot concatenate showers of {first.geometry.name!r} with conditions "
                f"{sorted(first.conditions)} and of {batch.geometry.name!r} with "
                f"{sorted(batch.conditions)}."
            )
    conditions = {name: np.concatenate([b.conditions[name] for b in batches]) for name in first.conditions}
    return Showers(np.concatenate([b.energies for b in batches]), conditions, first.geometry)


@runtime_checkable
class Simulator(Protocol):
    """Anything that turns conditions into showers: Geant4, a surrogate, an ensemble.

    ``first_event`` numbers the events, so that consecutive chunks, concatenated, equal one call.
    """

    geometry: Geometry

    def sample(self, conditions: Conditions, seed: int, first_event: int = 0) -> Showers:
        """One shower per condition; shower i depends on (conditions[i], seed, first_event + i) alone."""
        ...
