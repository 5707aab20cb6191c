"""The MAP-Elites archive: which cell a descriptor falls into, and who holds each cell.

Source: Mouret & Clune, "Illuminating search spaces by mapping elites" (arXiv:1504.04909, 2015).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, Int
from tweann.kernels._jit import kernel
from tweann.kernels.random import mix

Int32 = NDArray[np.int32]

#: Instead of a cell: the descriptor is not a finite number.
NOT_FINITE: Final = -1
#: Instead of a cell: the descriptor is out of bounds, and such are rejected.
REJECTED: Final = -2


@kernel
def grid_cells(descriptor: Float, low: Float, high: Float, bins: Int, clip: bool, out: Int) -> None:
    """Write the cell of each descriptor: its bins' numbers as one, the last dimension's counting least.

    Args:
        descriptor: (n, d).
        low, high: (d,) the bounds, low < high; the upper one belongs to the last bin.
        bins: (d,) >= 1 each.
        clip: what lies out of bounds counts as on the bound; otherwise it is `REJECTED`.
        out: (n,) written.
    """
    for k in range(out.size):
        cell = 0
        for i in range(low.size):
            x = descriptor[k, i]
            if not np.isfinite(x):
                cell = NOT_FINITE
                break
            if not clip and (x < low[i] or x > high[i]):
                cell = REJECTED  # unless a later dimension is not finite
            if cell >= 0:
                # clipped as a float: a cast of what is out of range could give any integer
                share = (min(max(x, low[i]), high[i]) - low[i]) / (high[i] - low[i])
                cell = cell * bins[i] + min(int(share * bins[i]), bins[i] - 1)
        out[k] = cell


@kernel
def find_slot(cell: int, scatter: bool, slots: Int32, cells: Int) -> int:
    """Return where the row of ``cell`` stands in a hash table, or the free place (-1) where it would go.

    Args:
        cell: >= 0.
        scatter: the table has fewer places than there are cells. Otherwise each cell has a place of its own, and a
            number that is no cell's is found by probing all the same.
        slots: rows, in a power of two of places, not all taken; linear probing.
        cells: the cell of each row.
    """
    mask = np.uint64(slots.size - 1)
    at = (mix(np.uint64(cell)) if scatter else np.uint64(cell)) & mask
    while slots[at] >= 0 and cells[slots[at]] != cell:
        at = (at + np.uint64(1)) & mask
    return int(at)


@kernel
def place(
    cell: Int,
    fitness: Float,
    child_cell: Int,
    child_fitness: Float,
    scatter: bool,
    slots: Int32,
    index: Int,
    out_cell: Int,
    out_fitness: Float,
) -> tuple[int, int]:
    """Let children compete for cells, one after the other; a child has to be better than who is there.

    An elite that stays keeps its row, a child that is better takes the row of whom it replaces, and those in
    new cells come behind, so the order is the same however the cells are numbered.

    Args:
        cell, fitness: (m,) of those in the archive already, each in a cell of its own.
        child_cell: (n,); below 0: not to be placed.
        child_fitness: (n,); a child with NaN is not placed.
        scatter: as for `find_slot`.
        slots: room for a hash table, a power of two of places and at least twice m + n.
        index: (m + n,) written: who holds each row; children count from m on.
        out_cell, out_fitness: (m + n,) written: cell and fitness of these.

    Returns:
        How many rows there are now, and how many children are among them.
    """
    m = cell.size
    for i in range(slots.size):
        slots[i] = -1
    for row in range(m):
        slots[find_slot(cell[row], scatter, slots, cell)] = row
        index[row], out_cell[row], out_fitness[row] = row, cell[row], fitness[row]
    n = m
    for child in range(child_cell.size):
        wanted, value = child_cell[child], child_fitness[child]
        if wanted < 0 or np.isnan(value):
            continue
        at = find_slot(wanted, scatter, slots, out_cell)
        row = slots[at]
        if row < 0:
            slots[at] = n
            index[n], out_cell[n], out_fitness[n] = m + child, wanted, value
            n += 1
        elif value > out_fitness[row]:
            index[row], out_fitness[row] = m + child, value
    placed = 0
    for row in range(n):
        placed += index[row] >= m
    return n, placed
