"""The inside of a Geant4 worker process: run manager, physics and gun. Only workers import this module.

Importing geant4_pybind looks for data sets (and may ask on standard input for missing ones), and a process can hold one
run manager for life; so `simulate.geant4` imports this module in a fresh process, after its checks.

Every Geant4 object is kept in a Python attribute: what the garbage collector takes, Geant4 still uses.
"""

import time
from collections.abc import Callable
from typing import Any

import geant4_pybind as g4
import numpy as np

from caloforge.showers import Conditions
from caloforge.simulate.geant4 import Setup, is_plain
from caloforge.simulate.geant4_steps import Steps
from caloforge.simulate.geant4_volumes import Detector, Reader, Replicas

STREAM = 1  # Geant4's own random numbers; the impact point has its own stream
QUIET = ("/process/em/verbose 0", "/run/verbose 0", "/event/verbose 0", "/tracking/verbose 0")


class Engine:
    """Geant4 with one geometry and one kind of particle; a call simulates consecutive events."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.Serial)
        self.detector = Replicas(setup) if is_plain(setup.geometry) and not setup.follow else Steps(setup)
        self.physics = _physics_list(setup)
        self.manager.SetUserInitialization(self.detector)
        self.manager.SetUserInitialization(self.physics)
        self.gun = Gun(setup.particle, self.detector)
        self.actions = Actions(self.gun, self.detector.reader)
        self.manager.SetUserInitialization(self.actions)
        for command in QUIET:
            g4.G4UImanager.GetUIpointer().ApplyCommand(command)
        self.manager.Initialize()
        self.physics.SetDefaultCutValue(setup.cut * g4.mm)  # before Initialize this does nothing: the cut would be 1 mm
        self.manager.BeamOn(0)

    def __call__(
        self, conditions: Conditions, seed: int, first_event: int, on_event: Callable[[], None]
    ) -> dict[str, Any]:
        """Calibrated cell energies in MeV, shape (N, n_cells), and the seconds spent in Geant4's event loop."""
        n = len(conditions["energy"])
        energies = np.zeros((n, self.setup.geometry.n_cells))
        self.gun.aim(conditions, seed, first_event)
        self.detector.reader.into(energies, on_event)
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
    return physics


# --- the beam -------------------------------------------------------------------------------------------------------


class Gun(g4.G4VUserPrimaryGeneratorAction):
    """One particle an event; seeds the event's random numbers."""

    def __init__(self, particle: str, detector: Detector) -> None:
        super().__init__()
        self.particle, self.detector = particle, detector
        self.gun: Any = None

    def aim(self, conditions: Conditions, seed: int, first_event: int) -> None:
        self.energies, self.seed, self.event = conditions["energy"], seed, first_event
        self.positions, self.directions = self.detector.aim(conditions, seed, first_event)
        self.next = 0

    def GeneratePrimaries(self, event: Any) -> None:
        if self.gun is None:
            self.gun = g4.G4ParticleGun(1)
            self.gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle(self.particle))
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
