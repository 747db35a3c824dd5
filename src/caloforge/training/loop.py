r"""The loop: everything that models have in common.

It owns the order of the data, devices and processes (Lightning Fabric), precision, learning-rate schedule, the
exponential moving average (EMA) of the weights, and what checkpoints and log hold. A model brings ``step``.

**Resuming.** A checkpoint holds the model, its average, the optimisers, the number of steps and the generator's state;
the order of the data is a function of (seed, epoch) alone. So a training that was killed and resumed equals one that
was not, bit for bit on a CPU at a given number of threads, if its length is given in steps or epochs. ``max_seconds``
counts only time spent training; where it ends the training, or drives the schedule, the result depends on the machine's
speed.

**Several processes.** Each takes its part of every batch; ``backward`` averages the gradients over all processes, so
any rhythm of updates works, and all processes hold the same weights at every step.
"""

import time
from collections.abc import Callable, Iterator
from math import cos, inf, isfinite, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from caloforge.errors import DivergenceError, InputError
from caloforge.models.base import Batch, Model
from caloforge.training.bar import progress_bar
from caloforge.training.records import CHECKPOINT, LOG, append_row, keep_rows, read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from caloforge.training.settings import Training

__all__ = ["Loop"]


class Loop:
    """The state of one training: everything that a checkpoint holds, and what is needed to go on from it."""

    def __init__(self, training: "Training", model: Model, data: Batch, folder: Path | None, fabric: "Fabric") -> None:
        self.training, self.fabric, self.folder = training, fabric, folder
        self.model = model.to(fabric.device).train()
        self.data = Batch(*(each.to(fabric.device) for each in data))
        self.average = AveragedModel(model.exported, multi_avg_fn=_moving_average(training.ema))
        self.optimizers = {
            name: cast(torch.optim.Optimizer, fabric.setup_optimizers(each))
            for name, each in model.optimizers().items()
        }
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.rng = torch.Generator(fabric.device).manual_seed(1_000_003 * training.seed + fabric.global_rank)
        self.step, self.seconds = 0, 0.0
        self.sums: dict[str, Tensor] = {}

        n, world = len(data.x), fabric.world_size
        if n < world:
            raise InputError(f"there are {n} showers to train on; expected at least {world}, one per process.")
        self.size = min(training.batch_size, n // world)
        self.n_batches = n // (self.size * world)
        self.last_step = min(training.steps or inf, (training.epochs or inf) * self.n_batches)

    @property
    def progress(self) -> float:
        """Fraction of the training that is done, from 0 to 1."""
        return min(1.0, max(self.step / self.last_step, self.seconds / (self.training.max_seconds or inf)))

    def run(self) -> None:
        """Step until the end; the model then has its averaged weights."""
        start, saved = time.perf_counter() - self.seconds, self.seconds
        with progress_bar(self.training.progress and self.fabric.is_global_zero) as show:
            for batch in self.batches():
                self.update(batch)
                self.seconds = self.clock(start)
                if self.step % self.training.log_steps == 0:
                    self.log()
                if self.seconds - saved > self.training.checkpoint_seconds:
                    self.save()
                    saved = self.seconds
                show(self)
        if self.sums:
            self.log()
        self.save()
        if self.training.ema:
            self.model.exported.load_state_dict(self.average.module.state_dict())
        self.model.to("cpu").eval()

    def clock(self, start: float) -> float:
        """Seconds of training so far, the same in all processes."""
        seconds = time.perf_counter() - start
        return seconds if self.fabric.world_size == 1 else float(self.fabric.broadcast(seconds))

    def batches(self) -> Iterator[Batch]:
        """This process's batches from the present step on; each epoch is a new order of all showers."""
        share = self.size * self.fabric.world_size
        epoch, order = -1, torch.empty(0)
        while self.progress < 1:
            if epoch != self.step // self.n_batches:
                epoch = self.step // self.n_batches
                shuffle = torch.Generator().manual_seed(1_000_003 * self.training.seed + epoch)
                order = torch.randperm(len(self.data.x), generator=shuffle).to(self.fabric.device)
            first = self.step % self.n_batches * share + self.fabric.global_rank * self.size
            index = order[first : first + self.size]
            yield Batch(*(each[index] for each in self.data))

    def update(self, batch: Batch) -> None:
        """One step of the model, at the scheduled learning rate, and of its moving average."""
        factor = self.learning_rate_factor()
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
        with self.fabric.autocast():
            losses = self.model.step(batch, self.optimizers, self.backward, self.rng, self.progress)
        self.average.update_parameters(self.model.exported)
        self.step += 1
        self.sums = {name: self.sums.get(name, 0.0) + loss for name, loss in losses.items()}

    def learning_rate_factor(self) -> float:
        """What the schedule multiplies the learning rate by."""
        rise = min(1.0, (self.step + 1) / max(self.training.warmup, 1))
        return rise * (0.5 * (1 + cos(pi * self.progress)) if self.training.schedule == "cosine" else 1.0)

    def backward(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Gradients of `loss` for the parameters of `optimizer`, averaged over all processes."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss, inputs=parameters)
        if self.fabric.world_size > 1:
            gradients = [p.grad for p in parameters if p.grad is not None]
            mean = cast(Tensor, self.fabric.all_reduce(torch.cat([g.flatten() for g in gradients]), reduce_op="mean"))
            for g, part in zip(gradients, torch.split(mean, [g.numel() for g in gradients]), strict=True):
                g.copy_(part.view_as(g))

    def log(self) -> None:
        """Append the mean losses of the last steps to the log; losses that are not finite end the training."""
        n = (self.step - 1) % self.training.log_steps + 1
        losses = {name: float(total) / n for name, total in self.sums.items()}
        self.sums = {}
        if not all(isfinite(loss) for loss in losses.values()):
            raise DivergenceError(
                f"the training diverged before step {self.step}, its losses are {losses}: lower the learning rate."
            )
        if self.folder is None or not self.fabric.is_global_zero:
            return
        rate = next(iter(self.optimizers.values())).param_groups[0]["lr"]
        row = {
            "step": self.step,
            "epoch": round(self.step / self.n_batches, 3),
            "seconds": round(self.seconds, 2),
            "learning_rate": rate,
            **losses,
        }
        append_row(self.folder, row)

    def save(self) -> None:
        """Write the checkpoint."""
        if self.folder is None:
            return
        generators = cast(Tensor, self.fabric.all_gather(self.rng.get_state()))
        if not self.fabric.is_global_zero:
            return
        state = {
            "identity": self.identity(),
            "step": self.step,
            "seconds": self.seconds,
            "sums": self.sums,
            "generators": generators.reshape(self.fabric.world_size, -1).cpu(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "precision": self.fabric.strategy.precision.state_dict(),
        }
        write_checkpoint(self.folder, state)

    def restore(self) -> None:
        """Continue from the checkpoint, if there is one; rows of the log that came after it are dropped."""
        if self.folder is None:
            return
        state = read_checkpoint(self.folder, self.fabric.device)
        if state is None:
            (self.folder / LOG).unlink(missing_ok=True)  # of a start that came to no checkpoint
            return
        if state["identity"] != self.identity():
            raise InputError(
                f"{self.folder / CHECKPOINT} was made with other data, seed, batch size or number of "
                f"processes: {state['identity']}, now {self.identity()}."
            )
        self.step, self.seconds, self.sums = state["step"], state["seconds"], state["sums"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.rng.set_state(state["generators"][self.fabric.global_rank].cpu())
        if self.fabric.is_global_zero:
            keep_rows(self.folder, self.step)

    def identity(self) -> dict[str, float]:
        """What must be the same for a training to be continued."""
        return {
            "showers": len(self.data.x),
            "checksum": float(self.data.x.double().sum()),
            "seed": self.training.seed,
            "batch_size": self.training.batch_size,
            "processes": self.fabric.world_size,
        }


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """EMA whose decay rises from 0.1 to `decay`, so that the initial weights are soon forgotten."""

    def update(average: list[Tensor], current: list[Tensor], n: Any) -> None:
        torch._foreach_lerp_(average, current, 1 - min(decay, (1 + int(n)) / (10 + int(n))))

    return update
