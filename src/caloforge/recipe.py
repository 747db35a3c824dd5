"""`Recipe`: what a configuration describes, ready to be trained: a surrogate, its training, and perhaps an ensemble."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from caloforge.ensembles import AdaGAN, Mixture
from caloforge.showers import Showers
from caloforge.surrogate import Surrogate
from caloforge.training import Training

__all__ = ["Recipe"]


class Recipe(NamedTuple):
    """A surrogate that is not yet trained, how to train it, and how to make an ensemble of such, if at all."""

    surrogate: Surrogate
    training: Training
    ensemble: AdaGAN | None = None

    def config(self) -> dict[str, Any]:
        """All that decides the result, as a run's ``config.yaml`` has it."""
        own = {**self.surrogate.config(), "training": asdict(self.training)}
        return own if self.ensemble is None else {"ensemble": self.ensemble.config(), **own}

    def trained_by(self, **training: Any) -> "Recipe":
        """The same with other settings of the training."""
        return self._replace(training=replace(self.training, **training))

    def fit(
        self,
        showers: Showers,
        folder: Path | str,
        resume: bool = False,
        provenance: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> Surrogate | Mixture:
        """Train as told, into a run's folder; `say` hears what is going on."""
        if self.ensemble is None:
            return self.surrogate.fit(showers, self.training, None, folder, resume, provenance)
        return self.ensemble.fit(self.surrogate, showers, self.training, folder, resume, provenance, say)
