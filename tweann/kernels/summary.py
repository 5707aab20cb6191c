"""What a generation's columns add up to, in one pass."""

from __future__ import annotations

import math
from typing import NamedTuple

from tweann.genes import Bool, Float, Int, Role, UInt8
from tweann.kernels._jit import kernel

_MEMBER = int(Role.MEMBER)


class Summary(NamedTuple):
    """Evaluations of a brood; positions are -1 where there is none."""

    best: float  #: fitness, of those that did not fail; NaN if all did
    mean: float
    std: float
    worst: float
    n_failed: int
    n_evaluations: int
    first_solved: int
    evaluations_to_first_solved: int  #: up to and with that one
    best_valid: int  #: of the greatest ``validation``, the first
    best_solved: int  #: the same among those that solved the task


@kernel
def summarise(fitness: Float, validation: Float, solved: Bool, n_evaluations: Int) -> Summary:
    """Return what the evaluations of a brood add up to.

    Args:
        fitness: (n,) NaN for a failure.
        validation: (n,) what chooses the champion; NaN for a failure.
        solved: (n,).
        n_evaluations: (n,) task runs.
    """
    n, total, best, worst = 0, 0.0, -math.inf, math.inf
    evaluations, first, to_first, best_valid, best_solved = 0, -1, 0, -1, -1
    for i in range(fitness.size):
        evaluations += n_evaluations[i]
        if not math.isnan(fitness[i]):
            n += 1
            total += fitness[i]
            best, worst = max(best, fitness[i]), min(worst, fitness[i])
        if solved[i] and first < 0:
            first, to_first = i, evaluations
        value = validation[i]
        if value > -math.inf:  # false for NaN
            if best_valid < 0 or value > validation[best_valid]:
                best_valid = i
            if solved[i] and (best_solved < 0 or value > validation[best_solved]):
                best_solved = i
    failed = fitness.size - n
    if n == 0:
        nan = math.nan
        return Summary(
            nan, nan, nan, nan, failed, evaluations, first, to_first, best_valid, best_solved
        )
    mean, squares = total / n, 0.0
    for value in fitness:
        if not math.isnan(value):
            squares += (value - mean) * (value - mean)
    std = math.sqrt(squares / n)
    return Summary(
        best, mean, std, worst, failed, evaluations, first, to_first, best_valid, best_solved
    )


@kernel
def count_genes(n_nodes: Int, n_connections: Int, blocks: Int, role: UInt8) -> tuple[int, int, int]:
    """Return how many members there are, and how many node and connection genes these have together.

    Args:
        n_nodes, n_connections: of all blocks.
        blocks, role: (n,) of the rows.
    """
    members, nodes, connections = 0, 0, 0
    for i in range(blocks.size):
        if role[i] & _MEMBER:
            members += 1
            nodes += n_nodes[blocks[i]]
            connections += n_connections[blocks[i]]
    return members, nodes, connections
