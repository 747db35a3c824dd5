"""Geant4 volumes of every shape, scored step by step. Only workers import this module.

Each step that leaves energy in a slab that is read out is noted, and binned at the end of the event by its middle
(`binning.cell_numbers`). Slabs are boxes, or shells of a cylinder about Geant4's z axis; then points are turned and
moved into the frame of the event's particle.
"""

import math
from functools import cached_property
from typing import Any

import geant4_pybind as g4
import numpy as np

from caloforge.geometry import Geometry
from caloforge.showers import Conditions
from caloforge.simulate.beam import frames, window_centers
from caloforge.simulate.binning import cell_numbers
from caloforge.simulate.geant4 import Setup
from caloforge.simulate.geant4_volumes import Detector, Floats, Reader


class Steps(Detector):
    """Slabs or shells, each read-out layer with a collector of steps."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.sensitive: dict[int, list[Any]] = {}
        self.collectors: dict[int, Collector] = {}

    @cached_property
    def reader(self) -> "StepReader":
        """What reads an event."""
        return StepReader(self.geometry, self.collectors)

    def Construct(self) -> Any:
        geometry = self.geometry
        inner, depth = geometry.inner_radius, sum(slab.thickness for slab in geometry.stack)
        width = geometry.size if inner is None else 2 * (inner + depth)
        height = 2 * depth if inner is None else geometry.size
        world = self.box("world", "G4_Galactic", (width + 2, width + 2, height + 2))
        top = self.place(world, None, (0, 0, 0))
        front = 0.0
        for slab in geometry.stack:
            if inner is None:
                volume = self.box("slab", slab.material, (geometry.size, geometry.size, slab.thickness))
                self.place(volume, world, (0, 0, front + slab.thickness / 2))
            else:
                near, far = inner + front, inner + front + slab.thickness
                shell = self.hold(g4.G4Tubs("shell", near, far, geometry.size / 2, 0, 2 * math.pi))
                volume = self.volume("shell", slab.material, shell)
                self.place(volume, world, (0, 0, 0))
            if slab.layer is not None:
                self.sensitive.setdefault(slab.layer, []).append(volume)
            front += slab.thickness
        return top

    def ConstructSDandField(self) -> None:
        for layer, volumes in self.sensitive.items():
            collector = self.hold(Collector(layer))
            g4.G4SDManager.GetSDMpointer().AddNewDetector(collector)
            for volume in volumes:
                volume.SetSensitiveDetector(collector)
            self.collectors[layer] = collector

    def aim(self, conditions: Conditions, seed: int, first_event: int) -> tuple[Floats, Floats]:
        """From the middle of a cylinder's axis, or as for flat slabs; tells the reader the frame of each event."""
        starts, directions = super().aim(conditions, seed, first_event)
        self.reader.centers = None
        if "eta" in conditions:
            self.reader.centers = window_centers(self.geometry, self.position, conditions, seed, first_event)
        inner = self.geometry.inner_radius
        if inner is None:
            return starts, directions
        axes = frames(conditions)
        forward = axes[:, 2]
        entrance = forward * (inner / np.hypot(forward[:, 0], forward[:, 1]))[:, None]
        self.reader.frames = axes, entrance, starts
        return np.zeros_like(forward), forward


class Collector(g4.G4VSensitiveDetector):
    """The steps of one event in the slabs of one layer: (energy, twice the middle of the step) as plain numbers."""

    def __init__(self, layer: int) -> None:
        super().__init__(f"layer_{layer}")
        self.steps: list[tuple[float, float, float, float]] = []

    def ProcessHits(self, step: Any, history: Any) -> bool:
        energy = step.GetTotalEnergyDeposit()
        if energy > 0:
            a, b = step.GetPreStepPoint().GetPosition(), step.GetPostStepPoint().GetPosition()
            self.steps.append((energy, a.x + b.x, a.y + b.y, a.z + b.z))
        return True


class StepReader(Reader):
    """Bins the steps of an event.

    `frames` are axes (N, 3, 3), origins and offsets (N, 3), in a cylinder; `centers` (N,) the η of windows that follow.
    """

    def __init__(self, geometry: Geometry, collectors: dict[int, Collector]) -> None:
        super().__init__()
        self.geometry, self.collectors = geometry, collectors
        self.frames: tuple[Floats, Floats, Floats] | None = None
        self.centers: Floats | None = None

    def read(self, event: Any, row: Floats) -> None:
        steps = [np.array(collector.steps).reshape(-1, 4) for collector in self.collectors.values()]
        layers = np.repeat(list(self.collectors), [len(each) for each in steps])
        for collector in self.collectors.values():
            collector.steps.clear()
        energies, points = np.split(np.concatenate(steps), [1], axis=1)
        points = points / 2
        if self.frames is not None:
            axes, origins, offsets = (each[self.next] for each in self.frames)
            points = (points - origins) @ axes.T + offsets
        center = None if self.centers is None else float(self.centers[self.next])
        cells = cell_numbers(self.geometry, layers, points, center)
        inside = cells >= 0
        row += np.bincount(cells[inside], energies[inside, 0], len(row))
