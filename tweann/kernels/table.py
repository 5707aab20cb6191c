"""Networks over a table of rows, evaluated side by side in lanes."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Bool, Flag, Float, Genes, Int
from tweann.kernels._jit import allocating_kernel, fused_kernel, inlined_fused_kernel
from tweann.kernels.claims import next_claimed
from tweann.kernels.decode import decode_network
from tweann.kernels.lanes import LaneState, lane_state, run_block
from tweann.kernels.network_batch import (
    DecodeParameters,
    DecodeScratch,
    NetworkBatch,
    NetworkShape,
    count_room,
    decode_scratch,
    network_room,
)
from tweann.kernels.rollout import Scaling
from tweann.kernels.tick import TickState, tick_state

_NON_FINITE = int(Flag.NON_FINITE)


class Loss(IntEnum):
    """What a row costs; the fitness is made of the sum over rows, see `evaluate_table`."""

    PAPER = 0  #: Σ |error|; fitness (n_rows − loss)²: the NEAT paper's XOR
    SQUARED = 1  #: Σ error²; fitness n_rows − loss: neat-python's XOR
    CROSS_ENTROPY = 2  #: −ln softmax of the right class, (n_outputs == 1: of σ(out)); fitness −mean
    MEAN_SQUARED_ERROR = 3  #: mean of error² over outputs; fitness −mean


_PAPER, _SQUARED = int(Loss.PAPER), int(Loss.SQUARED)
_CROSS_ENTROPY, _MSE = int(Loss.CROSS_ENTROPY), int(Loss.MEAN_SQUARED_ERROR)
_MIDDLE: Final = 0.5


class Table(NamedTuple):
    """Rows in blocks of lanes, so that a block's inputs lie together; the last block is filled up with the last row."""

    inputs: Float  #: (blocks, n_inputs, lanes)
    targets: Float  #: (blocks, n_outputs, lanes)
    n_rows: int


class TableParameters(NamedTuple):
    """How a table is evaluated."""

    loss: int  #: of `Loss`
    ticks: int
    n_solved: int  #: rows right that solve the task
    scaling: Scaling
    custom: NDArray[np.uint64]


class TableResults(NamedTuple):
    """What a table says of networks: (n,) each."""

    fitness: Float
    n_right: (
        Int  #: rows right: all outputs on the target's side of 0.5; the class of the largest output
    )
    flags: Int
    solved: Bool


@inlined_fused_kernel
def row_loss(loss: int, outputs: Float, targets: Float, lane: int) -> tuple[float, bool]:
    """Return what a row costs and whether it is right.

    Args:
        loss: of `Loss`.
        outputs: (n_outputs, lanes), scaled.
        targets: (n_outputs, lanes); for cross-entropy 1 for the right class, else 0.
        lane: which row.
    """
    n = outputs.shape[0]
    total = 0.0
    right = True
    if loss == _CROSS_ENTROPY:
        if n == 1:
            z = outputs[0, lane] if targets[0, lane] > _MIDDLE else -outputs[0, lane]
            return (math.log1p(math.exp(-z)) if z > 0.0 else math.log1p(math.exp(z)) - z), z > 0.0
        best, wanted, top = 0, 0, outputs[0, lane]
        for j in range(1, n):
            if outputs[j, lane] > top:
                best, top = j, outputs[j, lane]
            if targets[j, lane] > _MIDDLE:
                wanted = j
        for j in range(n):
            total += math.exp(outputs[j, lane] - top)
        return math.log(total) + top - outputs[wanted, lane], best == wanted
    for j in range(n):
        error = targets[j, lane] - outputs[j, lane]
        total += abs(error) if loss == _PAPER else error * error
        right = right and (outputs[j, lane] > _MIDDLE) == (targets[j, lane] > _MIDDLE)
    return (total / n if loss == _MSE else total), right


@fused_kernel
def evaluate_rows(
    genes: Genes,
    blocks: Int,
    claims: Int,
    decoding: DecodeParameters | None,
    room: DecodeScratch,
    net: NetworkBatch,
    table: Table,
    p: TableParameters,
    state: LaneState,
    single: TickState | None,
    outputs: Float,
    out: TableResults,
) -> bool:
    """Decode genomes, as many as are left to claim, and evaluate each on every row, from the beginning of time.

    Args:
        genes, blocks: (n,) the genomes.
        claims: see `tweann.kernels.claims`.
        decoding: as in `tweann.kernels.decode.decode`.
        room, net: room, sized for the largest genome; that for one network.
        table: rows.
        p: parameters.
        state: room for the lanes.
        single: see `tweann.kernels.lanes.run_block`.
        outputs: (n_outputs, lanes) room.
        out: (n,) written where a genome was claimed.

    Returns:
        Whether all fitness are finite.
    """
    lanes, finite = state.sums.size, True
    net.node_start[0], net.edge_start[0] = 0, 0
    k = stop = 0
    while True:
        k, stop = next_claimed(claims, k, stop)
        if k >= stop:
            break
        decode_network(genes, blocks[k], room, decoding, net, 0)
        first_output = net.n_inputs + net.node_start[1] - net.n_outputs
        loss, n_right, flags = 0.0, 0, 0
        for block in range(table.inputs.shape[0]):
            n_rows = min(lanes, table.n_rows - block * lanes)
            if run_block(net, 0, table.inputs[block], n_rows, p.ticks, state, single, p.custom):
                flags |= _NON_FINITE
            for j in range(net.n_outputs):
                scale, offset = p.scaling.scale[j], p.scaling.offset[j]
                low, high = p.scaling.low[j], p.scaling.high[j]
                for lane in range(lanes):
                    a = state.values[first_output + j, lane] * scale + offset
                    outputs[j, lane] = min(max(a, low), high)
            for lane in range(n_rows):
                cost, right = row_loss(p.loss, outputs, table.targets[block], lane)
                loss += cost
                n_right += right
        if p.loss == _PAPER:
            fitness = (table.n_rows - loss) * (table.n_rows - loss)
        elif p.loss == _SQUARED:
            fitness = table.n_rows - loss
        else:
            fitness = -loss / table.n_rows
        out.fitness[k], out.n_right[k], out.flags[k] = fitness, n_right, flags
        out.solved[k] = n_right >= p.n_solved
        finite = finite and math.isfinite(fitness)
        k += 1
    return bool(finite)


@allocating_kernel
def evaluate_table(
    genes: Genes,
    blocks: Int,
    claims: Int,
    shape: NetworkShape,
    decoding: DecodeParameters | None,
    table: Table,
    p: TableParameters,
    out: TableResults,
) -> bool:
    """Do the work of `evaluate_rows` in room of its own."""
    _, _, nodes, edges = count_room(genes.n_nodes, genes.n_connections, blocks)
    nodes += shape.n_outputs
    n_slots, lanes = shape.n_inputs + nodes, table.inputs.shape[2]
    single = None if decoding is None else tick_state(n_slots, edges)
    return evaluate_rows(
        genes,
        blocks,
        claims,
        decoding,
        decode_scratch(nodes, edges),
        network_room(1, nodes, edges, shape, decoding),
        table,
        p,
        lane_state(n_slots, edges, lanes),
        single,
        np.empty((shape.n_outputs, lanes), np.float64),
        out,
    )


@fused_kernel
def predict_table(
    net: NetworkBatch,
    table: Table,
    p: TableParameters,
    state: LaneState,
    single: TickState | None,
    out: Float,
) -> None:
    """Write the scaled outputs of the batch's first network on every row to ``out``, (n_rows, n_outputs)."""
    lanes = state.sums.size
    first_output = net.n_inputs + net.node_start[1] - net.node_start[0] - net.n_outputs
    for block in range(table.inputs.shape[0]):
        n_rows = min(lanes, table.n_rows - block * lanes)
        run_block(net, 0, table.inputs[block], n_rows, p.ticks, state, single, p.custom)
        for lane in range(n_rows):
            for j in range(net.n_outputs):
                a = state.values[first_output + j, lane] * p.scaling.scale[j] + p.scaling.offset[j]
                out[block * lanes + lane, j] = min(max(a, p.scaling.low[j]), p.scaling.high[j])


def pack_rows(inputs: Float, targets: Float, lanes: int) -> Table:
    """Return a table of (n_rows, n_inputs) inputs and (n_rows, n_outputs) targets, in blocks of ``lanes`` rows."""

    def blocks(rows: Float) -> Float:
        n = -(-rows.shape[0] // lanes)
        filled = np.minimum(np.arange(n * lanes), rows.shape[0] - 1)
        padded = rows[filled]  # not zeros: a network may overflow at zeros and nowhere else
        return np.ascontiguousarray(padded.reshape(n, lanes, -1).transpose(0, 2, 1))

    return Table(blocks(inputs), blocks(targets), inputs.shape[0])
