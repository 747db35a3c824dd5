"""How the chunks of a shower file are compressed, and what ``--compact`` loses.

*Plain* chunks keep every bit: gzip level 1 of the numbers as they are. *Compact* ones, for samples that are passed on,
are a third as large: energies are rounded to `MANTISSA` bits of mantissa (round half to even; the relative error of a
cell is at most 2⁻⁸, 0.4 %, without bias: below what a calorimeter's electronics resolves), which leaves two bytes of
four; the bytes are shuffled (all first bytes, then all second ones, …) and gzip works at level 9.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MANTISSA = 7  # bits, of 23; with sign and exponent, two bytes (bfloat16)
ROUNDING = f"{MANTISSA} bits of mantissa"  # what the provenance says
Cells = NDArray[np.float32]


def filters(compact: bool) -> dict[str, Any]:
    """Options of the HDF5 dataset."""
    return {"compression": "gzip", "compression_opts": 9 if compact else 1, "shuffle": compact}


def rounded(energies: Cells, bits: int = MANTISSA) -> Cells:
    """Energies (any shape, finite) to the nearest numbers that have `bits` bits of mantissa; zeros stay zeros."""
    drop = 23 - bits
    pattern = np.ascontiguousarray(energies, dtype=np.float32).view(np.uint32)
    even = (pattern >> drop) & 1
    up = pattern + (np.uint32((1 << (drop - 1)) - 1) + even)
    return np.asarray((up & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32))


def compress(chunk: Cells, compact: bool) -> bytes:
    """A chunk as HDF5 stores it behind those filters."""
    chunk = np.ascontiguousarray(chunk)
    if not compact:
        return zlib.compress(chunk.data, 1)
    shuffled = np.ascontiguousarray(chunk.view(np.uint8).reshape(-1, chunk.itemsize).T)
    return zlib.compress(shuffled.data, 9)
