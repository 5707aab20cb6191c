"""Editing one genome's genes in place, in sorted order: the only code that moves genes.

Every operator and every optional column group goes through here, so that no column can be forgotten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, Genes
from tweann.kernels._jit import inlined_kernel
from tweann.kernels.ids import find_node, is_input, is_output


@inlined_kernel
def copy_nodes(genes: Genes, parent: int, child: int) -> None:
    """Copy all node genes of block ``parent``, and what it has as a whole, to block ``child``."""
    n = genes.n_nodes[parent]
    genes.n_nodes[child] = n
    for i in range(n):
        genes.node_id[child, i] = genes.node_id[parent, i]
    for i in range(n):
        genes.activation[child, i] = genes.activation[parent, i]
        genes.aggregation[child, i] = genes.aggregation[parent, i]
        genes.bias[child, i] = genes.bias[parent, i]
    for g in range(genes.node_extra.shape[1]):
        for i in range(n):
            genes.node_extra[child, g, i] = genes.node_extra[parent, g, i]
    for g in range(genes.genome_extra.shape[1]):
        genes.genome_extra[child, g] = genes.genome_extra[parent, g]


@inlined_kernel
def copy_genome(genes: Genes, parent: int, child: int) -> None:
    """Copy block ``parent`` to block ``child``."""
    copy_nodes(genes, parent, child)
    n = genes.n_connections[parent]
    genes.n_connections[child] = n
    for i in range(n):
        genes.source[child, i] = genes.source[parent, i]
        genes.target[child, i] = genes.target[parent, i]
    for i in range(n):
        genes.weight[child, i] = genes.weight[parent, i]
        genes.enabled[child, i] = genes.enabled[parent, i]
    for g in range(genes.connection_extra.shape[1]):
        for i in range(n):
            genes.connection_extra[child, g, i] = genes.connection_extra[parent, g, i]


@inlined_kernel
def move_node(genes: Genes, block: int, start: int, end: int) -> None:
    """Copy the node gene at position ``start`` to position ``end``."""
    genes.node_id[block, end] = genes.node_id[block, start]
    genes.activation[block, end] = genes.activation[block, start]
    genes.aggregation[block, end] = genes.aggregation[block, start]
    genes.bias[block, end] = genes.bias[block, start]
    for g in range(genes.node_extra.shape[1]):
        genes.node_extra[block, g, end] = genes.node_extra[block, g, start]


@inlined_kernel
def move_connection(genes: Genes, block: int, start: int, end: int) -> None:
    """Copy the connection gene at position ``start`` to position ``end``."""
    genes.source[block, end] = genes.source[block, start]
    genes.target[block, end] = genes.target[block, start]
    genes.weight[block, end] = genes.weight[block, start]
    genes.enabled[block, end] = genes.enabled[block, start]
    for g in range(genes.connection_extra.shape[1]):
        genes.connection_extra[block, g, end] = genes.connection_extra[block, g, start]


@inlined_kernel
def find_connection(genes: Genes, block: int, source: int, target: int) -> int:
    """Return the position of a connection, or -1 - (where it belongs)."""
    low, high = 0, genes.n_connections[block]
    while low < high:
        middle = (low + high) >> 1
        t = genes.target[block, middle]
        if t < target or (t == target and genes.source[block, middle] < source):
            low = middle + 1
        else:
            high = middle
    if (
        low < genes.n_connections[block]
        and genes.target[block, low] == target
        and genes.source[block, low] == source
    ):
        return low
    return -1 - low


@inlined_kernel
def insert_node(
    genes: Genes, block: int, node: int, activation: int, aggregation: int, extra: Float
) -> bool:
    """Insert a node gene with bias 0; False, and nothing done, if the id is there already.

    The block must have room for one more. ``extra`` is (n_extra,), the values of optional columns.
    """
    n = genes.n_nodes[block]
    found = find_node(genes.node_id[block], n, node)
    if found >= 0:
        return False
    at = -1 - found
    for i in range(n, at, -1):
        move_node(genes, block, i - 1, i)
    genes.node_id[block, at] = node
    genes.activation[block, at] = activation
    genes.aggregation[block, at] = aggregation
    genes.bias[block, at] = 0.0
    for g in range(genes.node_extra.shape[1]):
        genes.node_extra[block, g, at] = extra[g]
    genes.n_nodes[block] = n + 1
    return True


@inlined_kernel
def insert_connection(
    genes: Genes, block: int, source: int, target: int, weight: float, extra: Float
) -> bool:
    """Insert an enabled connection gene; False, and nothing done, if the pair is there already.

    The block must have room for one more. ``extra`` is (n_extra,), the values of optional columns.
    """
    found = find_connection(genes, block, source, target)
    if found >= 0:
        return False
    at = -1 - found
    for i in range(genes.n_connections[block], at, -1):
        move_connection(genes, block, i - 1, i)
    genes.source[block, at] = source
    genes.target[block, at] = target
    genes.weight[block, at] = weight
    genes.enabled[block, at] = True
    for g in range(genes.connection_extra.shape[1]):
        genes.connection_extra[block, g, at] = extra[g]
    genes.n_connections[block] += 1
    return True


@inlined_kernel
def remove_connection(genes: Genes, block: int, at: int) -> None:
    """Remove the connection gene at position ``at``."""
    n = genes.n_connections[block] - 1
    for i in range(at, n):
        move_connection(genes, block, i + 1, i)
    genes.n_connections[block] = n


@inlined_kernel
def remove_connections_of(genes: Genes, block: int, node: int) -> None:
    """Remove every connection gene that begins or ends at ``node``."""
    kept = int(np.int64(0))  # as in `tweann.kernels.lanes`
    for i in range(genes.n_connections[block]):
        if genes.source[block, i] != node and genes.target[block, i] != node:
            if kept != i:
                move_connection(genes, block, i, kept)
            kept += 1
    genes.n_connections[block] = kept


@inlined_kernel
def remove_unnamed_nodes(genes: Genes, block: int, marks: NDArray[np.bool_]) -> None:
    """Remove every hidden node that no connection gene names, so that equal networks have equal bytes.

    ``marks`` is (>= N,), room to work in.
    """
    n = genes.n_nodes[block]
    for i in range(n):
        node = genes.node_id[block, i]
        marks[i] = is_input(node) or is_output(node)
    at = 0  # targets ascend, as nodes do
    for i in range(genes.n_connections[block]):
        while genes.node_id[block, at] != genes.target[block, i]:
            at += 1
        marks[at] = True
    unnamed = 0
    for i in range(n):
        unnamed += not marks[i]
    if unnamed == 0:  # mostly: sources need not be looked for
        return
    for i in range(genes.n_connections[block]):
        marks[find_node(genes.node_id[block], n, genes.source[block, i])] = True
    kept = int(np.int64(0))  # as in `tweann.kernels.lanes`
    for i in range(n):
        if marks[i]:
            if kept != i:
                move_node(genes, block, i, kept)
            kept += 1
    genes.n_nodes[block] = kept
