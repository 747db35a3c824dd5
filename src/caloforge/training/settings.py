"""How long, how fast and where to train: what a configuration's section ``training`` holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from caloforge.errors import InputError
from caloforge.models.base import Batch, Model
from caloforge.training.loop import Loop

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Training"]

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")


@dataclass(frozen=True)
class Training:
    """How long, how fast and where to train.

    Parameters
    ----------
    epochs, steps, max_seconds : the training ends at whichever comes first; give at least one.
    batch_size : showers per step and process.
    ema : decay per step of the moving average of the weights, which is what a run keeps; 0 keeps the last weights.
    schedule, warmup : the learning rate stays, or falls to zero as a cosine; it first rises over `warmup` steps.
    seed : of the initial weights, the order of the data and all noise.
    log_steps : steps per row of the log; a row holds mean losses.
    checkpoint_seconds : time between checkpoints.
    accelerator, devices, strategy, precision : as in Lightning Fabric.
    threads : of torch in this process; all cores if not given.
    progress : show a progress bar on standard error.
    """

    epochs: float | None = None
    steps: int | None = None
    max_seconds: float | None = None
    batch_size: int = 256
    ema: float = 0.999
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 0
    seed: int = 1
    log_steps: int = 100
    checkpoint_seconds: float = 60.0
    accelerator: str = "cpu"
    devices: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        lengths = [length for length in (self.epochs, self.steps, self.max_seconds) if length is not None]
        if not lengths or min(lengths) <= 0:
            raise InputError("give the length of the training, above zero, as epochs, steps or max_seconds.")
        if self.accelerator not in ACCELERATORS or self.devices < 1 or (self.threads or 1) < 1 or self.seed < 0:
            raise InputError(
                f"accelerator must be one of {', '.join(ACCELERATORS)}, devices and threads above zero, the seed not "
                f"negative, got {self.accelerator}, {self.devices}, {self.threads}, {self.seed}."
            )
        if self.batch_size < 1 or not 0 <= self.ema < 1 or self.log_steps < 1:
            raise InputError(
                f"batch_size and log_steps must be at least 1 and 0 ≤ ema < 1, got {self.batch_size}, "
                f"{self.log_steps}, {self.ema}."
            )

    def launch(self) -> "Fabric":
        """Start the other processes, if any, and return the Fabric that all share."""
        from lightning_fabric import Fabric

        try:
            fabric = Fabric(
                accelerator=self.accelerator, devices=self.devices, strategy=self.strategy, precision=self.precision
            )
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.devices} x {self.accelerator} with {self.precision} cannot be used here: {error}"
            ) from error
        fabric.launch()
        return fabric

    def run(
        self,
        model: Model,
        data: Batch,
        folder: Path | None = None,
        resume: bool = False,
        fabric: "Fabric | None" = None,
    ) -> None:
        """Train `model`, which is built and prepared, on `data`; it ends with averaged weights on the CPU.

        With a `folder`, the log and checkpoints are written there; `resume` continues from the checkpoint, if any.
        """
        with _threads(self.threads):
            loop = Loop(self, model, data, folder, fabric or self.launch())
            if resume:
                loop.restore()
            loop.run()


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """Torch with `n` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
