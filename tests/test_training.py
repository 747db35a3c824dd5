"""The training loop: order of data, schedule, average, log, checkpoints, processes; a kill changes nothing."""

import csv
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from torch import nn

from caloforge.errors import InputError
from caloforge.models.base import Batch, Latent, Model
from caloforge.training import CHECKPOINT, LOG, Loop, Training

N = 20


class Recorder(Model):
    """Remembers what the loop gave it; its one weight follows w ← w + learning rate."""

    def __init__(self):
        super().__init__()
        self.seen, self.progress, self.random = [], [], []

    def build(self, shapes, condition_names):
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)

    latent = Latent(1)
    exported = property(lambda self: self.network)

    def optimizers(self):
        return {"only": torch.optim.SGD(self.network.parameters(), lr=1.0)}

    def step(self, batch, optimizers, backward, rng, progress):
        self.seen.append(batch)
        self.progress.append(progress)
        self.random.append(torch.rand(1, generator=rng).item())
        loss = -self.network.weight.sum()
        backward(loss, optimizers["only"])
        optimizers["only"].step()
        return {"loss": loss.detach()}

    def forward(self, z, c):
        return self.network(z)


def recorder():
    model = Recorder()
    model.build((), ())
    return model


def data(n=N):
    x = torch.arange(n, dtype=torch.float32)
    return Batch(x[:, None], 10 * x[:, None], 100 * x)


def train(model=None, folder=None, resume=False, **settings):
    model = model or recorder()
    settings = {"batch_size": 5, "ema": 0.0, "progress": False, **settings}
    Training(**settings).run(model, data(), folder, resume)
    return model


def rows_of(folder, without=""):
    rows = csv.DictReader((folder / LOG).read_text().splitlines())
    return [{key: value for key, value in row.items() if key != without} for row in rows]


def test_an_epoch_is_every_shower_once_in_a_new_order():
    seen = torch.cat([batch.x[:, 0] for batch in train(epochs=3).seen]).reshape(3, N)
    assert torch.equal(seen.sort(1).values, torch.arange(N).expand(3, N).float())
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], torch.arange(N).float())


def test_conditions_and_weights_stay_with_their_shower():
    for x, c, w in train(epochs=1).seen:
        assert torch.equal(c, 10 * x)
        assert torch.equal(w, 100 * x[:, 0])


def test_seed_fixes_order_and_noise():
    first, same, other = train(epochs=1), train(epochs=1), train(epochs=1, seed=2)
    assert first.random == same.random
    assert torch.equal(first.seen[0].x, same.seen[0].x)
    assert first.random != other.random
    assert not torch.equal(first.seen[0].x, other.seen[0].x)


@pytest.mark.parametrize(("length", "steps"), [({"epochs": 2}, 8), ({"steps": 7}, 7), ({"epochs": 2, "steps": 3}, 3)])
def test_length(length, steps):
    model = train(**length)
    assert len(model.seen) == steps
    assert model.progress == pytest.approx([i / steps for i in range(steps)])


def test_max_seconds():
    start = time.perf_counter()
    assert train(max_seconds=0.3).seen
    assert 0.3 < time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"steps": 0},
        {"epochs": -1},
        {"steps": 1, "ema": 1.0},
        {"steps": 1, "batch_size": 0},
        {"steps": 1, "accelerator": "abacus"},
        {"steps": 1, "threads": -1},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(InputError):
        Training(**settings)


def test_a_damaged_checkpoint_or_log_is_no_riddle(tmp_path):
    train(steps=4, log_steps=1, folder=tmp_path)
    (tmp_path / LOG).write_text("step,seconds\n1,2\nx,3\n\n2,4\n")
    train(steps=6, log_steps=1, folder=tmp_path, resume=True)
    assert [row["step"] for row in rows_of(tmp_path)] == ["1", "2", "5", "6"]
    content = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[:500])
    with pytest.raises(InputError, match="damaged"):
        train(steps=8, folder=tmp_path, resume=True)


def test_schedule():
    # The gradient is -1, so each step adds the learning rate: warm-up 1/4, 2/4, 3/4, then 1.
    assert train(steps=6, warmup=4).network.weight.item() == pytest.approx(0.25 + 0.5 + 0.75 + 3)
    # ½(1 + cos πk/4) for k = 0 to 3.
    assert train(steps=4, schedule="cosine").network.weight.item() == pytest.approx(1 + 0.853553 + 0.5 + 0.146447)


def test_moving_average():
    # Weights 1, 2, 3, …; the first is copied, then a ← a + (1 - d)(w - a) with d = min(ema, (1 + n)/(10 + n)).
    average = 1.0
    for n, weight in enumerate((2, 3, 4), start=1):
        average += (1 - min(0.25, (1 + n) / (10 + n))) * (weight - average)
    assert train(steps=4, ema=0.25).network.weight.item() == pytest.approx(average)
    assert train(steps=4, ema=0.0).network.weight.item() == pytest.approx(4)


def test_log_holds_mean_losses(tmp_path):
    train(steps=5, log_steps=2, folder=tmp_path)
    rows = rows_of(tmp_path)
    assert [float(row["loss"]) for row in rows] == [-0.5, -2.5, -4]
    assert [row["step"] for row in rows] == ["2", "4", "5"]


def test_divergence_is_said(tmp_path):
    model = recorder()
    model.step = lambda *arguments: {"loss": torch.tensor(torch.nan)}
    with pytest.raises(InputError, match="learning rate"):
        train(model, steps=10, log_steps=5)


def test_resume_goes_on_where_it_stopped(tmp_path):
    train(steps=6, log_steps=2, folder=tmp_path)
    resumed = train(steps=10, log_steps=2, folder=tmp_path, resume=True)
    whole = train(steps=10, log_steps=2, folder=tmp_path / "whole")
    assert [b.x.tolist() for b in resumed.seen] == [b.x.tolist() for b in whole.seen[6:]]
    assert resumed.random == whole.random[6:]
    assert torch.equal(resumed.network.weight, whole.network.weight)


def test_other_data_are_not_resumed(tmp_path):
    train(steps=2, folder=tmp_path)
    with pytest.raises(InputError, match="other data"):
        Training(steps=3, batch_size=5, progress=False).run(recorder(), data(30), tmp_path, resume=True)
    with pytest.raises(InputError, match="seed"):
        train(steps=3, seed=2, folder=tmp_path, resume=True)


def test_a_torn_checkpoint_is_never_read(tmp_path, monkeypatch):
    train(steps=2, folder=tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()

    def dies(state, file):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(OSError, match="no space"):
        train(steps=3, folder=tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == whole


KILLED = """
    import sys
    from caloforge.models import WGANGP, FlowMatching
    from caloforge.surrogate import Surrogate
    from caloforge.testing import toy_geometry, toy_showers
    from caloforge.training import Training
    from caloforge.transforms import Fractions, Log, Standardize

    kind, folder, how = sys.argv[1:]
    model, transforms = {"wgan": lambda: (WGANGP(n_latent=5, width=16), [Fractions()]),
                         "flow": lambda: (FlowMatching(width=16), [Fractions(), Log(), Standardize()])}[kind]()
    training = Training(steps=120, batch_size=100, checkpoint_seconds=0, log_steps=7, schedule="cosine", warmup=20,
                        threads=1, progress=False)
    surrogate = Surrogate(toy_geometry(), model, transforms)
    surrogate.fit(toy_showers(1500, 1), training, folder=folder, resume=how == "resume")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wgan", "flow"])
def test_a_killed_and_resumed_training_equals_an_uninterrupted_one(tmp_path, monkeypatch, kind):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(KILLED))

    def run_here(folder, how):
        monkeypatch.setattr(sys, "argv", ["train.py", kind, str(tmp_path / folder), how])
        runpy.run_path(str(script))

    process = subprocess.Popen([sys.executable, str(script), kind, str(tmp_path / "killed"), "start"])
    log = tmp_path / "killed" / LOG
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > 5):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the training ended before it could be killed"
    assert (tmp_path / "killed" / CHECKPOINT).exists()
    run_here("killed", "resume")
    run_here("whole", "start")

    killed, whole = ((tmp_path / folder / "surrogate.safetensors").read_bytes() for folder in ("killed", "whole"))
    assert killed == whole
    assert rows_of(tmp_path / "killed", without="seconds") == rows_of(tmp_path / "whole", without="seconds")
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        "config.yaml",
        "log.csv",
        "provenance.json",
        "surrogate.safetensors",
    ]


PROCESSES = """
    import sys, torch
    from caloforge.models import WGANGP
    from caloforge.models.base import Batch
    from caloforge.training import Training

    training = Training(steps=5, batch_size=50, devices=2, strategy="ddp", progress=False, threads=1)
    fabric = training.launch()
    torch.manual_seed(1)
    model = WGANGP(n_latent=5, width=16)
    model.build(((1, 3),), ("theta",))
    x = torch.softmax(torch.randn(300, 3), 1)
    training.run(model, Batch(x, torch.zeros(300, 1), torch.ones(300)), fabric=fabric)
    torch.save(model.state_dict(), f"{sys.argv[1]}/{fabric.global_rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_hold_the_same_weights(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(PROCESSES))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "MASTER", "RANK", "WORLD"))}
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=120, env=environment)
    one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_gradients_are_averaged_over_processes():
    class TwoProcesses:
        world_size = 2
        backward = staticmethod(lambda loss, inputs: loss.backward(inputs=inputs))
        all_reduce = staticmethod(lambda tensor, reduce_op: {"mean": tensor / 2}[reduce_op])  # the other one has zeros

    model = recorder()
    loop = Loop.__new__(Loop)
    loop.fabric = TwoProcesses()
    loop.backward((3 * model.network.weight).sum(), torch.optim.SGD(model.network.parameters(), lr=1.0))
    assert model.network.weight.grad.item() == 1.5
