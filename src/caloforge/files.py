"""The shower file: HDF5 that describes itself, a superset of the CaloChallenge schema (docs/data-format.md).

`ShowerFile` reads slices lazily and checks what it reads; `ShowerWriter` appends batches to a file that appears only
when it is whole. Long jobs are written in parts, see `caloforge.parts`.

Chunks are compressed with gzip (zlib's checksum covers their content, see `caloforge.packing`) by a few threads and
written directly; HDF5's own metadata is checksummed (superblock 3), and a digest covers our attributes.
"""

import contextlib
import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, InputError
from caloforge.geometry import Geometry
from caloforge.packing import ROUNDING, compress, filters, rounded
from caloforge.showers import Showers

FORMAT, VERSION = "caloforge-showers", 1
UNITS = {"showers": "MeV", "incident_energies": "MeV", "lengths": "mm", "angles": "rad"}
ATTRIBUTES = ("format", "format_version", "layout", "geometry", "units", "provenance")
CHUNK_BYTES = 2**20
LIBRARY_VERSIONS = ("v110", "v110")  # readable by HDF5 1.10 and later; has checksums in its metadata
THREADS = 2
FIRST = 256  # showers in a fingerprint


def chunk_rows(n_cells: int) -> int:
    """Showers in an HDF5 chunk: a power of two, about a megabyte, at most 1 024."""
    return 1 << int(np.clip(np.log2(CHUNK_BYTES / (4 * n_cells)), 0, 10))


def digest(attributes: Mapping[str, Any]) -> str:
    """SHA-256 over the attributes that give the numbers their meaning."""
    return hashlib.sha256(json.dumps([str(attributes[name]) for name in ATTRIBUTES]).encode()).hexdigest()


def origin(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What a provenance says of how the showers came about: all but the ``notes``, which decide nothing."""
    return {name: value for name, value in provenance.items() if name != "notes"}


# --- reading --------------------------------------------------------------------------------------------------------


class ShowerFile:
    """A shower file, open for reading: ``file[a:b]`` is a `Showers`.

    Opening verifies the file's description (format, geometry, shapes, digest); every slice is verified as it is read,
    and `check` reads everything. Whatever is wrong raises `FormatError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path} is not a file: give the path of a shower file.")
        with self._clearly():
            if not h5py.is_hdf5(self.path):
                raise FormatError(f"{self.path} is not an HDF5 file (or only a piece of one): expected a shower file.")
            self._file = h5py.File(self.path, "r")
            self.geometry, self.provenance = self._describe()
            self.conditions = self._conditions()

    def _describe(self) -> tuple[Geometry, dict[str, Any]]:
        attributes = {name: _text(value) for name, value in self._file.attrs.items()}
        if attributes.get("format") != FORMAT:
            schema = " It has CaloChallenge's datasets but no geometry." if "showers" in self._file else ""
            raise FormatError(f"{self.path} is HDF5 but not a caloforge shower file.{schema}")
        missing = [name for name in (*ATTRIBUTES, "digest") if name not in attributes]
        if missing:
            raise FormatError(f"{self.path} lacks the attributes {', '.join(missing)}: it is damaged.")
        if attributes["format_version"] != str(VERSION) or attributes["layout"] != "dense":
            raise FormatError(
                f"{self.path} has format version {attributes['format_version']} and layout "
                f"{attributes['layout']!r}; this program reads version {VERSION}, dense."
            )
        if attributes["digest"] != digest(attributes):
            raise FormatError(f"{self.path}: its description does not match its digest; it was changed or damaged.")
        provenance = json.loads(attributes["provenance"])
        if not isinstance(provenance, dict):
            raise FormatError(f"{self.path}: its provenance is {provenance!r}; expected a JSON object.")
        return Geometry.from_json(attributes["geometry"]), provenance

    def _conditions(self) -> dict[str, NDArray[np.float64]]:
        showers, incident = self._dataset("showers", 2), self._dataset("incident_energies", 2)
        extra = self._file.get("conditions", {})
        conditions = {"energy": incident[:, 0]} | {name: self._dataset(f"conditions/{name}", 1)[:] for name in extra}
        lengths = {name: len(values) for name, values in conditions.items()}
        if showers.shape[1] != self.geometry.n_cells or set(lengths.values()) != {len(showers)}:
            raise FormatError(
                f"{self.path}: showers of shape {showers.shape} with {lengths} conditions do not fit "
                f"geometry {self.geometry.name!r} of {self.geometry.n_cells} cells."
            )
        if incident.shape[1] != 1 or showers.dtype != np.float32:
            raise FormatError(
                f"{self.path}: expected incident_energies (N, 1) and showers float32, got "
                f"{incident.shape} and {showers.dtype}."
            )
        if not all(np.isfinite(values).all() for values in conditions.values()) or (conditions["energy"] <= 0).any():
            raise FormatError(f"{self.path}: some conditions are not finite, or an incident energy is not above zero.")
        return conditions

    def _dataset(self, name: str, dimensions: int) -> h5py.Dataset:
        found = self._file.get(name)
        if not isinstance(found, h5py.Dataset) or found.ndim != dimensions or found.dtype.kind != "f":
            raise FormatError(
                f"{self.path} has no dataset {name!r} of {dimensions} dimensions of numbers: expected "
                "the shower file schema."
            )
        return found

    def __len__(self) -> int:
        return len(self.conditions["energy"])

    def __getitem__(self, index: slice) -> Showers:
        """The showers of a slice without step, read now."""
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise InputError("slices of a shower file take no step: read them, then select.")
        with self._clearly():
            energies = self._file["showers"][start:stop]
            return Showers(energies, {k: v[start:stop] for k, v in self.conditions.items()}, self.geometry)

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """All showers, in batches of `size` (a few megabytes by default)."""
        size = size or 16 * chunk_rows(self.geometry.n_cells)
        return (self[start : start + size] for start in range(0, len(self), size))

    def fingerprint(self) -> str:
        """Twelve hex digits of the geometry, the conditions and the first showers, to tell samples apart."""
        content = hashlib.sha256(self.geometry.to_json().encode())
        for name in sorted(self.conditions):
            content.update(name.encode() + np.ascontiguousarray(self.conditions[name], np.float64).tobytes())
        content.update(np.ascontiguousarray(self[: min(len(self), FIRST)].energies).tobytes())
        return content.hexdigest()[:12]

    def check(self) -> None:
        """Read the whole file; raises `FormatError` at the first thing that is wrong."""
        for batch in self.batches():
            del batch

    @contextlib.contextmanager
    def _clearly(self) -> Iterator[None]:
        try:
            yield
        except FormatError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
            raise FormatError(
                f"{self.path} is damaged and cannot be read ({str(error).splitlines()[0]}): make it anew."
            ) from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "ShowerFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fixed(value: object) -> Any:
    """Text of fixed length, which HDF5 keeps under a checksum; in variable text a damaged byte can hang the reader."""
    if isinstance(value, int):
        return value
    text = str(value).encode()
    return np.array(text, dtype=h5py.string_dtype("utf-8", max(len(text), 1)))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# --- writing --------------------------------------------------------------------------------------------------------


class ShowerWriter:
    """Writes `n` showers to `path`, which appears only when all are there; use it in a ``with`` block.

    `compact` rounds the energies and compresses harder (`caloforge.packing`).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        geometry: Geometry,
        n: int,
        provenance: Mapping[str, Any],
        conditions: tuple[str, ...] = ("energy",),
        compact: bool = False,
    ) -> None:
        self.path, self.geometry, self.n, self.compact = Path(path), geometry, n, compact
        self.rows = chunk_rows(geometry.n_cells)
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self._file = h5py.File(self._temporary, "w", libver=LIBRARY_VERSIONS)
        chunk = (min(self.rows, n), geometry.n_cells)
        self.rows = chunk[0]
        shape = n, geometry.n_cells
        self._showers = self._file.create_dataset("showers", shape, "f4", chunks=chunk, **filters(compact))
        self._conditions = {name: np.empty(n) for name in conditions}
        self._describe(provenance)
        self._threads = ThreadPoolExecutor(THREADS)
        self._pending: deque[tuple[int, Future[bytes]]] = deque()
        self._rest = np.empty((0, geometry.n_cells), np.float32)
        self._appended = self._written = 0

    def _describe(self, provenance: Mapping[str, Any]) -> None:
        attributes = {
            "format": FORMAT,
            "format_version": VERSION,
            "layout": "dense",
            "geometry": self.geometry.to_json(),
            "units": json.dumps(UNITS),
            "provenance": json.dumps({**provenance, "rounding": ROUNDING} if self.compact else provenance),
        }
        for name, value in (attributes | {"digest": digest(attributes)}).items():
            self._file.attrs[name] = _fixed(value)

    def append(self, showers: Showers) -> None:
        """Add a batch."""
        if showers.geometry != self.geometry or set(showers.conditions) != set(self._conditions):
            raise InputError(
                f"showers of {showers.geometry.name!r} with conditions {sorted(showers.conditions)} do not "
                f"belong in a file of {self.geometry.name!r} with {sorted(self._conditions)}."
            )
        stop = self._appended + len(showers)
        if stop > self.n:
            raise InputError(f"{stop} showers for a file of {self.n}.")
        for name, values in showers.conditions.items():
            self._conditions[name][self._appended : stop] = values
        self._appended = stop
        energies = rounded(showers.energies) if self.compact else showers.energies
        energies = np.concatenate([self._rest, energies]) if len(self._rest) else energies
        whole = len(energies) // self.rows * self.rows
        for start in range(0, whole, self.rows):
            self._submit(energies[start : start + self.rows])
        self._rest = energies[whole:].copy()

    def append_chunks(self, part: ShowerFile) -> bool:
        """Add a whole file without decompressing it, if its chunks fit; False if they do not."""
        source = part._file["showers"]
        alike = all(getattr(source, each) == getattr(self._showers, each) for each in ("chunks", *filters(True)))
        fits = alike and not len(self._rest) and part.geometry == self.geometry
        if not fits or (len(part) % self.rows and self._appended + len(part) != self.n):
            return False
        self._drain_all()  # chunks have an order
        for start in range(0, len(part), self.rows):
            self._write(source.id.read_direct_chunk((start, 0))[1])
        for name, values in part.conditions.items():
            self._conditions[name][self._appended : self._appended + len(part)] = values
        self._appended += len(part)
        return True

    def _submit(self, chunk: NDArray[np.float32]) -> None:
        self._pending.append((len(chunk), self._threads.submit(compress, chunk, self.compact)))
        while len(self._pending) > 4 * THREADS:
            self._drain()

    def _drain(self) -> None:
        self._write(self._pending.popleft()[1].result())

    def _drain_all(self) -> None:
        while self._pending:
            self._drain()

    def _write(self, compressed: bytes) -> None:
        self._showers.id.write_direct_chunk((self._written, 0), compressed)
        self._written += self.rows

    def _finish(self) -> None:
        if self._appended != self.n:
            raise InputError(f"the file was to hold {self.n} showers, but {self._appended} were written.")
        if len(self._rest):
            padding = np.zeros((self.rows - len(self._rest), self.geometry.n_cells), np.float32)
            self._submit(np.concatenate([self._rest, padding]))
        self._drain_all()
        for name, values in self._conditions.items():
            where, data = ("incident_energies", values[:, None]) if name == "energy" else (f"conditions/{name}", values)
            self._file.create_dataset(where, data=data, chunks=True, **filters(False))

    def __enter__(self) -> "ShowerWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
            self._threads.shutdown(cancel_futures=True)
            self._file.close()
            if kind is None:
                os.replace(self._temporary, self.path)
        finally:
            with contextlib.suppress(Exception):
                self._file.close()
            self._temporary.unlink(missing_ok=True)


def write(path: str | os.PathLike[str], showers: Showers, provenance: Mapping[str, Any], compact: bool = False) -> None:
    """Write one batch to a new file, atomically."""
    names = tuple(showers.conditions)
    with ShowerWriter(path, showers.geometry, len(showers), provenance, names, compact) as writer:
        writer.append(showers)
