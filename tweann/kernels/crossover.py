"""Crossover: one child of two genomes, valid by construction."""

from __future__ import annotations

from typing import Final

import numpy as np

from tweann.genes import Genes
from tweann.kernels._jit import kernel
from tweann.kernels.edit import copy_nodes
from tweann.kernels.random import UInt64Array, next_uint64, next_uniform

_TOP: Final = np.uint64(63)


@kernel
def crossover(
    genes: Genes, a: int, b: int, child: int, disable_rate: float, rng: UInt64Array
) -> None:
    """Write the child of blocks ``a`` (dominant) and ``b`` to block ``child``.

    Node genes and connection genes of ``a`` that ``b`` lacks come from ``a``; matching ones from either at
    random, so no end can be missing. A gene that is disabled in either parent is disabled in the child
    with ``disable_rate``, otherwise enabled.

    Draws, gene by gene: from which parent (matching ones), disabled or not (where it is disabled in one).
    Source: Stanley & Miikkulainen (2002), section 3.2. Cost: one merge walk.
    """
    copy_nodes(genes, a, child)
    n, m = genes.n_connections[a], genes.n_connections[b]
    genes.n_connections[child] = n
    j = 0
    for i in range(n):
        source, target = genes.source[a, i], genes.target[a, i]
        while j < m and (
            genes.target[b, j] < target
            or (genes.target[b, j] == target and genes.source[b, j] < source)
        ):
            j += 1
        enabled = genes.enabled[a, i]
        parent, at = a, i
        if j < m and genes.target[b, j] == target and genes.source[b, j] == source:
            enabled = enabled and genes.enabled[b, j]
            if next_uint64(rng) >> _TOP:
                parent, at = b, j
            j += 1
        genes.source[child, i] = source
        genes.target[child, i] = target
        genes.weight[child, i] = genes.weight[parent, at]
        for g in range(genes.connection_extra.shape[1]):
            genes.connection_extra[child, g, i] = genes.connection_extra[parent, g, at]
        genes.enabled[child, i] = enabled or next_uniform(rng) >= disable_rate
