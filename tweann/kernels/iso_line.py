"""The iso+line operator: noise in all directions, and a step along the line to another elite.

Source: Vassiliades & Mouret, "Discovering the elite hypervolume by leveraging interspecies correlation" (GECCO
2018), eq. 1: x_i + σ₁·N(0, I) + σ₂·(x_j − x_i)·N(0, 1).
"""

from __future__ import annotations

from tweann.genes import Float, Genes, Int
from tweann.kernels._jit import inlined_kernel, kernel
from tweann.kernels.ids import is_input
from tweann.kernels.random import UInt64Array, fill_normals, next_normal


@inlined_kernel
def iso_line(
    genes: Genes,
    a: int,
    b: int,
    iso_sigma: float,
    line_sigma: float,
    biases: bool,
    rng: UInt64Array,
    out: Float,
) -> int:
    """Write weights, then biases of hidden and output nodes, in the gene order of genome ``a``.

    Genes are matched by identity, as in crossover: where ``b`` lacks one there is no line to follow, and only the
    noise in all directions remains. So parents of any structure can be combined.

    Args:
        genes, a: the genome that is varied.
        b: the other genome's block, or -1.
        iso_sigma, line_sigma: >= 0, in units of weights, and of the distance.
        biases: biases evolve; otherwise they stay as they are.
        rng: (1,) stream. Draws: the step along the line, if there is one; then value by value.
        out: (>= number of values,) written.

    Returns:
        The number of values.
    """
    line = 0.0
    if b >= 0 and line_sigma > 0.0:
        line = line_sigma * next_normal(rng)
    n = genes.n_connections[a]
    if biases:
        for i in range(genes.n_nodes[a]):
            n += not is_input(genes.node_id[a, i])
    fill_normals(rng, n, out)
    at = j = 0
    m = genes.n_connections[b] if line != 0.0 else 0
    for i in range(genes.n_connections[a]):
        source, target = genes.source[a, i], genes.target[a, i]
        value = genes.weight[a, i]
        while j < m and (
            genes.target[b, j] < target
            or (genes.target[b, j] == target and genes.source[b, j] < source)
        ):
            j += 1
        along = 0.0
        if j < m and genes.target[b, j] == target and genes.source[b, j] == source:
            along = line * (genes.weight[b, j] - value)
        out[at] = value + iso_sigma * out[at] + along
        at += 1
    j = 0
    m = genes.n_nodes[b] if line != 0.0 else 0
    for i in range(genes.n_nodes[a]):
        node = genes.node_id[a, i]
        if is_input(node):
            continue
        value = genes.bias[a, i]
        if biases:
            while j < m and genes.node_id[b, j] < node:
                j += 1
            along = 0.0
            if j < m and genes.node_id[b, j] == node:
                along = line * (genes.bias[b, j] - value)
            value += iso_sigma * out[at] + along
        out[at] = value
        at += 1
    return at


@kernel
def iso_lines(
    genes: Genes,
    a: Int,
    b: Int,
    start: int,
    stop: int,
    iso_sigma: float,
    line_sigma: float,
    biases: bool,
    keys: UInt64Array,
    out: Float,
) -> None:
    """Write the values of children ``start`` to ``stop``, each from its own stream.

    Args:
        genes: the table.
        a: (n,) the parents' blocks; -1: not such a child, its values are left alone.
        b: (n,) the other parents'; -1: none.
        start, stop: which children.
        iso_sigma, line_sigma, biases: as in `iso_line`.
        keys: (n,) streams, changed.
        out: (n, d) written, d at least the largest number of values.
    """
    for k in range(start, stop):
        if a[k] >= 0:
            iso_line(genes, a[k], b[k], iso_sigma, line_sigma, biases, keys[k : k + 1], out[k])
