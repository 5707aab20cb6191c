"""Rows of which a few are replaced: which, and their columns."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tweann.genes import Float, Int
from tweann.kernels._jit import kernel


@kernel
def find_replaced(index: Int, n: int, out: Int) -> int:
    """Find where others stand now in rows of which some were replaced and others joined behind.

    Args:
        index: (k,) who is in each row now: numbers below ``n`` are rows as they were, those from there on others.
        n: how many rows there were, <= k.
        out: (2, k) written: rows that changed, ascending, and which of the others is there.

    Returns:
        How many changed; -1: a row that was there before is in another place.
    """
    found = 0
    for row in range(index.size):
        if row < n and index[row] == row:
            continue
        if index[row] < n:
            return -1
        out[0, found], out[1, found] = row, index[row] - n
        found += 1
    return found


@kernel
def replace_columns(to: NDArray[Any], source: NDArray[Any], changed: Int, children: Int) -> None:
    """Copy ``source[:, children]`` to ``to[:, changed]``.

    Args:
        to, source: (columns, rows).
        changed, children: (n,) rows of each.
    """
    for column in range(to.shape[0]):
        for i in range(changed.size):
            to[column, changed[i]] = source[column, children[i]]


@kernel
def replace_rows(to: Float, source: Float, changed: Int, children: Int) -> None:
    """Copy ``source[children]`` to ``to[changed]``.

    Args:
        to, source: (rows, d).
        changed, children: (n,) rows of each.
    """
    for i in range(changed.size):
        for k in range(to.shape[1]):
            to[changed[i], k] = source[children[i], k]
