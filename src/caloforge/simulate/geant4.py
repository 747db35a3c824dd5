"""Real Geant4, driven through geant4-pybind, as a `Simulator`.

`Geant4` lives in the user's process and never imports Geant4: each of its workers is a fresh process (Geant4 allows one
run manager in the life of a process) that builds the geometry's slabs once and then simulates ranges of events.

Equal, rectangular cells of flat slabs are scored in C++ (Agostinelli et al., NIM A 506 (2003) 250): a slab that is read
out holds a window box, the window holds replicated rows along y, a row holds replicated pixels along x, and
`G4PSEnergyDeposit3D` on the pixel adds up each step's energy under the copy numbers (window, row, pixel). Every step
ends at a cell's edge, so that no energy is shared by guesswork, and Python runs twice an event: to aim the gun and to
read the hits. (Volumes for cells lower the visible energy of silicon by about one per cent, see the data cards of the
detectors.) In all other geometries (cylinders, polar or unequal cells) the steps in the slabs that are read out are
noted one by one and binned by their middles at the end of the event: a third to a half slower.

Each event seeds the random engine from (seed, event, stream): the same event gives the same shower, bit by bit,
whatever ran before it, in whichever worker.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Geometry
from caloforge.showers import SEED_LIMIT, Conditions, Showers, check_conditions
from caloforge.simulate.beam import Position, check_angles, check_position
from caloforge.simulate.cluster_workers import ClusterWorkers
from caloforge.simulate.data_sets import ELECTROMAGNETIC, HADRONIC, found, have, set_environment
from caloforge.simulate.workers import Workers
from caloforge.units import TeV, quantity

ELECTROMAGNETIC_ONLY = ("e-", "e+", "gamma", "mu-", "mu+")
WITH_HADRONIC_DATA = ("pi+", "pi-", "pi0", "kaon+", "kaon-", "kaon0L", "proton", "neutron")
GEANT4_VERSIONS = {"0.1.3": "11.4.1"}  # the Geant4 inside each geant4-pybind wheel
CONDITIONS = ("energy", "theta", "phi", "eta")
ENERGIES = 1e-3, 100 * TeV  # MeV: where Geant4's electromagnetic physics is valid
CUTS = 1e-4, 1e4  # mm
WORKERS_PER_CORE = 8


@dataclass(frozen=True)
class Setup:
    """All that decides a shower besides its conditions: what is written to a file's provenance.

    `position` is where the particle meets the front face, in mm from the window's centre, or ``center`` or ``cell``
    (uniform over the central cell of the first layer); `cut` is the production range cut in mm; `physics` the physics
    list. `follow`: the window follows the particle's η, which is a condition.
    """

    geometry: Geometry
    particle: str = "e-"
    position: Position = "center"
    cut: float = 0.7
    physics: str = "FTFP_BERT"
    follow: bool = False


@dataclass
class Geant4:
    """Geant4 as a simulator: ``sample(conditions, seed, first_event)`` with "energy" and perhaps "theta" and "phi".

    Parameters
    ----------
    geometry : must have a material stack.
    particle : e-, e+, gamma, mu-, mu+, and with hadronic data sets pi+, pi-, pi0, kaon+, kaon-, kaon0L, proton,
    neutron. position : ``center``, ``cell`` or (x, y) in mm; by default the geometry's own `impact`.
    cut : production range cut in mm.
    workers : number of processes, or of jobs on a cluster.
    cluster : in place of processes of its own: ``local``, ``slurm`` or ``htcondor`` (`caloforge.cluster`).
    follow : in a projective geometry: each particle has an η of its own, the condition "eta", and the window is centred
        on the cell that it strikes.

    Attributes
    ----------
    loop_seconds : time spent in Geant4's event loop so far, summed over the workers.
    """

    geometry: Geometry
    particle: str = "e-"
    position: Position | None = None
    cut: float = 0.7
    workers: int = 1
    follow: bool = False
    cluster: str | None = None
    setup: Setup = field(init=False)
    loop_seconds: float = field(init=False, default=0.0)
    _pool: Workers | ClusterWorkers | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        check_geometry(self.geometry)
        physics = available_physics(self.particle)
        if not CUTS[0] <= self.cut <= CUTS[1]:
            raise InputError(
                f"the production cut is {self.cut:g} mm; give a length from {CUTS[0]:g} to {CUTS[1]:g} mm."
            )
        most = WORKERS_PER_CORE * (os.cpu_count() or 1)
        if not 1 <= self.workers <= most and not (self.cluster and self.workers >= 1):
            raise InputError(f"{self.workers} workers were asked for; give 1 to {most}, best one per core.")
        position = self.position or self.geometry.impact
        check_position(self.geometry, position)
        if self.follow and (self.geometry.radius is None or isinstance(position, tuple)):
            raise InputError(
                f"a window that follows the particle's eta needs a projective geometry and position center or cell; "
                f"got {self.geometry.name!r} and {position!r}."
            )
        self.setup = Setup(self.geometry, self.particle, position, self.cut, physics, self.follow)

    def check(self, conditions: Conditions) -> None:
        """Refuse conditions that this geometry cannot take."""
        check_setup_conditions(self.geometry, conditions, self.follow)

    def provenance(self) -> dict[str, Any]:
        """What a file of these showers says about their making."""
        return {
            "simulator": f"Geant4 {GEANT4_VERSIONS.get(_version() or '', '')} (geant4-pybind {_version()})",
            "physics": self.setup.physics,
            "data_sets": {name: Path(path).name for name, path in found().items() if path},
            "particle": self.particle,
            "position": self.setup.position,
            "production_cut_mm": self.cut,
            **({"window": "follows eta"} if self.follow else {}),
        }

    def sample(self, conditions: Conditions, seed: int, first_event: int = 0) -> Showers:
        """Simulate one shower per condition, shared among the workers."""
        checked = check_setup_conditions(self.geometry, conditions, self.follow)
        n = len(checked["energy"])
        size = max(1, math.ceil(n / self.workers))
        tasks = [
            ({name: values[start : start + size] for name, values in checked.items()}, first_event + start)
            for start in range(0, n, size)
        ]
        energies = np.zeros((n, self.geometry.n_cells), np.float32)
        for number, showers in self.stream(tasks, seed):
            energies[number * size : number * size + len(showers)] = showers.energies
        return Showers(energies, checked, self.geometry)

    def stream(
        self,
        tasks: list[tuple[dict[str, NDArray[np.float64]], int]],
        seed: int,
        on_event: Callable[[int, int], None] = lambda number, n: None,
    ) -> Iterator[tuple[int, Showers]]:
        """(number, showers) of each task (conditions, first event) as they complete; `on_event` hears (number, n)."""
        if not 0 <= seed < SEED_LIMIT or any(first < 0 for _, first in tasks):
            raise InputError(f"seed {seed}: give one from 0 to {SEED_LIMIT - 1}, and events from 0 on.")
        work: list[dict[str, Any]] = [
            {
                "conditions": check_setup_conditions(self.geometry, conditions, self.follow),
                "seed": seed,
                "first_event": first,
            }
            for conditions, first in tasks
        ]
        for number, result in self.pool().run(work, on_event):
            self.loop_seconds += result["loop_s"]
            yield number, Showers(result["energies"], work[number]["conditions"], self.geometry)

    def pool(self) -> Workers | ClusterWorkers:
        """The worker processes, or jobs, started at the first call."""
        if self._pool is None and self.cluster:
            self._pool = ClusterWorkers(start_engine, (self.setup,), self.workers, self.cluster)
        elif self._pool is None:
            self._pool = Workers(start_engine, (self.setup,), self.workers)
        return self._pool

    def close(self) -> None:
        """End the worker processes."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __enter__(self) -> "Geant4":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- what can be simulated here -------------------------------------------------------------------------------------


def check_geometry(geometry: Geometry) -> None:
    """Refuse geometries that nothing can be built from."""
    if not geometry.stack:
        raise InputError(f"geometry {geometry.name!r} has no material stack, so Geant4 cannot build it.")
    if geometry.size <= 0:
        raise InputError(f"geometry {geometry.name!r} has a stack but no size: give the width of its slabs in mm.")
    if all(slab.layer is None for slab in geometry.stack):
        raise InputError(f"no slab of geometry {geometry.name!r} names a layer: nothing would be read out.")
    read, depth = {slab.layer for slab in geometry.stack}, sum(slab.thickness for slab in geometry.stack)
    for number, layer in enumerate(geometry.layers):
        if (number not in read and not geometry.mesh) or not 0 <= layer.depth <= depth:
            raise InputError(
                f"layer {layer.name!r} of {geometry.name!r} would stay empty: its depth is {layer.depth:g} mm of "
                f"{depth:g} mm, and it needs a slab that names it."
            )
    angular = [layer.name for layer in geometry.layers if layer.axes == "eta_phi" and geometry.radius is None]
    if angular:
        raise InputError(
            f"layer {angular[0]!r} of {geometry.name!r} has cells in η and φ, but the geometry gives no radius and eta "
            "that would say how large they are: give them, or cells in mm."
        )


def is_plain(geometry: Geometry) -> bool:
    """Whether all cells are equal rectangles in flat slabs, so that replicated volumes can score them."""
    return geometry.inner_radius is None and all(layer.axes != "r_alpha" and layer.equal for layer in geometry.layers)


def check_setup_conditions(
    geometry: Geometry, conditions: Conditions, follow: bool = False
) -> dict[str, NDArray[np.float64]]:
    """The conditions, checked: known names, and angles only where the geometry leaves them free."""
    checked = check_conditions(conditions)
    unknown = set(checked) - set(CONDITIONS)
    if unknown:
        raise InputError(f"Geant4 takes the conditions {', '.join(CONDITIONS)}; got also {', '.join(sorted(unknown))}.")
    if follow != ("eta" in checked):
        raise InputError(f"the window {'follows' if follow else 'does not follow'} eta; got {', '.join(checked)}.")
    check_angles(geometry, checked)
    energy = checked["energy"]
    if energy.size and not (energy.min() >= ENERGIES[0] and energy.max() <= ENERGIES[1]):
        raise InputError(
            f"energies go from {energy.min():g} to {energy.max():g} MeV; Geant4 is valid from "
            f"1 keV to 100 TeV: stay inside."
        )
    return checked


def available_physics(particle: str) -> str:
    """The physics list for `particle` with what is installed here; what is missing is said in one sentence."""
    if particle not in ELECTROMAGNETIC_ONLY + WITH_HADRONIC_DATA:
        raise InputError(
            f"there is no particle {particle!r}; choose one of {', '.join(ELECTROMAGNETIC_ONLY + WITH_HADRONIC_DATA)}."
        )
    if _version() is None:
        raise InputError("Geant4 is not installed: run pip install 'caloforge[geant4]'.")
    if not have(ELECTROMAGNETIC):
        names = " and ".join(each.variable for each in ELECTROMAGNETIC)
        raise InputError(
            f"Geant4's electromagnetic data sets ({names}) were not found: run caloforge geant4-data "
            "--install, or set these variables to where they are."
        )
    if have(HADRONIC):
        return "FTFP_BERT"
    if particle in WITH_HADRONIC_DATA:
        names = ", ".join(each.variable for each in HADRONIC)
        raise InputError(
            f"{particle!r} needs the hadronic data sets ({names}), which were not found: run caloforge "
            "geant4-data --install, or set these variables."
        )
    return "G4EmStandardPhysics"


def position_of(text: str | None) -> Position | None:
    """Read ``center``, ``cell`` or ``x,y`` (lengths)."""
    if text is None:
        return None
    if text in ("center", "cell"):
        return "center" if text == "center" else "cell"
    parts = [quantity(part, "length") for part in text.split(",")]
    if len(parts) != 2:
        raise InputError(f"position {text!r} is not understood: write center, cell or x,y, as in '1mm,-2.5mm'.")
    return parts[0], parts[1]


def _version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("geant4-pybind")
    except PackageNotFoundError:
        return None


def start_engine(setup: Setup) -> Callable[..., dict[str, Any]]:
    """Build Geant4 in this process; only worker processes call it, because the import is for life."""
    set_environment()
    from caloforge.simulate.geant4_engine import Engine

    return Engine(setup)
