"""Checks of what a strategy says, in one pass over its arrays."""

from __future__ import annotations

from tweann.genes import Bool, Int, Operator, UInt8
from tweann.kernels._jit import kernel

_N_OPERATORS = len(Operator)
_FRESH, _CROSSOVER = int(Operator.FRESH), int(Operator.CROSSOVER)
_CROSSOVER_MUTATE = int(Operator.CROSSOVER_MUTATE)


@kernel
def first_bad_child(operator: UInt8, parent_a: Int, parent_b: Int, n_rows: int) -> int:
    """Return the first child that cannot be bred from a pool of ``n_rows`` rows, or -1.

    An operator is unknown, or a parent is no row, and not the -1 that stands for none where none is needed.

    Args:
        operator, parent_a, parent_b: (n,) as in `tweann.interfaces.BreedingPlan`.
        n_rows: rows of the pool.
    """
    for i in range(operator.size):
        code, a, b = operator[i], parent_a[i], parent_b[i]
        crossed = code in (_CROSSOVER, _CROSSOVER_MUTATE)
        if not 0 <= code < _N_OPERATORS:
            return i
        if a >= n_rows or b >= n_rows or a < -1 or b < -1:
            return i
        if (a < 0 and code != _FRESH) or (b < 0 and crossed):
            return i
    return -1


@kernel
def first_bad_survivor(index: Int, stays: Bool) -> int:
    """Mark who stays; return the first position whose row does not exist or occurs before, or -1.

    Args:
        index: (k,) rows.
        stays: (n,) written, up to the fault.
    """
    for row in range(stays.size):
        stays[row] = False
    for i in range(index.size):
        row = index[i]
        if row < 0 or row >= stays.size or stays[row]:
            return i
        stays[row] = True
    return -1


@kernel
def find_leavers(stays: Bool, blocks: Int, others: Int, out: Int) -> None:
    """Write the blocks of those that do not stay.

    Args:
        stays: (n + m,) whether each row does.
        blocks, others: (n,) and (m,) of the rows, and of those behind them.
        out: (number of leavers,) written.
    """
    at, n = 0, blocks.size
    for row in range(stays.size):
        if not stays[row]:
            out[at] = blocks[row] if row < n else others[row - n]
            at += 1
