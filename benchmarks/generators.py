"""Speed of the CLIC line's generators, beside Geant4 at the same energies: showers/s with one thread.

python benchmarks/generators.py [--batch 100] [--runs 5] [--geant4 20]

Energies are uniform from 2 to 500 GeV. Weights are random, which changes no speed. Runs of all generators alternate, in
single and half precision; medians are printed. ``sample`` is a whole surrogate: noise, network, transforms, thresholds.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import torch

import caloforge
from caloforge.detectors import clic_ecal
from caloforge.models import GAN2D, GAN3D, CompactGAN, Model
from caloforge.showers import Showers
from caloforge.surrogate import Surrogate
from caloforge.training import Training
from caloforge.transforms import CellPower, PerIncident

LOW, HIGH = 2e3, 5e5  # MeV
GENERATORS: dict[str, Callable[..., Model]] = {
    "Conv3D (Rehm)": partial(GAN3D, "rehm"),
    "Conv3D (fixed angle)": partial(GAN3D, "fixed"),
    "Conv2D": GAN2D,
    "compact": CompactGAN,
}


def machine() -> str:
    """CPU model, cores, load, versions and command."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    load = f"{os.getloadavg()[0]:.1f} processes running at the start"
    python = f"Python {platform.python_version()}, caloforge {caloforge.__version__}, torch {version('torch')}"
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {load}\n{python}\n{' '.join(sys.argv)}"


def network(make: Callable[..., Model], bf16: bool, batch: int) -> Callable[[], object]:
    """One batch of a generator, noise given."""
    model = make(bf16=bf16)
    model.build(clic_ecal().shapes, ("energy",))
    energy = torch.linspace(LOW, HIGH, batch)
    z, c = torch.from_numpy(model.latent.block(1, 0)[:batch]), model.conditioning({"energy": energy})

    @torch.inference_mode()
    def work() -> object:
        return model(z, c)

    return work


def sampling(batch: int) -> Callable[[], object]:
    """A compact surrogate's ``sample``, after a training of one step on showers of noise."""
    rng = np.random.default_rng(1)
    energy = rng.uniform(LOW, HIGH, 64)
    cells = rng.exponential(1e-6, (64, 15_625)) * energy[:, None]
    showers = Showers(cells.astype(np.float32), {"energy": energy}, clic_ecal())
    surrogate = Surrogate(clic_ecal(), CompactGAN(bf16=True), [PerIncident(), CellPower(0.5, 1.0)])
    surrogate.fit(showers, Training(steps=1, batch_size=8, progress=False, threads=1))
    conditions = {"energy": rng.uniform(energy.min(), energy.max(), batch)}
    return lambda: surrogate.sample(conditions, seed=1)


def geant4_rate(events: int) -> float:
    """Showers/s of Geant4 with one worker."""
    from caloforge.simulate.geant4 import Geant4

    with Geant4(clic_ecal(), workers=1) as geant4:
        geant4.sample({"energy": np.full(2, LOW)}, seed=1)
        begin = time.perf_counter()
        geant4.sample({"energy": LOW + (HIGH - LOW) * (np.arange(events) + 0.5) / events}, seed=1)
        return events / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--geant4", type=int, default=20, help="showers to simulate beside; 0 for none")
    given = parser.parse_args()
    print(machine())
    torch.set_num_threads(1)
    works = {
        f"{name}, {'bfloat16' if half else 'float32'}": (network(make, half, given.batch), given.batch)
        for name, make in GENERATORS.items()
        for half in (False, True)
    }
    works["compact, bfloat16, sample"] = (sampling(1024), 1024)
    times: dict[str, list[float]] = {name: [] for name in works}
    for run in range(given.runs + 1):
        for name, (work, _) in works.items():
            begin = time.perf_counter()
            work()
            if run:  # the first warms up
                times[name].append(time.perf_counter() - begin)
    rates = {name: size / median(times[name]) for name, (_, size) in works.items()}
    geant4 = geant4_rate(given.geant4) if given.geant4 else float("nan")
    print(f"{'Geant4':32} {geant4:10.2f} showers/s")
    for name, rate in rates.items():
        print(f"{name:32} {rate:10.1f} showers/s, {rate / geant4:9,.0f} x Geant4")
    for half in ("float32", "bfloat16"):
        print(f"Conv2D over Rehm's Conv3D, {half}: {rates[f'Conv2D, {half}'] / rates[f'Conv3D (Rehm), {half}']:.2f}")


if __name__ == "__main__":
    main()
