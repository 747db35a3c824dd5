r"""AdaGAN (Tolstikhin et al., arXiv 1701.02386): boosting, for any generative model.

A model that misses parts of the data is joined by another, which is trained on what is missing. Component t = 1, …, T
is trained on weighted data; the weights are those of `caloforge.ensembles.weights`, from the densities of data and of
the mixture so far, as `caloforge.ensembles.discriminator` judges them. The first component sees all data alike. With
chosen component weights b, component t joins with :math:`\beta_t = b_t / \sum_{s \le t} b_s`, so that the final
mixture has the weights :math:`b_t / \sum_s b_s`. Jaruskova and Vallecorsa used this for calorimeter showers, with ten
components of equal weight.

A run's folder holds a run folder per component, beside it the weights that it was trained with, ``ensemble.csv`` with a
row per component (β, the discriminator's AUC, the effective number of showers), and last ``mixture.json``. A training
that was stopped goes on between components and inside them.
"""

import copy
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from caloforge.atomic import replacing
from caloforge.ensembles.discriminator import Judgement, calibrated, density_ratio
from caloforge.ensembles.mixture import Mixture, component, write_mixture
from caloforge.ensembles.weights import Floats, Rule, boosted_weights, effective_sample_size, energy_bins
from caloforge.errors import InputError
from caloforge.run_folder import CONFIG, check_config, write_config
from caloforge.showers import Showers
from caloforge.surrogate import Surrogate
from caloforge.training import Training

__all__ = ["AdaGAN"]

TABLE = "ensemble.csv"


@dataclass(frozen=True)
class AdaGAN:
    """How an ensemble is made.

    Parameters
    ----------
    members : T, the number of components.
    component_weights : b, one per component, of any scale; equal by default.
    rule : ``star``, ``dagger`` or ``top_k`` (`caloforge.ensembles.weights`).
    top : the share of the showers that ``top_k`` keeps.
    discriminator : ``mixture``: one that is trained for the purpose, cross-fitted and calibrated; ``own``: that of
        the component trained last, calibrated, which knows its training showers already (for comparison).
    energy_bins : bins of equal population, within which weights are normalised.
    folds : of the cross-fitting.
    """

    members: int = 10
    component_weights: list[float] | None = None
    rule: Rule = "star"
    top: float = 0.5
    discriminator: Literal["mixture", "own"] = "mixture"
    energy_bins: int = 10
    folds: int = 4

    def __post_init__(self) -> None:
        if self.members < 1 or self.energy_bins < 1 or self.folds < 2 or not 0 < self.top <= 1:
            raise InputError(
                f"members and energy_bins must be at least 1, folds at least 2, top above 0 and at most 1; got "
                f"{self.members}, {self.energy_bins}, {self.folds}, {self.top}."
            )
        if len(self.shares) != self.members or not all(isfinite(each) and each > 0 for each in self.shares):
            raise InputError(f"component_weights are {self.component_weights}; expected {self.members} above zero.")

    @property
    def shares(self) -> list[float]:
        """The weights b of the components in the final mixture."""
        return [1.0] * self.members if self.component_weights is None else list(self.component_weights)

    def config(self) -> dict[str, Any]:
        """The settings, as a run's ``config.yaml`` has them."""
        return asdict(self)

    def fit(
        self,
        surrogate: Surrogate,
        showers: Showers,
        training: Training,
        folder: Path | str,
        resume: bool = False,
        provenance: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> Mixture:
        """Train copies of `surrogate` one after another, each with a seed of its own, in `folder`; their mixture.

        Arguments are as for `Surrogate.fit`; `say` hears what is going on.
        """
        folder = Path(folder)
        if training.devices > 1:
            raise InputError(f"training.devices is {training.devices}; ensembles are trained on one device.")
        self._begin(folder, {"ensemble": self.config(), **surrogate.config(), "training": asdict(training)}, resume)
        parts: list[Surrogate] = []
        for t in range(self.members):
            own = replace(training, seed=training.seed + t)
            weights = self._weights(folder, parts, showers, own.seed)
            say(f"component {t + 1} of {self.members}: {effective_sample_size(weights):.0f} effective showers")
            begun = copy.deepcopy(surrogate)
            parts.append(begun.fit(showers, own, weights, component(folder, t), resume=True, provenance=provenance))
        write_mixture(folder, self.shares)
        return Mixture.load(folder)

    def _begin(self, folder: Path, config: Mapping[str, Any], resume: bool) -> None:
        """Make the folder, or make sure that it is of this ensemble."""
        if (folder / CONFIG).exists():
            if not resume:
                raise InputError(f"{folder} already holds a run: resume it, or give another folder.")
            check_config(folder, config)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_config(folder, config)

    def _weights(self, folder: Path, parts: Sequence[Surrogate], showers: Showers, seed: int) -> Floats:
        """The weights (N,), of sum 1, for the component after `parts`; kept, with what the table says of them."""
        t = len(parts)
        path = Path(f"{component(folder, t)}-weights.safetensors")
        if not path.exists():
            beta = self.shares[t] / sum(self.shares[: t + 1])
            weights, auc = np.full(len(showers), 1 / len(showers)), nan
            if parts:
                judgement = self._judgement(parts, showers, seed)
                bins = energy_bins(showers.incident, self.energy_bins)
                weights, auc = boosted_weights(judgement.ratio, beta, bins, self.rule, self.top), judgement.auc
            with replacing(path) as part:
                save_file({"weights": weights}, part, _row(t, beta, auc, weights))
            _tabulate(folder)
        with safe_open(path, framework="np") as file:
            return np.asarray(file.get_tensor("weights"))

    def _judgement(self, parts: Sequence[Surrogate], showers: Showers, seed: int) -> Judgement:
        """How dense the mixture of `parts` is at each shower, from as many showers of it at the same conditions."""
        last = parts[-1]
        known = Showers(showers.energies, {name: showers.conditions[name] for name in last.conditions}, last.geometry)
        if self.discriminator == "own":
            return calibrated(last.verdict(known), last.verdict(last.sample(known.conditions, seed)))
        mixture = Mixture(parts, self.shares[: len(parts)])
        return density_ratio(known, mixture.sample(known.conditions, seed), self.folds, seed)


def _row(t: int, beta: float, auc: float, weights: Floats) -> dict[str, str]:
    return {
        "component": str(t),
        "beta": f"{beta:.6g}",
        "auc": f"{auc:.4f}",
        "effective_showers": f"{effective_sample_size(weights):.1f}",
        "largest_weight": f"{weights.max() * len(weights):.4g}",  # the mean being 1
        "share_of_zeros": f"{(weights == 0).mean():.4f}",
    }


def _tabulate(folder: Path) -> None:
    """Write the table of all weights that are there."""
    rows = []
    for path in sorted(folder.glob("component-*-weights.safetensors")):
        with safe_open(path, framework="np") as file:
            rows.append(file.metadata())
    with replacing(folder / TABLE) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted(rows[0], key=list(_row(0, 0, 0, np.ones(1))).index), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
