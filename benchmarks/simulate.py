"""Speed of ``caloforge simulate``: showers/s of one and two workers, and the share of a worker's time in Geant4.

python benchmarks/simulate.py [--events 500] [--runs 5] [--energy 10]      (TestEm3, e-, energy in GeV)

Runs of one and of two workers alternate, so that a machine that slows down hurts both; medians are printed. Worker
processes are started and warmed up before anything is timed.
"""

import argparse
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

import caloforge
from caloforge.detectors import testem3
from caloforge.simulate.geant4 import Geant4

TASKS = 8  # per worker


def machine() -> str:
    """CPU model, cores, versions and command."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    packages = ", ".join(f"{name} {version(name)}" for name in ("geant4-pybind", "numpy"))
    python = f"Python {platform.python_version()}, caloforge {caloforge.__version__}, {packages}"
    return f"{model}, {len(os.sched_getaffinity(0))} cores\n{python}\n{' '.join(sys.argv)}"


def run(geant4: Geant4, events: int, energy: float, first: int) -> tuple[float, float]:
    """Showers/s, and the share of the workers' time that is spent in Geant4's event loop."""
    size = -(-events // (TASKS * geant4.workers))
    tasks = [
        ({"energy": np.full(min(size, events - start), energy)}, first + start) for start in range(0, events, size)
    ]
    before, begin = geant4.loop_seconds, time.perf_counter()
    for _ in geant4.stream(tasks, seed=1):
        pass
    wall = time.perf_counter() - begin
    return events / wall, (geant4.loop_seconds - before) / (wall * geant4.workers)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--energy", type=float, default=10.0, help="GeV")
    given = parser.parse_args()
    print(machine())
    results: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    with Geant4(testem3(), workers=1) as one, Geant4(testem3(), workers=2) as two:
        for geant4 in (one, two):
            geant4.sample({"energy": np.full(4 * geant4.workers, 1000.0)}, seed=1)
        for number in range(given.runs):
            for geant4 in (one, two) if number % 2 == 0 else (two, one):
                results[geant4.workers].append(run(geant4, given.events, 1000 * given.energy, number * given.events))
    for workers, each in results.items():
        rate, share = median(r for r, _ in each), median(s for _, s in each)
        print(f"{workers} worker(s): {rate:8.2f} showers/s, {100 * share:5.1f} % of a worker's time in the event loop")
    ratios = [b[0] / a[0] for a, b in zip(results[1], results[2], strict=True)]
    print(f"ratio two to one: {median(ratios):.3f} (median of {given.runs}, {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
