"""Sorting without allocation: positions in the order of their values."""

from __future__ import annotations

from typing import Final

from tweann.genes import Float, Int
from tweann.kernels._jit import kernel

#: Runs that are sorted by insertion before they are merged.
_RUN: Final = 16


@kernel
def sort_descending(values: Float, order: Int, scratch: Int) -> None:
    """Write the positions of ``values`` from the greatest to the least; equal ones stay in order.

    Args:
        values: (n,) without NaN.
        order: (n,) written.
        scratch: (>= n,).
    """
    n = values.size
    for start in range(0, n, _RUN):
        for i in range(start, min(start + _RUN, n)):
            value, at = values[i], i
            while at > start and values[order[at - 1]] < value:
                order[at] = order[at - 1]
                at -= 1
            order[at] = i
    width = _RUN
    while width < n:
        for start in range(0, n - width, 2 * width):
            middle, stop = start + width, min(start + 2 * width, n)
            if values[order[middle - 1]] >= values[order[middle]]:
                continue  # in order already
            for i in range(start, middle):
                scratch[i] = order[i]
            left, right = start, middle
            for at in range(start, stop):
                if left == middle:
                    break  # the rest stands where it belongs
                if right < stop and values[order[right]] > values[scratch[left]]:
                    order[at] = order[right]
                    right += 1
                else:
                    order[at] = scratch[left]
                    left += 1
        width *= 2
