"""Networks: what genomes decode to.

A `NetworkSlice` is a part of the population as a task sees it; a `Network` is a single one, for
people, robots and Python tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from tweann.errors import ConfigError
from tweann.genes import (
    AGGREGATIONS,
    DYNAMICS,
    PLASTICITY_RULES,
    Float,
    Genes,
    Int,
    UInt8,
)
from tweann.kernels.decode import decoded
from tweann.kernels.lanes import lane_state, run_block
from tweann.kernels.learning import learn
from tweann.kernels.network_batch import (
    DYNAMIC,
    GENERAL,
    PLASTIC,
    RECURRENT,
    ROW_BY_ROW,
    DecodeParameters,
    NetworkBatch,
    NetworkShape,
    longest_part,
)
from tweann.kernels.rollout import Scaling
from tweann.kernels.tick import TickState, activate_sums, reset, tick, tick_state
from tweann.layout import Layout


def decode_parameters(layout: Layout) -> DecodeParameters | None:
    """Return what decoding needs to know of a run with dynamics or plasticity; None: it has neither."""
    if not layout.groups or not {"dynamics", "plasticity"}.intersection(layout.groups):
        return None
    of_nodes = [name for name, _ in layout.node_columns]
    of_connections = [name for name, _ in layout.connection_columns]

    def at(columns: list[str], name: str) -> int:
        return columns.index(name) if name in columns else -1

    return DecodeParameters(
        dynamics=at(of_nodes, "dynamics"),
        izhikevich=at(of_nodes, "izhikevich_a"),
        modulatory=at(of_nodes, "modulatory"),
        rule=at(of_connections, "rule"),
        stdp=at(of_connections, "stdp_a_plus"),
        dt=layout.dt,
    )


def decode_genomes(genes: Genes, blocks: Int, layout: Layout) -> NetworkBatch:
    """Decode the genomes in ``blocks``, (n,), to contiguous arrays."""
    return decoded(genes, blocks, network_shape(layout), decode_parameters(layout))


def network_shape(layout: Layout) -> NetworkShape:
    """Return what all networks of a run have in common."""
    return NetworkShape(layout.n_inputs, layout.n_outputs, layout.weight_bound)


def one_network(batch: NetworkBatch, k: int) -> NetworkBatch:
    """Return network ``k`` of a batch as a batch of its own, in arrays of its own."""
    nodes = slice(int(batch.node_start[k]), int(batch.node_start[k + 1]))
    edges = slice(int(batch.edge_start[k]), int(batch.edge_start[k + 1]))
    return batch._replace(
        node_start=np.array([0, nodes.stop - nodes.start]),
        edge_start=np.array([0, edges.stop - edges.start]),
        kind=batch.kind[k : k + 1].copy(),
        **{
            name: getattr(batch, name)[part].copy()
            for names, part in ((_OF_NODES, nodes), (_OF_EDGES, edges))
            for name in names
        },
    )


_OF_NODES: Final = (
    "edge_stop",
    "group_stop",
    "activation",
    "aggregation",
    "bias",
    "dynamics",
    "constants",
    "modulatory_start",
)
_OF_EDGES: Final = ("source", "weight", "edge_gene", "rule", "coefficients")


class NetworkSlice:
    """A slice of genomes, looked at as networks; decoded once, when first needed.

    Attributes:
        genes, blocks: where the genomes are; (n,) blocks. They must not change meanwhile.
        layout: their shape.
        scaling: how outputs become what the task takes.
        learned: (n, C) weights in gene order, where the task is to put those that networks ended with; None: it is
            not asked for.
    """

    def __init__(self, genes: Genes, blocks: Int, layout: Layout, scaling: Scaling) -> None:
        self.genes, self.blocks, self.layout, self.scaling = genes, blocks, layout, scaling
        self.learned: Float | None = None

    @cached_property
    def batch(self) -> NetworkBatch:
        """The networks as arrays."""
        return decode_genomes(self.genes, self.blocks, self.layout)

    @property
    def max_slots(self) -> int:
        """Values of the largest network: inputs and nodes."""
        return self.layout.n_inputs + longest_part(self.batch.node_start)

    @property
    def max_edges(self) -> int:
        """Edges of the largest network."""
        return longest_part(self.batch.edge_start)

    def single_state(self) -> TickState | None:
        """Return a state for networks that cannot run in lanes: those with dynamics or plasticity; None: there is none."""
        if not (self.batch.dynamics.size or self.batch.rule.size):
            return None
        return tick_state(self.max_slots, self.max_edges)

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
        recurrent: whether some connection reads the tick before.
        dynamic: whether some node has dynamics.
        plastic: whether some connection has a rule of plasticity.
    """

    def __init__(self, batch: NetworkBatch, k: int, layout: Layout) -> None:
        self._batch = one_network(batch, k)
        self._layout = layout
        kind = int(batch.kind[k])
        self.n_inputs, self.n_outputs = batch.n_inputs, batch.n_outputs
        self.n_nodes, self.n_connections = self._batch.bias.size, self._batch.weight.size
        self.recurrent = bool(kind & RECURRENT)
        self.dynamic, self.plastic = bool(kind & DYNAMIC), bool(kind & PLASTIC)
        self._general = bool(kind & GENERAL)
        self._state = tick_state(self.n_inputs + self.n_nodes, self.n_connections)
        self._values = self._state.values
        reset(self._batch, 0, self._state)
        self._program = (
            self._batch.edge_stop,
            self._batch.group_stop,
            self._batch.activation,
            self._batch.bias,
            self._batch.source,
            self._batch.weight,
            self._values,
            self._state.sums,
            layout.custom,
        )

    def activate(self, inputs: ArrayLike, reward: float | None = 1.0) -> Float:
        """Compute one tick and return the outputs.

        Args:
            inputs: (n_inputs,) numbers; one that is not finite counts as 0.
            reward: for what the network did in the tick before; it modulates what a plastic network learns from
                that tick, which is what this one begins with. One that is not finite counts as 0; None: weights
                stay as they are.

        Returns:
            (n_outputs,) the output nodes' values, unscaled.

        Raises:
            ConfigError: ``inputs`` has another shape, or is not of numbers.
        """
        if not (isinstance(inputs, np.ndarray) and inputs.dtype == np.float64):
            inputs = as_array(inputs)
        if inputs.shape != (self.n_inputs,):
            raise ConfigError(
                f"the network has {self.n_inputs} inputs: expected shape ({self.n_inputs},), "
                f"came {inputs.shape}"
            )
        if self._general:
            if self.plastic and reward is not None:
                learn(self._batch, 0, self._state, float(reward))
            self._values[: self.n_inputs] = inputs
            tick(self._batch, 0, self._state, self._layout.custom)
        else:
            activate_sums(np.ascontiguousarray(inputs), *self._program)
        return self._values[self._values.size - self.n_outputs :].copy()

    def learn(self, reward: float) -> None:
        """Learn from the last tick now, not at the begin of the next, which is then to come with ``reward=None``.

        Args:
            reward: as of `activate`. Without a tick since the last reset, and without plasticity, nothing happens.
        """
        if self.plastic:
            learn(self._batch, 0, self._state, float(reward))

    def activate_rows(self, rows: ArrayLike, ticks: int = 1) -> Float:
        """Return the outputs for many independent inputs, each from the beginning of time.

        Args:
            rows: (n_rows, n_inputs).
            ticks: how many ticks each row's inputs are held; a plastic network learns from each, with a reward of 1.

        Returns:
            (n_rows, n_outputs). The network's own state is neither used nor changed.

        Raises:
            ConfigError: ``rows`` has another shape or is not of numbers, or ``ticks`` is less than 1.
        """
        table = as_array(rows)
        if ticks < 1:
            raise ConfigError(f"expected ticks to be 1 or more, came {ticks}")
        if table.ndim != 2 or table.shape[1] != self.n_inputs:
            raise ConfigError(f"expected rows of shape (n, {self.n_inputs}), came {table.shape}")
        state = lane_state(self._values.size, self.n_connections)
        single = None
        if self._batch.kind[0] & ROW_BY_ROW:
            single = tick_state(self._values.size, self.n_connections)
        lanes = state.sums.size
        out = np.empty((table.shape[0], self.n_outputs))
        inputs = np.zeros((self.n_inputs, lanes))
        for start in range(0, table.shape[0], lanes):
            part = table[start : start + lanes]
            inputs[:, : len(part)] = part.T
            run_block(self._batch, 0, inputs, len(part), ticks, state, single, self._layout.custom)
            out[start : start + lanes] = state.values[-self.n_outputs :, : len(part)].T
        return out

    def reset(self, keep_weights: bool = False) -> None:
        """Go back to the beginning of time: values are 0, dynamics as new, weights as at birth.

        Args:
            keep_weights: what was learned stays.
        """
        weights = self._state.weight.copy()
        reset(self._batch, 0, self._state)
        if keep_weights:
            self._state.weight[:] = weights

    @property
    def state(self) -> Float:
        """(n_state,) all that the network carries from tick to tick; a copy. Settable.

        Values by slot, what connections delivered; with dynamics then x and u by slot; with plasticity weights,
        traces, last spikes of both ends, and the clock.
        """
        return np.concatenate(self._carried())

    @state.setter
    def state(self, state: ArrayLike) -> None:
        values = as_array(state)
        parts = self._carried()
        expected = (sum(part.size for part in parts),)
        if values.shape != expected:
            raise ConfigError(f"expected a state of shape {expected}, came {values.shape}")
        if not np.isfinite(values).all():
            raise ConfigError("expected a state of finite numbers")
        start = 0
        for part in parts:
            part[:] = values[start : start + part.size]
            start += part.size

    def _carried(self) -> list[Float]:
        state = self._state
        parts = [state.values, state.delivered]
        if self.dynamic:
            parts += [state.memory, state.recovery]
        if self.plastic:
            parts += [state.weight, state.trace, state.pre_spike, state.post_spike, state.clock]
        return parts

    @property
    def weights(self) -> Float:
        """(n_connections,) weights as they are now, after what was learned; a copy. Settable if plastic.

        In the order of evaluation; `connection_genes` has the gene of each.
        """
        return (self._state.weight if self.plastic else self._batch.weight).copy()

    @weights.setter
    def weights(self, weights: ArrayLike) -> None:
        if not self.plastic:
            raise ConfigError("only the weights of a plastic network can change in its lifetime")
        self._state.weight[:] = self._finite_of_connections("weights", weights)

    @property
    def traces(self) -> Float:
        """(n_connections,) traces of eligibility, in the order of `weights`; a copy. Settable."""
        return self._state.trace.copy()

    @traces.setter
    def traces(self, traces: ArrayLike) -> None:
        self._state.trace[:] = self._finite_of_connections("traces", traces)

    @property
    def connection_genes(self) -> Int:
        """(n_connections,) which of the genome's connection genes each connection is."""
        return self._batch.edge_gene.astype(np.int64)

    def _finite_of_connections(self, what: str, values: ArrayLike) -> Float:
        found = as_array(values)
        if found.shape != (self.n_connections,) or not np.isfinite(found).all():
            raise ConfigError(
                f"expected {self.n_connections} finite {what}, came {found.shape}: {found!s:.60}"
            )
        return found

    def learned(self, weights: Float) -> Float:
        """Return a genome's weights with what was learned in their place.

        Args:
            weights: (c,) of the genome's connection genes, those that are disabled or do not matter included.

        Returns:
            (c,) a copy.
        """
        found = np.array(weights, dtype=np.float64)
        found[self.connection_genes] = self.weights
        return found

    def __repr__(self) -> str:
        kind = "recurrent" if self.recurrent else "feed-forward"
        used = {AGGREGATIONS[a] for a in np.unique(self._batch.aggregation)}
        names = sorted({self._layout.activations[a] for a in np.unique(self._batch.activation)})
        text = f"Network({self.n_inputs} inputs, {self.n_outputs} outputs, {self.n_nodes} nodes, "
        text += f"{self.n_connections} connections, {kind}, {'/'.join(names)}"
        if used != {"sum"}:
            text += f", {'/'.join(sorted(used))}"
        if self.dynamic:
            text += f", {'/'.join(sorted(self._counts(DYNAMICS, self._batch.dynamics)))}"
        if self.plastic:
            rules = self._counts(PLASTICITY_RULES, self._batch.rule)
            text += f", plastic: {'/'.join(sorted(set(rules) - {'none'}))}"
        return text + ")"

    def describe(self) -> dict[str, Any]:
        """Return what the network is made of: counts, and how deep it is.

        Returns:
            ``n_inputs``, ``n_outputs``, ``n_hidden``, ``n_connections``, ``n_recurrent``; ``depth``, the number of
            connections on the longest forward path to an output; counts by name: ``activations``, ``aggregations``,
            ``dynamics``, ``rules``; ``n_modulatory``, connections from modulatory nodes.
        """
        batch = self._batch
        stops = batch.edge_stop.astype(np.int64)
        target = np.repeat(np.arange(self.n_nodes), np.diff(stops, prepend=0)) + self.n_inputs
        source = batch.source.astype(np.int64)
        recurrent = source >= target
        depth = np.zeros(self.n_inputs + self.n_nodes, np.int64)
        for s, t in zip(source[~recurrent].tolist(), target[~recurrent].tolist(), strict=True):
            depth[t] = max(depth[t], depth[s] + 1)
        static = np.zeros(self.n_nodes, np.uint8)
        modulatory = 0
        if batch.modulatory_start.size:
            modulatory = int((stops - batch.modulatory_start.astype(np.int64)).sum())
        rules = self._counts(PLASTICITY_RULES, batch.rule) if batch.rule.size else {}
        return {
            "n_inputs": self.n_inputs,
            "n_outputs": self.n_outputs,
            "n_hidden": self.n_nodes - self.n_outputs,
            "n_connections": self.n_connections,
            "n_recurrent": int(recurrent.sum()),
            "depth": int(depth[-self.n_outputs :].max()),
            "activations": self._counts(self._layout.activations, batch.activation),
            "aggregations": self._counts(AGGREGATIONS, batch.aggregation),
            "dynamics": self._counts(DYNAMICS, batch.dynamics if batch.dynamics.size else static),
            "rules": {name: n for name, n in rules.items() if name != "none"},
            "n_modulatory": modulatory,
        }

    @staticmethod
    def _counts(names: Sequence[str], codes: UInt8) -> dict[str, int]:
        found = np.bincount(codes)
        return {names[code]: int(found[code]) for code in np.flatnonzero(found).tolist()}


def as_array(numbers: ArrayLike) -> Float:
    """Return numbers as float64.

    Raises:
        ConfigError: they are none.
    """
    try:
        return np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"expected numbers, came {type(numbers).__name__}: {error}") from None
