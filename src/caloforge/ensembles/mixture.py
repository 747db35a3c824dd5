"""`Mixture`: simulators with weights, as one simulator.

Which component makes an event is a random choice, keyed by (seed, event). A component is asked for consecutive events
(that is the contract of `Simulator`), and its own are scattered; so within each span of 65 536 events, a component
numbers its events by their order, from the span's first number on, with a seed of its own. All of that is a function of
(seed, event) alone, so that chunks of events, concatenated, equal one call.

A mixture of surrogates is kept as a folder: ``mixture.json`` with the weights and the checksums of the components,
which are run folders beside it.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from caloforge.atomic import replacing
from caloforge.errors import InputError
from caloforge.run_folder import MIXTURE, WEIGHTS
from caloforge.showers import SEED_LIMIT, Conditions, Showers, Simulator, check_conditions, check_seed
from caloforge.surrogate import Surrogate

__all__ = ["Mixture", "load"]

SPAN = 2**16


class Mixture:
    """Several simulators of one geometry, each making its share of the showers.

    Parameters
    ----------
    simulators : the components.
    weights : one for each, of any scale, none negative.
    """

    def __init__(self, simulators: Sequence[Simulator], weights: Sequence[float]) -> None:
        if not simulators or len(weights) != len(simulators):
            raise InputError(f"{len(simulators)} simulators and {len(weights)} weights: give one weight each.")
        if not all(isfinite(each) and each >= 0 for each in weights) or not sum(weights) > 0:
            raise InputError(f"the weights are {list(weights)}; expected finite numbers, none negative, not all zero.")
        self.geometry = simulators[0].geometry
        if any(each.geometry != self.geometry for each in simulators):
            raise InputError("the simulators of a mixture are of different geometries: mix those of one detector.")
        self.simulators = tuple(simulators)
        self.weights = tuple(float(each) / float(sum(weights)) for each in weights)

    def sample(self, conditions: Conditions, seed: int, first_event: int = 0) -> Showers:
        """One shower per condition; shower i depends on (conditions[i], seed, first_event + i) alone."""
        check_seed(seed)
        conditions = check_conditions(conditions)
        energies = np.empty((len(conditions["energy"]), self.geometry.n_cells), dtype=np.float32)
        done = 0
        while done < len(energies):
            span, start = divmod(first_event + done, SPAN)
            n = min(SPAN - start, len(energies) - done)
            chosen = self._chosen(seed, span)
            for k, simulator in enumerate(self.simulators):
                rows = done + np.flatnonzero(chosen[start : start + n] == k)
                if len(rows):
                    number = span * SPAN + int((chosen[:start] == k).sum())
                    mine = {name: values[rows] for name, values in conditions.items()}
                    energies[rows] = simulator.sample(mine, _seed(seed, k), number).energies
            done += n
        return Showers(energies, conditions, self.geometry)

    def components(self, n: int, seed: int, first_event: int = 0) -> NDArray[np.int64]:
        """Which component makes each of n events, from 0 on, shape (n,)."""
        spans = range(first_event // SPAN, (first_event + n - 1) // SPAN + 1)
        chosen = [self._chosen(seed, span) for span in spans]
        return np.concatenate([*chosen, np.empty(0, np.int64)])[first_event % SPAN :][:n]

    def _chosen(self, seed: int, span: int) -> NDArray[np.int64]:
        """The component of each event of a span, shape (65536,)."""
        rng = np.random.Generator(np.random.Philox(key=np.array([_seed(seed, -1), span], dtype=np.uint64)))
        edges = np.cumsum(self.weights)[:-1]
        return np.asarray(np.searchsorted(edges, rng.random(SPAN), side="right"), dtype=np.int64)

    # What a surrogate has, for mixtures of surrogates

    @property
    def surrogates(self) -> tuple[Surrogate, ...]:
        """The components, which must be surrogates."""
        if not all(isinstance(each, Surrogate) for each in self.simulators):
            raise InputError("only a mixture of surrogates can be saved, or used as one.")
        return cast(tuple[Surrogate, ...], self.simulators)

    @property
    def kind(self) -> str:
        """What it is, for the provenance of its showers."""
        return f"mixture of {len(self.simulators)}: {self.surrogates[0].kind}"

    @property
    def provenance(self) -> dict[str, Any]:
        """What the first component was trained on, which is what all were trained on if `AdaGAN` made them."""
        return self.surrogates[0].provenance

    @property
    def threshold(self) -> bool:
        """Whether showers were learned above the thresholds."""
        return self.surrogates[0].threshold

    @property
    def cuts(self) -> bool:
        """Whether generated showers get the thresholds."""
        return self.surrogates[0].cuts

    @cuts.setter
    def cuts(self, cuts: bool) -> None:
        for each in self.surrogates:
            each.cuts = cuts

    def deposited(self, showers: Showers) -> NDArray[np.float64]:
        """The deposited energy (N,) in MeV, as the surrogates count it."""
        return self.surrogates[0].deposited(showers)

    # Files

    def save(self, folder: Path | str) -> None:
        """Write each surrogate to ``component-00``, ``component-01``, … and, last, ``mixture.json``."""
        for k, each in enumerate(self.surrogates):
            each.save(component(folder, k))
        write_mixture(folder, self.weights)

    @classmethod
    def load(cls, folder: Path | str, members: int | None = None) -> Self:
        """The mixture of a folder; with `members`, of its first so many components."""
        path = Path(folder, MIXTURE)
        try:
            found = json.loads(path.read_text())
            weights, checksums = [float(each) for each in found["weights"]], list(found["weights_sha256"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read ({error}): is the training of the ensemble finished?") from error
        wanted = len(weights) if members is None else members
        if not 1 <= wanted <= len(weights) == len(checksums):
            raise InputError(f"{path} has {len(weights)} components, {wanted} cannot be taken.")
        for k, expected in enumerate(checksums[:wanted]):
            if _checksum(component(folder, k)) != expected:
                raise InputError(f"{component(folder, k)} is not the component that {path} was made with.")
        surrogates = [Surrogate.load(component(folder, k)) for k in range(wanted)]
        return cls(surrogates, weights[:wanted])


def load(folder: Path | str, members: int | None = None) -> Surrogate | Mixture:
    """The surrogate of a run's folder, or the mixture (of the first `members` components, if given)."""
    if Path(folder, MIXTURE).exists():
        return Mixture.load(folder, members)
    if members is not None:
        raise InputError(f"{folder} is no finished ensemble: it has no members to choose from.")
    return Surrogate.load(folder)


def component(folder: Path | str, k: int) -> Path:
    """The run folder of component k."""
    return Path(folder, f"component-{k:02d}")


def write_mixture(folder: Path | str, weights: Sequence[float]) -> None:
    """Write ``mixture.json`` beside the components that it names."""
    checksums = [_checksum(component(folder, k)) for k in range(len(weights))]
    with replacing(Path(folder, MIXTURE)) as part:
        part.write_text(json.dumps({"weights": list(weights), "weights_sha256": checksums}, indent=2) + "\n")


def _checksum(run: Path) -> str:
    path = run / WEIGHTS
    if not path.exists():
        raise InputError(f"{path} is missing: is the mixture's folder whole?")
    return sha256(path.read_bytes()).hexdigest()


def _seed(seed: int, k: int) -> int:
    """A seed for component k; −1 is the choice of components."""
    return int(np.random.SeedSequence([seed, k + 1]).generate_state(1)[0]) % SEED_LIMIT
