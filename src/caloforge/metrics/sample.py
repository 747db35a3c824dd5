"""`Sample`: what the metrics look at, gathered in one pass over showers that need not fit into memory.

For 10⁶ showers of 89 cells, or of 10⁴ cells, the showers themselves are too large to keep. A survey reads them slice by
slice and keeps the observables of every shower, the sums that the mean and variance of each cell need, and two random
subsets of bounded size: one of cells (for correlations), one of whole showers (for neighbours and pictures).

Wherever showers are chosen or divided into blocks, they are so at random, with a fixed seed: incident energies may be
cycled, and a choice of every second shower would be a choice of energies. Equally long samples get the same choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from caloforge.block_observables import block_table, block_values
from caloforge.geometry import Geometry
from caloforge.observables import evaluate, table
from caloforge.showers import Showers, concatenate

BLOCKS = 10
SLICE = 2**22  # cells read at a time: 16 MB
KEPT = 2**24  # floats kept of each subset: 64 MB
WHOLE = 5_000  # whole showers kept at most
ALL_CELLS, SOME_CELLS = 2048, 1024
COLUMNS = 2**24  # observable values kept: 64 MB

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


class Source(Protocol):
    """Showers in memory or in a file: a length, slices, a geometry and conditions."""

    @property
    def geometry(self) -> Geometry: ...
    @property
    def conditions(self) -> Mapping[str, Floats]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Showers: ...


@dataclass(frozen=True, eq=False)
class CellSums:
    """Sums over showers of each cell's energy, its square and its share, in `BLOCKS` blocks of showers.

    Energies are in MeV; a cell's share is its energy over that of all cells, zero in an empty shower. `blocks_of` says
    which block a shower is in. Leaving out one block after the other gives jackknife errors.
    """

    count: Floats
    total: Floats
    square: Floats
    share: Floats

    def mean(self, without: int | None = None) -> Floats:
        """Mean energy of each cell in MeV, shape (n_cells,), leaving out one block if asked."""
        return np.asarray(_all_but(self.total, without) / _all_but(self.count, without))

    def variance(self, without: int | None = None) -> Floats:
        """Variance of each cell's energy in MeV², shape (n_cells,), leaving out one block if asked."""
        mean_square = _all_but(self.square, without) / _all_but(self.count, without)
        return np.asarray(np.maximum(mean_square - self.mean(without) ** 2, 0.0))

    def mean_share(self, without: int | None = None) -> Floats:
        """Mean over the showers with energy of each cell's share, shape (n_cells,); NaN if there is none."""
        share = _all_but(self.share, without)
        showers = share.sum()  # the shares of one add up to 1
        return np.asarray(share / showers if showers > 0 else np.full(len(share), np.nan))


@dataclass(frozen=True, eq=False)
class Sample:
    """A surveyed set of n showers, all cells below threshold being zero.

    Parameters
    ----------
    geometry : the numbering of the cells.
    energy : incident energies in MeV, shape (n,).
    columns : observables of the whole survey, float32; `rows` are those of this sample (see `values`).
    sums : of every cell, over the n showers.
    cells : energies in MeV of the `correlated_cells` in k ≤ n of the showers, shape (k, m).
    cells_energy : incident energies in MeV of those k showers.
    showers : some whole showers.
    """

    geometry: Geometry
    energy: Floats
    columns: Mapping[str, NDArray[np.float32]]
    rows: Rows
    sums: CellSums
    cells: NDArray[np.float32]
    cells_energy: Floats
    showers: Showers

    @classmethod
    def of(cls, showers: "Sample | Source") -> "Sample":
        """The survey of all showers, above the thresholds of their own geometry."""
        return showers if isinstance(showers, Sample) else survey(showers, [np.arange(len(showers))])[0]

    def __len__(self) -> int:
        return len(self.energy)

    def values(self, observable: str) -> Floats:
        """An observable of each shower, shape (n,)."""
        return self.columns[observable][self.rows].astype(np.float64)

    @cached_property
    def cell_products(self) -> tuple[Floats, Floats, Floats]:
        """Sums of `products` for the sample's own cells."""
        return products(self.cells)


def products(cells: NDArray[np.float32] | Floats) -> tuple[Floats, Floats, Floats]:
    """Per block of showers: number (B,), sum (B, m) and sum of products (B, m, m) of cell energies (k, m), centred."""
    center = cells.mean(axis=0, dtype=np.float64)
    number = blocks_of(len(cells))
    blocks = [cells[number == block] - center for block in range(BLOCKS)]
    count = np.array([float(len(block)) for block in blocks])
    return count, np.stack([block.sum(axis=0) for block in blocks]), np.stack([block.T @ block for block in blocks])


def correlated_cells(geometry: Geometry) -> Rows:
    """The cells that correlations are made of: all up to 2 048, else 1 024 at evenly spaced numbers."""
    n = geometry.n_cells
    return np.arange(n) if n <= ALL_CELLS else even_rows(n, SOME_CELLS)


def even_rows(n: int, wanted: int) -> Rows:
    """`wanted` evenly spaced numbers (all, if there are fewer) below n."""
    wanted = min(n, wanted)
    return np.arange(wanted, dtype=np.int64) * n // max(wanted, 1)


def random_rows(n: int, wanted: int) -> Rows:
    """`wanted` random numbers (all, if there are fewer) below n, in order; the same for the same arguments."""
    return np.arange(n) if wanted >= n else np.sort(np.random.default_rng(n).permutation(n)[:wanted])


def blocks_of(n: int) -> Rows:
    """The block that each of n showers is in; blocks are random and of equal size."""
    return np.asarray(np.random.default_rng(n).permutation(n) % BLOCKS)


def survey(
    source: Source,
    selections: Sequence[Rows],
    geometry: Geometry | None = None,
    observables: Sequence[str] | None = None,
) -> list[Sample]:
    """Read the showers once, and return one sample for each selection of row numbers.

    The first selection must contain the others. Cells below the thresholds of `geometry` (default: the source's own)
    are set to zero first.
    """
    geometry = geometry or source.geometry
    names = list(table(geometry)) if observables is None else list(observables)
    of_block = list(block_table(geometry)) if observables is None else []
    chosen = selections[0]
    places = [np.searchsorted(chosen, rows) for rows in selections]
    columns = {name: np.empty(len(chosen), np.float32) for name in [*names, *of_block]}
    sums = _empty_sums(len(selections), geometry.n_cells)
    blocks = [blocks_of(len(rows)) for rows in places]
    kept, cells, whole, showers = _kept_rows(len(chosen), geometry)
    for start, batch in _batches(source, chosen, geometry):
        here = slice(start, start + len(batch))
        for name, values in evaluate(batch, names).items():
            columns[name][here] = values
        if of_block:
            for name, values in zip(of_block, block_values(batch).T, strict=True):
                columns[name][here] = values
        _add(sums, batch.energies, places, blocks, here)
        cells.append(batch.energies[_inside(kept, here)][:, correlated_cells(geometry)])
        showers.append(batch[_inside(whole, here)])
    energy, kept_cells, some = source.conditions["energy"][chosen], np.concatenate(cells), concatenate(showers)
    return [
        Sample(
            geometry,
            energy[rows],
            columns,
            rows,
            CellSums(*(each[i] for each in sums)),
            kept_cells[(inside := np.isin(kept, rows))],
            energy[kept][inside],
            some[np.isin(whole, rows)],
        )
        for i, rows in enumerate(places)
    ]


def _batches(source: Source, chosen: Rows, geometry: Geometry) -> Any:
    """(number of the first chosen shower, chosen showers above threshold), slice by slice."""
    step = max(1, SLICE // geometry.n_cells)
    for low in range(0, len(source), step):
        start, stop = np.searchsorted(chosen, [low, low + step])
        if stop > start:
            batch = source[low : min(low + step, len(source))]
            if stop - start < len(batch):
                batch = batch[chosen[start:stop] - low]
            yield int(start), batch.above_threshold(geometry)


def _kept_rows(n: int, geometry: Geometry) -> tuple[Rows, list[Any], Rows, list[Any]]:
    kept = random_rows(n, max(1, KEPT // len(correlated_cells(geometry))))
    whole = random_rows(n, min(WHOLE, max(1, KEPT // geometry.n_cells)))
    return kept, [], whole, []


def _empty_sums(n: int, n_cells: int) -> tuple[Floats, ...]:
    return np.zeros((n, BLOCKS, 1)), *(np.zeros((n, BLOCKS, n_cells)) for _ in range(3))


def _add(
    sums: tuple[Floats, ...],
    energies: NDArray[np.float32],
    places: list[Rows],
    blocks: list[Rows],
    here: slice,
) -> None:
    """Add a batch to the sums (n_selections, BLOCKS, ...) of the selections that its showers are in."""
    member = np.zeros((len(places), BLOCKS, len(energies)))
    for i, rows in enumerate(places):
        first, last = np.searchsorted(rows, [here.start, here.stop])
        member[i, blocks[i][first:last], rows[first:last] - here.start] = 1.0
    exact = energies.astype(np.float64)
    sums[0][:] += member.sum(axis=-1, keepdims=True)
    sums[1][:] += member @ exact
    sums[2][:] += member @ exact**2
    whole = exact.sum(axis=1)
    sums[3][:] += member * np.divide(1.0, whole, out=np.zeros(len(whole)), where=whole > 0) @ exact


def _inside(rows: Rows, here: slice) -> Rows:
    """The rows that lie in a range, counted from its start."""
    first, last = np.searchsorted(rows, [here.start, here.stop])
    return np.asarray(rows[first:last] - here.start)


def _all_but(sums: Floats, without: int | None) -> Any:
    return sums.sum(axis=0) if without is None else np.delete(sums, without, axis=0).sum(axis=0)
