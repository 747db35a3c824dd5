r"""The numbering of the cells, and the material stack that Geant4 builds.

A `Geometry` is a tuple of read-out layers. Each `Layer` is the product of two binned axes, the slow one (rows) and the
fast one (columns):

==========  =========  =========  ====================
``axes``    slow axis  fast axis  used by
==========  =========  =========  ====================
xy          y in mm    x in mm    CLIC, ILD, TestEm3
eta_phi     η          φ in rad   ATLAS, CaloGAN
r_alpha     α in rad   r in mm    CaloChallenge, Par04
==========  =========  =========  ====================

The flat cell number runs over layers (slowest), rows, columns (fastest). The local frame has its origin where the
nominal particle meets the front face, z along the normal into the calorimeter, y along the beam axis.

A *projective* geometry (``radius`` and ``eta`` given) is a flat piece of a barrel seen from the interaction point,
which lies at distance ``radius`` before the front face. A cell of width Δη × Δφ then has, at distance
:math:`R` = radius + depth, the size :math:`R\cosh\eta_0\,\Delta\eta \times R\,\Delta\phi` and is centred on
:math:`y = R\,(\sinh\eta_0 + \cosh\eta_0\,(\eta - \eta_0)) - \mathrm{radius}\,\sinh\eta_0`, :math:`x = R\,\phi`
(first order in η − η₀, φ; the neglected term is below 0.2 mm over an ATLAS cluster).

In a *cylinder* (``inner_radius`` given) the slabs are shells about the beam axis, particles come from the middle of
that axis, and the local frame follows the particle: its origin is where the particle meets the inner radius, z its
direction, y as near to the beam axis as can be, x the azimuth. So all particles have the same window, whatever their
angles.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError

Axes = Literal["xy", "eta_phi", "r_alpha"]
ADDED = ("materials", "inner_radius", "mesh")  # keys that readers of the first geometries do not know
AXIS_NAMES: dict[str, tuple[str, str]] = {"xy": ("y", "x"), "eta_phi": ("eta", "phi"), "r_alpha": ("alpha", "r")}


def regular(n: int, low: float, high: float) -> tuple[float, ...]:
    """Edges of `n` equal bins between `low` and `high`, as a tuple of length n + 1."""
    return tuple(float(edge) for edge in np.linspace(low, high, n + 1))


@dataclass(frozen=True)
class Layer:
    """One read-out layer: a grid of cells.

    Parameters
    ----------
    name : unique name, used in observables and reports.
    axes : which two axes the edges measure.
    slow, fast : increasing bin edges in mm or rad (η has no unit).
    depth : distance in mm of the layer's (energy-sharing) centre from the front face, along the normal.
    calibration : factor from the energy in the active material to the stored cell energy.
    threshold : cells below this calibrated energy, in MeV, are set to zero by those who compare or train.
    """

    name: str
    axes: Axes
    slow: tuple[float, ...]
    fast: tuple[float, ...]
    depth: float
    calibration: float = 1.0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.axes not in AXIS_NAMES:
            raise InputError(f"layer {self.name!r} has axes {self.axes!r}; expected one of {', '.join(AXIS_NAMES)}.")
        for axis in ("slow", "fast"):
            edges = tuple(float(edge) for edge in getattr(self, axis))
            if len(edges) < 2 or not all(a < b for a, b in pairwise(edges)) or not all(map(math.isfinite, edges)):
                raise InputError(
                    f"layer {self.name!r}: the edges of its {axis} axis must be two or more increasing, finite "
                    f"numbers, got {edges[:5]}."
                )
            object.__setattr__(self, axis, edges)
        if self.axes == "r_alpha" and (self.fast[0] < 0 or self.slow[-1] - self.slow[0] > 2 * math.pi + 1e-9):
            raise InputError(
                f"layer {self.name!r}: r must not be negative and α cover one turn (in rad) at most, got "
                f"{self.fast[0]:g} … {self.fast[-1]:g} and {self.slow[0]:g} … {self.slow[-1]:g}."
            )
        numbers = self.depth, self.calibration, self.threshold
        if not (all(map(math.isfinite, numbers)) and self.calibration > 0 and self.threshold >= 0):
            raise InputError(
                f"layer {self.name!r}: depth must be finite, calibration positive and threshold not "
                f"negative, got {self.depth}, {self.calibration}, {self.threshold}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows (slow axis) and columns (fast axis)."""
        return len(self.slow) - 1, len(self.fast) - 1

    @property
    def n_cells(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def equal(self) -> bool:
        """Whether all cells are equally large on both axes (to a billionth, for edges come from sums)."""
        widths = [np.diff(edges) for edges in (self.slow, self.fast)]
        return all(np.allclose(each, each[0], rtol=1e-9, atol=0) for each in widths)

    @cached_property
    def coordinates(self) -> NDArray[np.float64]:
        """Centre of each cell on its (slow, fast) axes, shape (n_cells, 2), in the units of the axes."""
        slow, fast = ((np.asarray(edges)[1:] + np.asarray(edges)[:-1]) / 2 for edges in (self.slow, self.fast))
        return np.stack(np.meshgrid(slow, fast, indexing="ij"), axis=-1).reshape(-1, 2)


@dataclass(frozen=True)
class Material:
    """A mixture that Geant4's NIST tables lack: `density` in g/cm³, and (element, share of the mass) pairs."""

    name: str
    density: float
    elements: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        elements = tuple((str(element), float(share)) for element, share in self.elements)
        object.__setattr__(self, "elements", elements)
        total = sum(share for _, share in elements)
        if self.name.startswith("G4_"):
            raise InputError(f"material {self.name!r} has a name of Geant4's own materials: give it another one.")
        if not 0 < self.density < math.inf or abs(total - 1) > 1e-3 or min(share for _, share in elements) <= 0:
            raise InputError(
                f"material {self.name!r} needs a density above zero and mass shares that add up to 1; got "
                f"{self.density} and {total}."
            )


@dataclass(frozen=True)
class Slab:
    """A plane of one material, `thickness` in mm, read out by layer number `layer` if any.

    The material is a Geant4 NIST name, or the name of one of the geometry's own `materials`.
    """

    material: str
    thickness: float
    layer: int | None = None


@dataclass(frozen=True)
class Geometry:
    """The cells of a calorimeter, and the slabs it is made of.

    Parameters
    ----------
    name : detector name, as the command line knows it.
    layers : read-out layers, front to back or in the order a published format demands.
    stack : slabs along the normal, front to back; the first starts at the front face, z = 0. Empty if unknown.
    size : full transverse size of the slabs in mm; of a cylinder, its length.
    radius, eta : for projective geometries: distance of the front face from the interaction point in mm, and the
        pseudorapidity η₀ that the window is centred on.
    impact : where the particle aims by default: the ``center`` of the window or uniformly over the central ``cell``.
    energy : what a cell energy is, in words.
    materials : mixtures that the slabs name and that Geant4's NIST tables lack.
    inner_radius : for cylinders: where the first slab begins, in mm from the beam axis.
    mesh : for cylinders: energy in a slab that is read out belongs to the layer at whose depth it lies along the
        particle's direction (the mesh of Par04 and the CaloChallenge), not to the layer that the slab names.
    """

    name: str
    layers: tuple[Layer, ...]
    stack: tuple[Slab, ...] = ()
    size: float = 0.0
    radius: float | None = None
    eta: float | None = None
    impact: Literal["center", "cell"] = "center"
    energy: str = "energy deposited in the active material"
    materials: tuple[Material, ...] = ()
    inner_radius: float | None = None
    mesh: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "materials", tuple(self.materials))
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "stack", tuple(self.stack))
        names = [layer.name for layer in self.layers]
        if not names or len(set(names)) != len(names):
            raise InputError(f"geometry {self.name!r} needs layers with unique names, got {names}.")
        if (self.radius is None) != (self.eta is None):
            raise InputError(f"geometry {self.name!r}: give both radius and eta (projective), or neither.")
        numbers = [self.size, *(each for each in (self.radius, self.eta, self.inner_radius) if each is not None)]
        if not all(map(math.isfinite, numbers)) or self.impact not in ("center", "cell"):
            raise InputError(
                f"geometry {self.name!r} needs finite lengths and an impact of center or cell; got {numbers} and "
                f"{self.impact!r}."
            )
        self._check_cylinder()
        for slab in self.stack:
            if not 0 < slab.thickness < math.inf or not (slab.layer is None or 0 <= slab.layer < len(self.layers)):
                raise InputError(
                    f"geometry {self.name!r}: slab {slab} needs a positive thickness and an existing layer."
                )

    def _check_cylinder(self) -> None:
        depths = [layer.depth for layer in self.layers]
        if self.inner_radius is not None and (not self.inner_radius > 0 or self.radius is not None):
            raise InputError(
                f"geometry {self.name!r}: a cylinder needs an inner_radius above zero, and no radius or eta."
            )
        if self.mesh and (self.inner_radius is None or len(depths) < 2 or sorted(set(depths)) != depths):
            raise InputError(f"geometry {self.name!r}: a mesh needs an inner_radius and layers of increasing depth.")

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of each layer."""
        return tuple(layer.shape for layer in self.layers)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Number of the first cell of each layer, and n_cells at the end: length n_layers + 1."""
        return tuple(int(n) for n in np.cumsum([0, *(layer.n_cells for layer in self.layers)]))

    @property
    def n_cells(self) -> int:
        return self.offsets[-1]

    @cached_property
    def is_block(self) -> bool:
        """Whether all layers have the same grid."""
        return len({(layer.axes, layer.slow, layer.fast) for layer in self.layers}) == 1

    @cached_property
    def by_depth(self) -> tuple[int, ...]:
        """The numbers of the layers, front to back."""
        return tuple(sorted(range(len(self.layers)), key=lambda i: self.layers[i].depth))

    def cells(self, layer: int | str) -> slice:
        """The cells of one layer, as a slice of the flat numbering."""
        index = self.index(layer)
        return slice(self.offsets[index], self.offsets[index + 1])

    def index(self, layer: int | str) -> int:
        """The number of a layer given by name or number."""
        if isinstance(layer, int):
            return range(len(self.layers))[layer]
        names = [each.name for each in self.layers]
        if layer not in names:
            raise InputError(f"geometry {self.name!r} has no layer {layer!r}; its layers are {', '.join(names)}.")
        return names.index(layer)

    @cached_property
    def centers(self) -> NDArray[np.float64]:
        """Position (x, y, z) of each cell in mm in the local frame, shape (n_cells, 3)."""
        return np.concatenate([self._positions(layer) for layer in self.layers])

    def _positions(self, layer: Layer) -> NDArray[np.float64]:
        slow, fast = layer.coordinates.T
        if layer.axes == "r_alpha":
            x, y = fast * np.cos(slow), fast * np.sin(slow)
        elif layer.axes == "eta_phi" and self.radius is not None:
            x, y = self.project(slow, fast, layer.depth)
        else:
            x, y = fast, slow
        return np.stack([x, y, np.full(len(x), layer.depth)], axis=1)

    @cached_property
    def reach(self) -> tuple[float, float]:
        """How far the cells reach from the axis, in x and in y, in mm."""
        x, y = 0.0, 0.0
        for layer in self.layers:
            fast, slow = np.asarray(layer.fast), np.asarray(layer.slow)
            if layer.axes == "r_alpha":
                slow = fast
            elif layer.axes == "eta_phi" and self.radius is not None:
                fast, slow = self.project(slow, fast, layer.depth)
            x, y = max(x, float(np.abs(fast).max())), max(y, float(np.abs(slow).max()))
        return x, y

    def project(self, eta: Any, phi: Any, depth: float) -> tuple[Any, Any]:
        """(x, y) in mm, in the plane at `depth`, of the direction (eta, phi) from the interaction point."""
        if self.radius is None or self.eta is None:
            raise InputError(f"geometry {self.name!r} is not projective.")
        distance = self.radius + depth
        tilt, stretch = math.sinh(self.eta), math.cosh(self.eta)
        return distance * phi, distance * (tilt + stretch * (eta - self.eta)) - self.radius * tilt

    def unproject(self, x: Any, y: Any, depth: Any, center: float | None = None) -> tuple[Any, Any]:
        """(η, φ) of the line of sight through the point (x, y, depth) in mm: the inverse of `project`.

        With `center` the point is in the frame of a window that is centred there; η is then moved to this one's.
        """
        if self.radius is None or self.eta is None:
            raise InputError(f"geometry {self.name!r} is not projective.")
        distance, seen = self.radius + depth, self.eta if center is None else center
        tilt, stretch = math.sinh(seen), math.cosh(seen)
        return self.eta + ((y + self.radius * tilt) / distance - tilt) / stretch, x / distance

    @cached_property
    def boundaries(self) -> NDArray[np.float64]:
        """Of a mesh: depths in mm at which its layers begin and end, halfway between theirs, shape (n_layers + 1,)."""
        depth = np.array([layer.depth for layer in self.layers])
        half = np.diff(depth) / 2
        return np.concatenate([[depth[0] - half[0]], depth[:-1] + half, [depth[-1] + half[-1]]])

    @cached_property
    def thresholds(self) -> NDArray[np.float32]:
        """Threshold of each cell in MeV, shape (n_cells,)."""
        return np.repeat([layer.threshold for layer in self.layers], np.diff(self.offsets)).astype(np.float32)

    @cached_property
    def calibrations(self) -> NDArray[np.float64]:
        """Calibration factor of each cell, shape (n_cells,)."""
        return np.repeat([layer.calibration for layer in self.layers], np.diff(self.offsets))

    def to_json(self) -> str:
        """The geometry as JSON; equal bins are stored as their number and ends, additions only if used."""
        data = asdict(self)
        data = {name: value for name, value in data.items() if name not in ADDED or value}
        for layer in data["layers"]:
            layer.update({axis: _pack(layer[axis]) for axis in ("slow", "fast")})
        return json.dumps(data)

    @classmethod
    def from_json(cls, text: str) -> "Geometry":
        """The inverse of `to_json`."""
        try:
            data = json.loads(text)
            data["layers"] = tuple(
                Layer(**{**layer, **{axis: _unpack(layer[axis]) for axis in ("slow", "fast")}})
                for layer in data["layers"]
            )
            data["stack"] = tuple(Slab(**slab) for slab in data["stack"])
            data["materials"] = tuple(Material(**material) for material in data.get("materials", ()))
            return cls(**data)
        except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"the geometry is not one that to_json wrote: {error}.") from error


def _pack(edges: Sequence[float]) -> Any:
    low, high, n = edges[0], edges[-1], len(edges) - 1
    return {"n": n, "low": low, "high": high} if tuple(edges) == regular(n, low, high) else list(edges)


def _unpack(packed: Any) -> tuple[float, ...]:
    return regular(**packed) if isinstance(packed, dict) else tuple(packed)
