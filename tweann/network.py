"""Networks: what genomes decode to.

A `NetworkSlice` is a part of the population as a task sees it; a `Network` is a single one, for
people, robots and Python tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from tweann.errors import ConfigError
from tweann.genes import AGGREGATIONS, Float, Genes, Int
from tweann.kernels.decode import MIXED, RECURRENT, NetworkBatch, decode, decode_scratch
from tweann.kernels.rollout import Scaling
from tweann.kernels.tick import activate_sums, lane_state, reset_lanes, tick, tick_lanes, tick_state
from tweann.layout import Layout


def decode_genomes(genes: Genes, blocks: Int, layout: Layout) -> NetworkBatch:
    """Decode the genomes in ``blocks``, (n,), to contiguous arrays."""
    n = blocks.size
    n_nodes = genes.n_nodes[blocks]
    n_connections = genes.n_connections[blocks]
    nodes = int(n_nodes.sum()) + n * layout.n_outputs
    edges = int(n_connections.sum())
    batch = NetworkBatch(
        n_inputs=layout.n_inputs,
        n_outputs=layout.n_outputs,
        node_start=np.empty(n + 1, np.int64),
        edge_start=np.empty(n + 1, np.int64),
        kind=np.empty(n, np.uint8),
        edge_stop=np.empty(nodes, np.uint32),
        activation=np.empty(nodes, np.uint8),
        aggregation=np.empty(nodes, np.uint8),
        bias=np.empty(nodes),
        source=np.empty(edges, np.uint16),
        weight=np.empty(edges),
    )
    room = decode_scratch(int(n_nodes.max(initial=0)), int(n_connections.max(initial=0)))
    decode(genes, blocks, room, batch)
    return batch


class NetworkSlice:
    """A slice of genomes, looked at as networks; decoded once, when first needed.

    Attributes:
        genes, blocks: where the genomes are; (n,) blocks. They must not change meanwhile.
        layout: their shape.
        scaling: how outputs become what the task takes.
    """

    def __init__(self, genes: Genes, blocks: Int, layout: Layout, scaling: Scaling) -> None:
        self.genes, self.blocks, self.layout, self.scaling = genes, blocks, layout, scaling

    @cached_property
    def batch(self) -> NetworkBatch:
        """The networks as arrays."""
        return decode_genomes(self.genes, self.blocks, self.layout)

    @property
    def max_slots(self) -> int:
        """Values of the largest network: inputs and nodes."""
        starts = self.batch.node_start
        return self.layout.n_inputs + int((starts[1:] - starts[:-1]).max(initial=0))

    @property
    def max_edges(self) -> int:
        """Edges of the largest network."""
        starts = self.batch.edge_start
        return int((starts[1:] - starts[:-1]).max(initial=0))

    def __len__(self) -> int:
        return int(self.blocks.size)

    def __getitem__(self, k: int) -> Network:
        if not 0 <= k < len(self):
            raise IndexError(f"network {k} of a slice of {len(self)}")
        return Network(self.batch, k, self.layout)

    def __iter__(self) -> Iterator[Network]:
        return (self[k] for k in range(len(self)))


class Network:
    """One network, ready to run: stateful, not shared between threads.

    Attributes:
        n_inputs, n_outputs: sizes of what `activate` takes and gives.
        n_nodes: hidden and output nodes that matter.
        n_connections: enabled connections that matter.
        recurrent: whether it has a memory.
    """

    def __init__(self, batch: NetworkBatch, k: int, layout: Layout) -> None:
        nodes = slice(int(batch.node_start[k]), int(batch.node_start[k + 1]))
        edges = slice(int(batch.edge_start[k]), int(batch.edge_start[k + 1]))
        self.n_inputs, self.n_outputs = batch.n_inputs, batch.n_outputs
        self.n_nodes, self.n_connections = nodes.stop - nodes.start, edges.stop - edges.start
        self.recurrent = bool(batch.kind[k] & RECURRENT)
        self._layout = layout
        self._batch = NetworkBatch(
            batch.n_inputs,
            batch.n_outputs,
            np.array([0, self.n_nodes]),
            np.array([0, self.n_connections]),
            batch.kind[k : k + 1].copy(),
            batch.edge_stop[nodes].copy(),
            batch.activation[nodes].copy(),
            batch.aggregation[nodes].copy(),
            batch.bias[nodes].copy(),
            batch.source[edges].copy(),
            batch.weight[edges].copy(),
        )
        self._mixed = bool(batch.kind[k] & MIXED)
        self._state = tick_state(self.n_inputs + self.n_nodes, self.n_connections)
        self._values = self._state.values
        self._program = (
            self._batch.edge_stop,
            self._batch.activation,
            self._batch.bias,
            self._batch.source,
            self._batch.weight,
            self._values,
            layout.custom,
        )

    def activate(self, inputs: ArrayLike) -> Float:
        """Compute one tick and return the outputs.

        Args:
            inputs: (n_inputs,) numbers; one that is not finite counts as 0.

        Returns:
            (n_outputs,) the output nodes' values, unscaled.

        Raises:
            ConfigError: ``inputs`` has another shape, or is not of numbers.
        """
        if not (isinstance(inputs, np.ndarray) and inputs.dtype == np.float64):
            inputs = self._as_array(inputs)
        if inputs.shape != (self.n_inputs,):
            raise ConfigError(
                f"the network has {self.n_inputs} inputs: expected shape ({self.n_inputs},), "
                f"came {inputs.shape}"
            )
        if self._mixed:
            self._values[: self.n_inputs] = inputs
            tick(self._batch, 0, self._state, self._layout.custom)
        else:
            activate_sums(np.ascontiguousarray(inputs), *self._program)
        return self._values[self._values.size - self.n_outputs :].copy()

    def activate_rows(self, rows: ArrayLike, ticks: int = 1) -> Float:
        """Return the outputs for many independent inputs, each from a state of zeros.

        Args:
            rows: (n_rows, n_inputs).
            ticks: how many ticks each row's inputs are held.

        Returns:
            (n_rows, n_outputs). The network's own state is neither used nor changed.

        Raises:
            ConfigError: ``rows`` has another shape or is not of numbers, or ``ticks`` is less than 1.
        """
        table = self._as_array(rows)
        if ticks < 1:
            raise ConfigError(f"expected ticks to be 1 or more, came {ticks}")
        if table.ndim != 2 or table.shape[1] != self.n_inputs:
            raise ConfigError(f"expected rows of shape (n, {self.n_inputs}), came {table.shape}")
        state = lane_state(self._values.size, self.n_connections)
        lanes = state.sums.size
        out = np.empty((table.shape[0], self.n_outputs))
        for start in range(0, table.shape[0], lanes):
            part = table[start : start + lanes]
            reset_lanes(self._batch, 0, state)
            state.values[: self.n_inputs] = 0.0
            state.values[: self.n_inputs, : len(part)] = part.T
            for _ in range(ticks):
                tick_lanes(self._batch, 0, state, self._layout.custom)
            out[start : start + lanes] = state.values[-self.n_outputs :, : len(part)].T
        return out

    def reset(self) -> None:
        """Forget: all values are 0 again."""
        self._values[:] = 0.0
        self._state.delivered[:] = 0.0

    @property
    def state(self) -> Float:
        """(n_state,) all that the network carries from tick to tick; a copy. Settable."""
        return np.concatenate((self._values, self._state.delivered))

    @state.setter
    def state(self, state: ArrayLike) -> None:
        values = self._as_array(state)
        expected = (self._values.size + self._state.delivered.size,)
        if values.shape != expected:
            raise ConfigError(f"expected a state of shape {expected}, came {values.shape}")
        if not np.isfinite(values).all():
            raise ConfigError("expected a state of finite numbers")
        self._values[:] = values[: self._values.size]
        self._state.delivered[:] = values[self._values.size :]

    def __repr__(self) -> str:
        kind = "recurrent" if self.recurrent else "feed-forward"
        used = {AGGREGATIONS[a] for a in np.unique(self._batch.aggregation)}
        names = sorted({self._layout.activations[a] for a in np.unique(self._batch.activation)})
        text = f"Network({self.n_inputs} inputs, {self.n_outputs} outputs, {self.n_nodes} nodes, "
        text += f"{self.n_connections} connections, {kind}, {'/'.join(names)}"
        return text + (f", {'/'.join(sorted(used))})" if used != {"sum"} else ")")

    @staticmethod
    def _as_array(inputs: ArrayLike) -> Float:
        try:
            return np.asarray(inputs, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"expected numbers, came {type(inputs).__name__}: {error}") from None
