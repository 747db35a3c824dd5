"""Speed of a trained model: showers/s in memory and written to a file, and the latency of one shower alone.

python benchmarks/generate.py RUN_FOLDER [--events 200000] [--runs 5]

Incident energies are log-uniform over the trained range. Medians of several alternating runs, after a warm-up.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

import caloforge
from caloforge.conditions import ConditionSampler
from caloforge.production import produce, surrogate_identity
from caloforge.surrogate import Surrogate

SINGLE = 200


def machine() -> str:
    """CPU model, cores, versions and command."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "h5py"))
    python = f"Python {platform.python_version()}, caloforge {caloforge.__version__}, {packages}"
    return f"{model}, {len(os.sched_getaffinity(0))} cores\n{python}\n{' '.join(sys.argv)}"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print(machine())
    surrogate = Surrogate.load(given.run)
    low, high = surrogate.trained["energy"]
    source = ConditionSampler({"energy": f"log:{low}MeV:{high}MeV"})
    identity = surrogate_identity(surrogate, given.run)
    conditions, alone = source.sample(1, 0, given.events), source.sample(1, 0, 1)
    memory, written, single = [], [], []
    surrogate.sample(source.sample(1, 0, 4096), seed=1)
    surrogate.sample(alone, seed=1)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for number in range(given.runs):
            output = Path(folder, f"{number}.h5")
            memory.append(seconds(lambda: surrogate.sample(conditions, seed=1)))
            written.append(seconds(lambda: produce(surrogate, source, given.events, output, 1, identity)))  # noqa: B023
            single += [seconds(lambda: surrogate.sample(alone, seed=1)) for _ in range(SINGLE)]
            output.unlink()
    print(f"in memory: {given.events / median(memory):12,.0f} showers/s")
    print(f"written:   {given.events / median(written):12,.0f} showers/s")
    print(f"ratio written to memory: {median(m / w for m, w in zip(memory, written, strict=True)):.3f}")
    print(f"one shower alone: {1000 * median(single):.3f} ms (median of {len(single)})")


if __name__ == "__main__":
    main()
