"""Geant4 volumes and scorers of flat slabs with equal, rectangular cells; all in C++. Only workers import this module.

A `Detector` builds a geometry, aims its particles and reads its events; `Replicas` is the one for these geometries and
`geant4_steps.Steps` the one for all others.

Every Geant4 object is kept in a Python attribute: what the garbage collector takes, Geant4 still uses.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geant4_pybind as g4
import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Geometry, Slab
from caloforge.showers import Conditions
from caloforge.simulate.beam import beam
from caloforge.simulate.geant4 import Setup

Floats = NDArray[np.float64]


class Reader(g4.G4UserEventAction):
    """Moves what an event deposited into one row of an array."""

    def into(self, energies: Floats, on_event: Callable[[], None]) -> None:
        """Read the coming events into the rows of `energies`."""
        self.energies, self.on_event, self.next = energies, on_event, 0

    def EndOfEventAction(self, event: Any) -> None:
        self.read(event, self.energies[self.next])
        self.next += 1
        self.on_event()

    @abstractmethod
    def read(self, event: Any, row: Floats) -> None:
        """Add the energies of an event, in MeV, to its row of cells."""


class Detector(g4.G4VUserDetectorConstruction):
    """Slabs in vacuum, and the reader of their cells (which Geant4 allows only after the physics list is known)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.geometry, self.position = setup.geometry, setup.position
        self.keep: list[Any] = []
        self.materials: dict[str, Any] = {}

    def aim(self, conditions: Conditions, seed: int, first_event: int) -> tuple[Floats, Floats]:
        """Start in mm and direction of each particle in Geant4's frame, each of shape (N, 3)."""
        return beam(self.geometry, self.position, conditions, seed, first_event)

    def box(self, name: str, material: str, size: tuple[float, float, float]) -> Any:
        """A logical volume."""
        return self.volume(name, material, self.hold(g4.G4Box(name, *(length / 2 for length in size))))

    def volume(self, name: str, material: str, solid: Any) -> Any:
        return self.hold(g4.G4LogicalVolume(solid, self.material(material), name))

    def place(self, volume: Any, mother: Any, center: tuple[float, float, float], copy: int = 0) -> Any:
        return self.hold(g4.G4PVPlacement(None, g4.G4ThreeVector(*center), volume, "", mother, False, copy, False))

    def material(self, name: str) -> Any:
        """A mixture of the geometry's own, or one of Geant4's NIST materials."""
        if name not in self.materials:
            self.materials[name] = self.hold(_material(name, self.geometry))
        return self.materials[name]

    def hold(self, thing: Any) -> Any:
        self.keep.append(thing)
        return thing


def _material(name: str, geometry: Geometry) -> Any:
    nist = g4.G4NistManager.Instance()
    own = {material.name: material for material in geometry.materials}
    if name not in own:
        return _known(nist.FindOrBuildMaterial(name), "material", name)
    mixture = g4.G4Material(name, own[name].density * g4.g / g4.cm3, len(own[name].elements))
    total = sum(share for _, share in own[name].elements)
    for element, share in own[name].elements:
        mixture.AddElement(_known(nist.FindOrBuildElement(element), "element", element), share / total)
    return mixture


def _known(found: Any, kind: str, name: str) -> Any:
    if found is None:
        raise ValueError(f"Geant4 has no {kind} {name!r}")
    return found


@dataclass(frozen=True)
class Window:
    """Where a slab's cells are: (rows, columns), full size and centre in mm, each along (y, x)."""

    shape: tuple[int, int]
    size: tuple[float, float]
    center: tuple[float, float]


def window(geometry: Geometry, slab: Slab, front: float) -> Window | None:
    """The cells in a slab that begins at depth `front` in mm; None if it is not read out."""
    if slab.layer is None:
        return None
    layer = geometry.layers[slab.layer]
    y, x = np.array(layer.slow)[[0, -1]], np.array(layer.fast)[[0, -1]]
    if geometry.radius is not None:
        x, y = geometry.project(y, x, front + slab.thickness / 2)
    return Window(layer.shape, (float(y[1] - y[0]), float(x[1] - x[0])), (float(y.mean()), float(x.mean())))


class Replicas(Detector):
    """Flat slabs. A slab's copy number counts the layers of its cell shape; equal slabs share their volumes."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.volumes: dict[Any, Any] = {}
        self.pixels: dict[tuple[int, int], list[Any]] = {}

    @cached_property
    def reader(self) -> "HitReader":
        """What reads an event."""
        return HitReader(self.geometry)

    def Construct(self) -> Any:
        depth = sum(slab.thickness for slab in self.geometry.stack)
        size = self.geometry.size + 2
        world = self.box("world", "G4_Galactic", (size, size, 2 * depth + 2))
        top = self.place(world, None, (0, 0, 0))
        front = 0.0
        for slab in self.geometry.stack:
            volume = self.slab(slab, window(self.geometry, slab, front))
            copy = 0 if slab.layer is None else _copy(self.geometry, slab.layer)
            self.place(volume, world, (0, 0, front + slab.thickness / 2), copy)
            front += slab.thickness
        return top

    def slab(self, slab: Slab, cells: Window | None) -> Any:
        """The volume of a slab, with its window of rows of pixels."""
        key = slab.material, slab.thickness, cells
        if key not in self.volumes:
            size = self.geometry.size
            self.volumes[key] = self.box("slab", slab.material, (size, size, slab.thickness))
            if cells is not None:
                self.cells(self.volumes[key], slab, cells)
        return self.volumes[key]

    def cells(self, mother: Any, slab: Slab, cells: Window) -> None:
        (rows, columns), (y, x), thickness = cells.shape, cells.size, slab.thickness
        outer = self.box("window", slab.material, (x, y, thickness))
        row = self.box("row", slab.material, (x, y / rows, thickness))
        pixel = self.box("pixel", slab.material, (x / columns, y / rows, thickness))
        self.place(outer, mother, (cells.center[1], cells.center[0], 0))
        self.hold(g4.G4PVReplica("row", row, outer, g4.kYAxis, rows, y / rows))
        self.hold(g4.G4PVReplica("pixel", pixel, row, g4.kXAxis, columns, x / columns))
        self.pixels.setdefault(cells.shape, []).append(pixel)

    def ConstructSDandField(self) -> None:
        """One scorer per cell shape; its key is (copy of the slab · rows + row) · columns + column."""
        for rows, columns in self.pixels:
            detector = self.hold(g4.G4MultiFunctionalDetector(_scorer(rows, columns)))
            scorer = g4.G4PSEnergyDeposit3D("energy", len(self.geometry.layers), rows, columns, 3, 1, 0)
            detector.RegisterPrimitive(self.hold(scorer))
            g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
            for pixel in self.pixels[rows, columns]:
                pixel.SetSensitiveDetector(detector)


def _copy(geometry: Geometry, layer: int) -> int:
    return geometry.shapes[:layer].count(geometry.shapes[layer])


def _scorer(rows: int, columns: int) -> str:
    return f"cells_{rows}x{columns}"


def numbering(geometry: Geometry) -> dict[tuple[int, int], NDArray[np.int64]]:
    """For each cell shape: the flat cell number of each scorer key."""
    return {
        shape: np.concatenate(
            [
                np.arange(offset, offset + shape[0] * shape[1])
                for offset, each in zip(geometry.offsets, geometry.shapes, strict=False)
                if each == shape
            ]
        )
        for shape in geometry.shapes
    }


class HitReader(Reader):
    """Reads the hits maps of the scorers."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.numbering = {shape: cells.tolist() for shape, cells in numbering(geometry).items()}
        self.collections: list[tuple[int, list[int]]] = []

    def read(self, event: Any, row: Floats) -> None:
        if not self.collections:
            manager = g4.G4SDManager.GetSDMpointer()
            self.collections = [
                (manager.GetCollectionID(f"{_scorer(*shape)}/energy"), cells) for shape, cells in self.numbering.items()
            ]
        hits = event.GetHCofThisEvent()
        for collection, cells in self.collections:
            for key, energy in hits.GetHC(collection):
                row[cells[key]] += energy
