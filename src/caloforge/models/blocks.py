r"""Evaluating a network on numbered events, so that no bit depends on how a request is cut.

Two things would make it depend. Noise: here it is drawn in blocks of 1 024 events, each a function of (seed, block
number) alone. Arithmetic: matrix products of different heights, or shared among threads, may sum in different orders,
so the network always sees whole tiles of 1 024 rows, padded, an event always in its own row, and one thread works on
a tile. Several threads work on several tiles; that also is faster than to share each small product among them.

A whole tile for one shower would be slow. Requests of few events use tiles of 16 rows instead, if these give the same
bits; that is a property of the processor, the library and the network, so it is not assumed but tried, on one block,
once. For tiles that small most of the time goes to Python, so the network is traced (TorchScript); where that is not to
be had, or gives other bits, it runs as it is.
"""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caloforge.models.base import BLOCK, Latent

__all__ = ["TILE", "Blocks"]

TILE = 16
Floats = NDArray[np.float32]
Network = Callable[[Tensor, Tensor], Tensor]


class Blocks:
    """Runs a network (z, c) → x on events that are numbered, with their noise."""

    def __init__(self) -> None:
        self._noise: tuple[tuple[Latent, int, int], Floats] | None = None
        self._small: dict[tuple[object, ...], Network | None] = {}

    def __reduce__(self) -> tuple[type["Blocks"], tuple[()]]:
        """Copies begin anew."""
        return Blocks, ()

    def run(
        self,
        network: Network,
        latent: Latent,
        c: Floats,
        seed: int,
        first_event: int,
        out: Floats,
        device: torch.device,
    ) -> None:
        """Write x of the events from `first_event` on, whose conditions are the rows of `c`, to `out` (N, n_cells)."""

        def fill(start: int, row: int, n: int) -> None:
            block, offset = divmod(first_event + start - row, BLOCK)
            z = self.noise(latent, seed, block)[offset : offset + size]
            x = _evaluate(small or network, z, c[start : start + n], row, device)
            out[start : start + n] = x[row : row + n]

        with _one_thread_each() as threads:
            few = 0 < len(c) <= 4 * TILE
            small = self._small_network(network, latent, c[:1], seed, first_event, device) if few else None
            size = BLOCK if small is None else TILE
            tiles = list(_tiles(first_event, len(c), size))
            if small is not None or min(threads, len(tiles)) <= 1:
                for tile in tiles:
                    fill(*tile)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    for done in [pool.submit(fill, *tile) for tile in tiles]:
                        done.result()

    def noise(self, latent: Latent, seed: int, block: int) -> Floats:
        """The noise of one block, shape (1024, latent.size); the last one is kept."""
        key, kept = (latent, seed, block), self._noise
        if kept is not None and kept[0] == key:
            return kept[1]
        z = latent.block(seed, block)
        self._noise = key, z
        return z

    def _small_network(self, network: Network, latent: Latent, c: Floats, seed: int, event: int,
                       device: torch.device) -> Network | None:  # fmt: skip
        """The network for small tiles, if there is one that gives the bits of a whole tile: tried once."""
        key = (device, c.shape)
        if key not in self._small:
            z = self.noise(latent, seed, event // BLOCK)
            whole = _evaluate(network, z, c, 0, device)
            self._small[key] = None
            for candidate in (_traced(network, z[:TILE], c, device), network):
                tiles = [_evaluate(candidate, z[a : a + TILE], c, 0, device) for a in range(0, BLOCK, TILE)]
                if np.array_equal(whole, np.concatenate(tiles)):
                    self._small[key] = candidate
                    break
        return self._small[key]

    def forget(self) -> None:
        """To be called when the network has changed."""
        self._small.clear()


@torch.inference_mode()
def _traced(network: Network, z: Floats, c: Floats, device: torch.device) -> Network:
    """The network as one graph for tiles like this; as it is, if it cannot be traced."""
    example = torch.from_numpy(z).to(device), torch.from_numpy(np.repeat(c, len(z), axis=0)).to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's deprecation
        try:
            traced: Network = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        except (RuntimeError, TypeError, NotImplementedError):
            return network
    return traced


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """Torch with one thread per operation inside the block; yields how many there were before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _tiles(first_event: int, n: int, size: int) -> Iterator[tuple[int, int, int]]:
    """For each tile that n events from `first_event` on touch: (number in the request, row in the tile, how many)."""
    start = 0
    while start < n:
        row = (first_event + start) % size
        count = min(size - row, n - start)
        yield start, row, count
        start += count


@torch.inference_mode()
def _evaluate(network: Network, z: Floats, c: Floats, row: int, device: torch.device) -> Floats:
    """Run the network on one tile; rows other than those of `c`, which start at `row`, get its first condition."""
    if len(c) < len(z):
        padded = np.empty((len(z), c.shape[1]), dtype=np.float32)
        padded[:] = c[0]
        padded[row : row + len(c)] = c
        c = padded
    return network(torch.from_numpy(z).to(device), torch.from_numpy(c).to(device)).cpu().numpy()
