r"""A trained model with all that makes it a simulator: physical units in, physical units out.

.. math::  z,\,u \sim \mathrm{noise} \;\to\; E_\mathrm{dep} = E\,Q(u \mid E) \;\to\; y = G(z, c(E, E_\mathrm{dep}))
           \;\to\; x = T^{-1}(y) \;\to\; \text{cells above threshold, in MeV}

`Surrogate` owns the model :math:`G`, the chain of transforms :math:`T` and, if the chain imposes the deposited energy,
the response :math:`Q`; then the noise has one number more, :math:`u`. Showers with nothing above the thresholds have no
shape to learn: they are left out of the training and come back through the response.

**Reproducible sampling.** Shower i depends on its conditions, the seed and ``first_event + i`` alone, bit for bit,
however a request is cut (on one machine, at one number of threads): see `caloforge.models.blocks`.

**A run is a folder**: ``config.yaml`` (classes and arguments, complete), ``surrogate.safetensors`` (weights,
statistics, geometry, trained range), ``log.csv`` and ``provenance.json``. Nothing is ever unpickled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caloforge import run_folder
from caloforge.conditions import trained_range
from caloforge.errors import InputError
from caloforge.geometry import Geometry
from caloforge.learning_set import LearningSet
from caloforge.models.base import Latent, Model
from caloforge.models.blocks import Blocks
from caloforge.models.configuration import construct, describe, read_config, read_weights, write_weights
from caloforge.models.response import Response
from caloforge.run_folder import CONFIG, PROVENANCE, WEIGHTS
from caloforge.showers import Conditions, Showers, check_conditions
from caloforge.training import CHECKPOINT, Training
from caloforge.transforms import Chain, Threshold, Transform

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Surrogate"]

Floats = NDArray[np.float64]


class Surrogate(nn.Module):
    """A `Simulator` that learns.

    Parameters
    ----------
    geometry : of the showers that it is trained on and makes.
    model : the generative model.
    transforms : from MeV to the model's learning space, in order.
    conditions : names of what users give, with ``"energy"`` (MeV).
    threshold : apply the geometry's thresholds before training. Generated showers get them in any case, unless `cuts`
        is set to False, to see what the model itself makes.
    """

    def __init__(
        self,
        geometry: Geometry,
        model: Model,
        transforms: Sequence[Transform] = (),
        conditions: Sequence[str] = ("energy",),
        threshold: bool = True,
    ) -> None:
        super().__init__()
        if "energy" not in conditions or "deposited" in conditions:
            raise InputError(
                f"the conditions are {tuple(conditions)}; 'energy' must be there, and 'deposited' not: it "
                "comes from the response model."
            )
        if not isinstance(threshold, bool):
            raise InputError(f"threshold is {threshold!r}; expected true or false.")
        self.geometry, self.conditions, self.threshold = geometry, tuple(conditions), threshold
        self.model, self.chain = model, Chain(transforms)
        self.cut = Threshold(geometry.thresholds.tolist(), keep_total=threshold and "energy_total" in self.imposed)
        self.response = Response() if "deposited" in self.chain.requires else None
        self.trained: dict[str, tuple[float, float]] = {}
        self.provenance: dict[str, Any] = {}
        self.training_settings: dict[str, Any] = {}
        self._blocks = Blocks()
        self._cuts = True

    @property
    def cuts(self) -> bool:
        """Whether generated showers get the thresholds."""
        return self._cuts

    @cuts.setter
    def cuts(self, cuts: bool) -> None:
        self._cuts = cuts
        self._blocks.forget()

    @property
    def kind(self) -> str:
        """What it is, for the provenance of its showers."""
        return f"surrogate {type(self.model).__module__}.{type(self.model).__qualname__}"

    @property
    def imposed(self) -> tuple[str, ...]:
        """Observables that are put in, not learned."""
        return self.chain.imposes

    @property
    def latent(self) -> Latent:
        """The noise of `forward`: the model's, and one number more for the response."""
        latent = self.model.latent
        return Latent(latent.size + (self.response is not None), latent.distribution)

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        """Noise (N, latent.size) and conditions (N, k) in MeV, rad → cells (N, n_cells) in MeV: the exported graph."""
        c = dict(zip(self.conditions, conditions.unbind(1), strict=True))
        if self.response is not None:
            c["deposited"] = self.response(self.latent.uniform(z[:, -1]), c["energy"])
        return self.decode(z, c)

    def decode(self, z: Tensor, c: Mapping[str, Tensor]) -> Tensor:
        """As `forward`, with conditions by name, among them ``"deposited"`` (MeV) if the chain requires it."""
        y = self.model(z[:, : self.model.latent.size], self.model.conditioning(c))
        x = self.chain.inverse(y, c)
        return self.cut.inverse(x, c) if self.cuts else x

    # Training

    def fit(
        self,
        showers: Showers,
        training: Training,
        weights: Floats | None = None,
        folder: Path | str | None = None,
        resume: bool = False,
        provenance: Mapping[str, Any] | None = None,
    ) -> Self:
        """Train on showers, with weights (N,) of any scale; the run is kept in `folder`, if given.

        Parameters
        ----------
        resume : continue a training that was interrupted; a finished one is read.
        provenance : identity of the training events (simulator, seed, event ranges), for ``provenance.json``.
        """
        self._check_fit(showers)
        learning_set = LearningSet(showers, self.threshold, weights)
        fabric = training.launch()
        self.training_settings = asdict(training)
        self.provenance = {
            "data": dict(provenance or {}),
            "showers": len(showers),
            "fingerprint": learning_set.fingerprint(),
            "versions": run_folder.versions(),
        }
        run = None if folder is None else Path(folder)
        if run is not None:
            run_folder.check(run, resume, self.config(), self.provenance["fingerprint"])
        try:
            if run is None or not self._begin(run, fabric):
                self._train(learning_set, training, run, resume, fabric)
        except BaseException:
            if run is not None and fabric.is_global_zero:
                run_folder.abandon(run)
            raise
        return self

    def _train(
        self, learning_set: LearningSet, training: Training, run: Path | None, resume: bool, fabric: "Fabric"
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            self._build()
            data, self.trained = learning_set.batch(self.conditions, self.model, self.chain, self.response)
        training.run(self.model, data, run, resume, fabric)
        self._blocks.forget()
        if run is not None and fabric.is_global_zero:
            self.save(run)
            (run / CHECKPOINT).unlink(missing_ok=True)
        fabric.barrier()

    def _check_fit(self, showers: Showers) -> None:
        if showers.geometry != self.geometry:
            raise InputError(
                f"the showers are of geometry {showers.geometry.name!r}, the surrogate is for "
                f"{self.geometry.name!r}, or their cells differ."
            )
        if missing := [name for name in self.conditions if name not in showers.conditions]:
            raise InputError(
                f"the showers have the conditions {', '.join(showers.conditions)}; {', '.join(missing)} is missing."
            )

    def _begin(self, run: Path, fabric: "Fabric") -> bool:
        """Prepare the run's folder; true if the training was finished before, and has been read."""
        finished = (run / WEIGHTS).exists()
        fabric.barrier()
        if fabric.is_global_zero and not finished:
            run_folder.write_description(run, self.config(), self.provenance)
        if finished:
            self._read(run)
        return finished

    def _build(self) -> None:
        names = self.conditions + (() if self.response is None else ("deposited",))
        self.model.build(self.geometry.shapes, names)

    def deposited(self, showers: Showers) -> Floats:
        """The deposited energy (N,) in MeV as this surrogate counts it: above thresholds, if trained with them."""
        return LearningSet(showers, self.threshold).deposited

    # Sampling

    def sample(self, conditions: Conditions, seed: int, first_event: int = 0) -> Showers:
        """One shower per condition; shower i depends on (conditions[i], seed, first_event + i) alone.

        Give ``"deposited"`` (MeV) beside the surrogate's own conditions to bypass the response model.
        """
        names = self.conditions
        if self.response is not None and "deposited" in conditions:
            names = (*names, "deposited")
        table = self._table(conditions, names)
        energies = np.empty((len(table), self.geometry.n_cells), dtype=np.float32)

        def bypass(z: Tensor, c: Tensor) -> Tensor:
            return self.decode(z, dict(zip(names, c.unbind(1), strict=True)))

        network = self if names == self.conditions else bypass
        self._blocks.run(network, self.latent, table, seed, first_event, energies, self.cut.thresholds.device)
        return Showers(energies, conditions, self.geometry)

    def _table(self, conditions: Conditions, names: tuple[str, ...]) -> NDArray[np.float32]:
        """The conditions, which must be these and within the trained range, as columns (N, k)."""
        if not self.trained:
            raise InputError("this surrogate is not trained: fit it, or load one.")
        if conditions.keys() != set(names):
            raise InputError(
                f"got the conditions {', '.join(conditions)}; this surrogate was trained on "
                f"{', '.join(names)}: give exactly these."
            )
        table = np.empty((len(conditions["energy"]), len(names)), dtype=np.float32)
        for column, name in enumerate(names):
            values = np.asarray(conditions[name], dtype=np.float64)
            if values.shape != table[:, 0].shape:
                check_conditions(conditions)  # says what is wrong
            low, high = trained_range(name, *self.trained[name])
            if values.size and not (low <= values.min() and values.max() <= high):
                raise InputError(
                    f"{name} goes from {values.min():g} to {values.max():g}; the surrogate was trained on "
                    f"{self.trained[name][0]:g} to {self.trained[name][1]:g} (MeV, rad): stay inside, or train on more."
                )
            table[:, column] = values
        return table

    @torch.inference_mode()
    def verdict(self, showers: Showers) -> Floats:
        """What the model's own discriminator says of each shower, shape (N,): more is more like Geant4; 0 if empty."""
        found = np.zeros(len(showers))
        for rows, x, c in LearningSet(showers, self.threshold).shown(self.conditions, self.chain):
            found[rows] = self.model.verdict(x, self.model.conditioning(c)).double().numpy()
        return found

    # Files

    def config(self) -> dict[str, Any]:
        """Everything but the weights and the geometry, as ``config.yaml`` has it."""
        return {
            "conditions": list(self.conditions),
            "threshold": self.threshold,
            "model": describe(self.model),
            "transforms": describe(self.chain.transforms),
            "training": self.training_settings,
        }

    def save(self, folder: Path | str) -> None:
        """Write ``config.yaml``, ``provenance.json`` and, last, ``surrogate.safetensors``."""
        folder = Path(folder)
        run_folder.write_description(folder, self.config(), self.provenance)
        notes = {"geometry": self.geometry.to_json(), "trained": self.trained}
        write_weights(folder / WEIGHTS, self.state_dict(), notes)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The surrogate of a run's folder."""
        folder = Path(folder)
        config = read_config(folder / CONFIG, {"conditions", "threshold", "model", "transforms", "training"})
        try:
            _, notes = read_weights(folder / WEIGHTS)
            geometry = Geometry.from_json(notes["geometry"])
            model = construct(config["model"], Model)  # type: ignore[type-abstract]
            transforms = [construct(each, Transform) for each in config["transforms"]]  # type: ignore[type-abstract]
            surrogate = cls(geometry, model, transforms, config["conditions"], config["threshold"])
            surrogate.training_settings = config["training"]
            surrogate._read(folder)
        except (TypeError, KeyError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{folder / CONFIG} is not what training wrote ({reason}): was it edited?") from error
        return surrogate

    def _read(self, folder: Path) -> None:
        """Weights, statistics and provenance of a run with this configuration."""
        tensors, notes = read_weights(folder / WEIGHTS)
        self._build()
        for name in dict(self.named_buffers()).keys() & tensors.keys():
            owner, _, leaf = name.rpartition(".")
            self.get_submodule(owner).register_buffer(leaf, torch.empty_like(tensors[name]))
        try:
            self.load_state_dict(tensors)
        except RuntimeError as error:
            raise InputError(f"{folder / WEIGHTS} and {folder / CONFIG} do not fit: they are of two runs.") from error
        self.trained = {name: (low, high) for name, (low, high) in notes["trained"].items()}
        self.provenance = read_config(folder / PROVENANCE, {"data"})
        self.eval()
        self._blocks.forget()
