"""The inside of a Geant4 worker process: slabs, scorers, gun and read-out. Only workers import this module.

Importing geant4_pybind looks for data sets (and may ask on standard input for missing ones), and a process can hold one
run manager for life; so `simulate.geant4` imports this module in a fresh process, after its checks.

Every Geant4 object is kept in a Python attribute: what the garbage collector takes, Geant4 still uses.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import geant4_pybind as g4
import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Geometry, Slab
from caloforge.showers import Conditions
from caloforge.simulate.beam import beam
from caloforge.simulate.geant4 import Setup

STREAM = 1  # Geant4's own random numbers; the impact point has its own stream
QUIET = ("/process/em/verbose 0", "/run/verbose 0", "/event/verbose 0", "/tracking/verbose 0")


class Engine:
    """Geant4 with one geometry and one kind of particle; a call simulates consecutive events."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.Serial)
        self.detector = Detector(setup.geometry)
        self.physics = _physics_list(setup)
        self.manager.SetUserInitialization(self.detector)
        self.manager.SetUserInitialization(self.physics)
        self.gun = Gun(setup)
        self.reader = Reader(setup.geometry)
        self.actions = Actions(self.gun, self.reader)
        self.manager.SetUserInitialization(self.actions)
        for command in QUIET:
            g4.G4UImanager.GetUIpointer().ApplyCommand(command)
        self.manager.Initialize()
        self.manager.BeamOn(0)

    def __call__(
        self, conditions: Conditions, seed: int, first_event: int, on_event: Callable[[], None]
    ) -> dict[str, Any]:
        """Calibrated cell energies in MeV, shape (N, n_cells), and the seconds spent in Geant4's event loop."""
        n = len(conditions["energy"])
        energies = np.zeros((n, self.setup.geometry.n_cells))
        self.gun.aim(conditions, seed, first_event)
        self.reader.into(energies, on_event)
        start = time.perf_counter()
        self.manager.BeamOn(n)
        loop = time.perf_counter() - start
        return {"energies": (energies * self.setup.geometry.calibrations).astype(np.float32), "loop_s": loop}


def _physics_list(setup: Setup) -> Any:
    if setup.physics == "FTFP_BERT":
        physics = g4.FTFP_BERT()
    else:
        physics = g4.G4VModularPhysicsList()
        physics.RegisterPhysics(g4.G4EmStandardPhysics())
    physics.SetVerboseLevel(0)
    physics.SetDefaultCutValue(setup.cut * g4.mm)
    return physics


# --- material and scoring -------------------------------------------------------------------------------------------


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


class Detector(g4.G4VUserDetectorConstruction):
    """Slabs in vacuum. A slab's copy number counts the layers of its cell shape; equal slabs share their volumes."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.keep: list[Any] = []
        self.materials: dict[str, Any] = {}
        self.volumes: dict[Any, Any] = {}
        self.pixels: dict[tuple[int, int], list[Any]] = {}

    def Construct(self) -> Any:
        depth = sum(slab.thickness for slab in self.geometry.stack)
        half = self.geometry.size / 2
        world = self.volume("world", "G4_Galactic", (2 * half + 2, 2 * half + 2, 2 * depth + 2))
        top = self.hold(g4.G4PVPlacement(None, g4.G4ThreeVector(), world, "world", None, False, 0, False))
        front = 0.0
        for number, slab in enumerate(self.geometry.stack):
            center = g4.G4ThreeVector(0, 0, front + slab.thickness / 2)
            volume = self.slab(slab, window(self.geometry, slab, front))
            copy = 0 if slab.layer is None else _copy(self.geometry, slab.layer)
            self.hold(g4.G4PVPlacement(None, center, volume, f"slab_{number}", world, False, copy, False))
            front += slab.thickness
        return top

    def slab(self, slab: Slab, cells: Window | None) -> Any:
        """The volume of a slab, with its window of rows of pixels."""
        key = slab.material, slab.thickness, cells
        if key not in self.volumes:
            size = self.geometry.size
            self.volumes[key] = self.volume("slab", slab.material, (size, size, slab.thickness))
            if cells is not None:
                self.cells(self.volumes[key], slab, cells)
        return self.volumes[key]

    def cells(self, mother: Any, slab: Slab, cells: Window) -> None:
        (rows, columns), (y, x), thickness = cells.shape, cells.size, slab.thickness
        outer = self.volume("window", slab.material, (x, y, thickness))
        row = self.volume("row", slab.material, (x, y / rows, thickness))
        pixel = self.volume("pixel", slab.material, (x / columns, y / rows, thickness))
        center = g4.G4ThreeVector(cells.center[1], cells.center[0], 0)
        self.hold(g4.G4PVPlacement(None, center, outer, "window", mother, False, 0, False))
        self.hold(g4.G4PVReplica("row", row, outer, g4.kYAxis, rows, y / rows))
        self.hold(g4.G4PVReplica("pixel", pixel, row, g4.kXAxis, columns, x / columns))
        self.pixels.setdefault(cells.shape, []).append(pixel)

    def volume(self, name: str, material: str, size: tuple[float, float, float]) -> Any:
        box = self.hold(g4.G4Box(name, *(length / 2 for length in size)))
        return self.hold(g4.G4LogicalVolume(box, self.material(material), name))

    def material(self, name: str) -> Any:
        """A mixture of the geometry's own, or one of Geant4's NIST materials."""
        if name not in self.materials:
            self.materials[name] = self.hold(_material(name, self.geometry))
        return self.materials[name]

    def hold(self, thing: Any) -> Any:
        self.keep.append(thing)
        return thing

    def ConstructSDandField(self) -> None:
        """One scorer per cell shape; its key is (copy of the slab · rows + row) · columns + column."""
        for rows, columns in self.pixels:
            detector = self.hold(g4.G4MultiFunctionalDetector(_scorer(rows, columns)))
            scorer = g4.G4PSEnergyDeposit3D("energy", len(self.geometry.layers), rows, columns, 3, 1, 0)
            detector.RegisterPrimitive(self.hold(scorer))
            g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
            for pixel in self.pixels[rows, columns]:
                pixel.SetSensitiveDetector(detector)


def _material(name: str, geometry: Geometry) -> Any:
    nist = g4.G4NistManager.Instance()
    own = {material.name: material for material in geometry.materials}
    if name not in own:
        return nist.FindOrBuildMaterial(name)
    mixture = g4.G4Material(name, own[name].density * g4.g / g4.cm3, len(own[name].elements))
    total = sum(share for _, share in own[name].elements)
    for element, share in own[name].elements:
        mixture.AddElement(nist.FindOrBuildElement(element), share / total)
    return mixture


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


class Reader(g4.G4UserEventAction):
    """Moves the scorers' energies into one row of an array per event."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.numbering = numbering(geometry)
        self.collections: list[tuple[int, list[int]]] = []

    def into(self, energies: NDArray[np.float64], on_event: Callable[[], None]) -> None:
        manager = g4.G4SDManager.GetSDMpointer()
        self.collections = [
            (manager.GetCollectionID(f"{_scorer(*shape)}/energy"), cells.tolist())
            for shape, cells in self.numbering.items()
        ]
        self.energies, self.on_event, self.next = energies, on_event, 0

    def EndOfEventAction(self, event: Any) -> None:
        hits, row = event.GetHCofThisEvent(), self.energies[self.next]
        for collection, cells in self.collections:
            for key, energy in hits.GetHC(collection):
                row[cells[key]] += energy
        self.next += 1
        self.on_event()


# --- the beam -------------------------------------------------------------------------------------------------------


class Gun(g4.G4VUserPrimaryGeneratorAction):
    """One particle an event; seeds the event's random numbers."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.setup = setup
        self.gun: Any = None

    def aim(self, conditions: Conditions, seed: int, first_event: int) -> None:
        self.energies, self.seed, self.event = conditions["energy"], seed, first_event
        self.positions, self.directions = beam(self.setup.geometry, self.setup.position, conditions, seed, first_event)
        self.next = 0

    def GeneratePrimaries(self, event: Any) -> None:
        if self.gun is None:
            self.gun = g4.G4ParticleGun(1)
            self.gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle(self.setup.particle))
        i = self.next
        g4.HepRandom.setTheSeeds([self.seed + 1, self.event + i + 1, STREAM, STREAM, 0], 4)
        self.gun.SetParticleEnergy(float(self.energies[i]) * g4.MeV)
        self.gun.SetParticlePosition(g4.G4ThreeVector(*map(float, self.positions[i])))
        self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(*map(float, self.directions[i])))
        self.gun.GeneratePrimaryVertex(event)
        self.next += 1


class Actions(g4.G4VUserActionInitialization):
    """Hands the gun and the reader to the run manager."""

    def __init__(self, gun: Gun, reader: Reader) -> None:
        super().__init__()
        self.gun, self.reader = gun, reader

    def Build(self) -> None:
        self.SetUserAction(self.gun)
        self.SetUserAction(self.reader)
