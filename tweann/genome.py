"""A genome as people see it: a read-only copy of one block of the table.

The pool never holds such objects; one is made when somebody asks for it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tweann.columns import (
    canonical,
    check_columns,
    check_steps,
    groups_of,
    needed_groups,
    read_column,
    readable,
)
from tweann.description import describe
from tweann.errors import GenomeError
from tweann.genes import (
    AGGREGATIONS,
    COLUMN_GROUPS,
    Bool,
    Float,
    Genes,
    Int,
)
from tweann.kernels.ids import DEPTH_ONE, FIRST_OUTPUT, HASH_BITS, HASH_VERSION, hash_pair
from tweann.kernels.rollout import Scaling
from tweann.kernels.validate import examine
from tweann.layout import Layout
from tweann.network import Network, NetworkSlice
from tweann.rules import CONNECTION_KEYS, NODE_KEYS, check_genome

FORMAT_VERSION: Final = 1
_LITTLE: Final = sys.byteorder == "little"

_COLUMNS: Final[dict[str, DTypeLike]] = {
    "node_id": np.int64,
    "bias": np.float64,
    "source": np.int64,
    "target": np.int64,
    "weight": np.float64,
    "enabled": np.bool_,
}
#: What `Genome.to_dict` calls the columns that are not optional.


@dataclass(frozen=True)
class Genome:
    """Genes of one genome, sorted: nodes by id, connections by (target, source).

    Attributes:
        n_inputs, n_outputs: sizes of the networks it decodes to.
        node_id: (n,) int64.
        activation, aggregation: (n,) names; "identity" and "sum" for inputs.
        bias: (n,); 0 for inputs.
        source, target: (c,) node ids.
        weight: (c,).
        enabled: (c,) bool.
        node_extra, connection_extra: optional columns by name, (n,) and (c,); codes where `CODED_COLUMNS` has names.
        genome_extra: optional values of the whole genome, by name.

    Raises:
        GenomeError: it breaks a rule; the message says which, and where.
    """

    n_inputs: int
    n_outputs: int
    node_id: Int
    activation: tuple[str, ...]
    aggregation: tuple[str, ...]
    bias: Float
    source: Int
    target: Int
    weight: Float
    enabled: Bool
    node_extra: Mapping[str, Float] = field(default_factory=dict)
    connection_extra: Mapping[str, Float] = field(default_factory=dict)
    genome_extra: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, dtype in _COLUMNS.items():
            object.__setattr__(self, name, _frozen(name, getattr(self, name), dtype))
        for group in ("node_extra", "connection_extra"):
            columns = getattr(self, group)
            frozen = {name: _frozen(name, columns[name], np.float64) for name in columns}
            object.__setattr__(self, group, frozen)
        object.__setattr__(self, "genome_extra", dict(self.genome_extra))
        object.__setattr__(self, "_recurrent", check_genome(self))
        if self.node_extra or self.connection_extra or self.genome_extra:
            check_columns(self.node_extra, self.connection_extra, self.genome_extra, self.node_id)

    @classmethod
    def checked(
        cls,
        *,
        n_inputs: int,
        n_outputs: int,
        node_id: Int,
        activation: tuple[str, ...],
        aggregation: tuple[str, ...],
        bias: Float,
        source: Int,
        target: Int,
        weight: Float,
        enabled: Bool,
        recurrent: bool,
        genome_id: str | None = None,
    ) -> Genome:
        """Return a genome whose caller has checked all rules, and made its columns read-only; nothing is copied.

        Without optional columns; an id that is not given is computed when asked for.
        """
        genome = object.__new__(cls)
        genome.__dict__.update(
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            node_id=node_id,
            activation=activation,
            aggregation=aggregation,
            bias=bias,
            source=source,
            target=target,
            weight=weight,
            enabled=enabled,
            node_extra={},
            connection_extra={},
            genome_extra={},
            _recurrent=recurrent,
        )
        if genome_id is not None:
            genome.__dict__["genome_id"] = genome_id
        return genome

    @property
    def recurrent(self) -> bool:
        """Whether some connection gene, enabled or not, is recurrent."""
        return bool(self.__dict__["_recurrent"])  # set by `__post_init__`

    @property
    def n_nodes(self) -> int:
        """Node genes: inputs, hidden, outputs."""
        return int(self.node_id.size)

    @property
    def n_connections(self) -> int:
        """Connection genes, disabled ones included."""
        return int(self.source.size)

    @property
    def n_hidden(self) -> int:
        """Hidden node genes."""
        hidden = (self.node_id >> HASH_BITS > 0) & (self.node_id < FIRST_OUTPUT)
        return int(hidden.sum())

    @cached_property
    def genome_id(self) -> str:
        """BLAKE2b-256, in hexadecimal, of structure and parameters: equal networks have equal ids.

        Names, not codes; -0 counts as 0; an absent column equals its defaults. What only says where a genome comes
        from (births), or steers how it varies (`genome_extra`), does not count.
        """
        # The sizes first: what is not delimited must not be read in two ways.
        sizes = f"{self.n_inputs} {self.n_outputs} {self.n_nodes} {self.n_connections}"
        parts: list[bytes | memoryview] = [f"tweann genome {HASH_VERSION} {sizes}\n".encode()]
        for name in ("node_id", "bias", "source", "target", "weight"):
            parts += (name.encode(), b"\n", _canonical(getattr(self, name)))
        parts += (b"enabled\n", np.packbits(self.enabled).data)
        parts.append("\n".join((*self.activation, *self.aggregation, "")).encode())
        for columns in (self.node_extra, self.connection_extra):
            if columns:
                parts += canonical(columns)
        return hashlib.blake2b(b"".join(parts), digest_size=32).hexdigest()

    def network(self, layout: Layout | None = None) -> Network:
        """Return the network that the genome decodes to.

        Args:
            layout: needed only where the genome uses activations of a plugin.

        Raises:
            GenomeError: an activation that the layout does not know.
        """
        layout = layout or self.layout()
        return self.as_slice(layout)[0]

    def as_slice(self, layout: Layout, scaling: Scaling | None = None) -> NetworkSlice:
        """Return a slice of this one genome, as tasks take it."""
        if scaling is None:
            n = self.n_outputs
            scaling = Scaling(np.ones(n), np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf))
        return NetworkSlice(self.genes(layout), np.zeros(1, np.int64), layout, scaling)

    def layout(self) -> Layout:
        """Return a layout with just enough room for this genome."""
        return Layout(
            self.n_inputs,
            self.n_outputs,
            max_nodes=max(self.n_nodes, self.n_inputs + self.n_outputs),
            max_connections=self.n_connections,
            recurrent=self.recurrent,
            groups=tuple(name for name in COLUMN_GROUPS if name in self._groups()),
        )

    def _groups(self) -> set[str]:
        """Return the column groups of which the genome has some column."""
        return groups_of({**self.node_extra, **self.connection_extra, **self.genome_extra})

    def genes(self, layout: Layout) -> Genes:
        """Return the genome as a table of one block."""
        n, c = self.n_nodes, self.n_connections
        genes = empty_genes(1, n, c, layout)
        write_block(genes, 0, self, layout)
        return genes

    def describe(self) -> dict[str, Any]:
        """Return what the genome is made of; see `tweann.description.describe`."""
        return describe(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a readable form of JSON values; ids are strings, since JSON numbers lose their tail."""
        whole = {"genome": dict(self.genome_extra)} if self.genome_extra else {}
        return {
            "format": FORMAT_VERSION,
            "hash": HASH_VERSION,
            "genome_id": self.genome_id,
            "n_inputs": self.n_inputs,
            "n_outputs": self.n_outputs,
            **whole,
            "nodes": list(self._node_dicts()),
            "connections": list(self._connection_dicts()),
        }

    def _node_dicts(self) -> Iterator[dict[str, Any]]:
        extra = readable(self.node_extra)
        for i, node in enumerate(self.node_id.tolist()):
            depth = node >> HASH_BITS
            kind = "input" if depth == 0 else "output" if depth == DEPTH_ONE else "hidden"
            row = {"id": str(node), "kind": kind, "depth": depth / DEPTH_ONE}
            if kind != "input":
                row |= {
                    "activation": self.activation[i],
                    "aggregation": self.aggregation[i],
                    "bias": float(self.bias[i]),
                }
            yield row | {name: values[i] for name, values in extra.items()}

    def _connection_dicts(self) -> Iterator[dict[str, Any]]:
        pairs = zip(self.source.tolist(), self.target.tolist(), strict=True)
        extra = readable(self.connection_extra)
        for i, (source, target) in enumerate(pairs):
            row = {
                "source": str(source),
                "target": str(target),
                "innovation": str(int(hash_pair(source, target))),
                "weight": float(self.weight[i]),
                "enabled": bool(self.enabled[i]),
                "recurrent": source >= target,
            }
            yield row | {name: values[i] for name, values in extra.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Genome:
        """Return the genome of a dictionary that `to_dict` made.

        Raises:
            GenomeError: a key is missing, of another type, or breaks a rule of genomes.
        """
        try:
            if data["format"] != FORMAT_VERSION or data["hash"] != HASH_VERSION:
                raise GenomeError(
                    f"expected genome format {FORMAT_VERSION} with hash {HASH_VERSION}, "
                    f"came {data['format']!r} with {data['hash']!r}"
                )
            nodes, connections = data["nodes"], data["connections"]
            node_extra = sorted({k for row in nodes for k in row} - NODE_KEYS)
            connection_extra = sorted({k for row in connections for k in row} - CONNECTION_KEYS)
            genome = cls(
                n_inputs=int(data["n_inputs"]),
                n_outputs=int(data["n_outputs"]),
                node_id=np.array([_id(row["id"]) for row in nodes], dtype=np.int64),
                activation=tuple(str(row.get("activation", "identity")) for row in nodes),
                aggregation=tuple(str(row.get("aggregation", "sum")) for row in nodes),
                bias=np.array([float(row.get("bias", 0.0)) for row in nodes]),
                source=np.array([_id(row["source"]) for row in connections], dtype=np.int64),
                target=np.array([_id(row["target"]) for row in connections], dtype=np.int64),
                weight=np.array([float(row["weight"]) for row in connections]),
                enabled=np.array([_flag(row["enabled"]) for row in connections], dtype=np.bool_),
                node_extra={k: read_column(k, nodes) for k in node_extra},
                connection_extra={k: read_column(k, connections) for k in connection_extra},
                genome_extra={str(k): float(v) for k, v in data.get("genome", {}).items()},
            )
        except GenomeError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise GenomeError(
                f"not a genome as Genome.to_dict makes it: {type(error).__name__}: {error}"
            ) from None
        if data.get("genome_id", genome.genome_id) != genome.genome_id:
            raise GenomeError(
                f"genome_id says {data['genome_id']!r}, the genes give {genome.genome_id!r}: "
                "the genes were changed; remove the key genome_id if that was on purpose"
            )
        return genome

    def __repr__(self) -> str:
        disabled = self.n_connections - int(self.enabled.sum())
        off = f" ({disabled} disabled)" if disabled else ""
        kind = "recurrent" if self.recurrent else "feed-forward"
        return (
            f"Genome({self.genome_id[:12]}: {self.n_inputs} inputs, {self.n_hidden} hidden, "
            f"{self.n_outputs} outputs, {self.n_connections} connections{off}, {kind})"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Genome) and self.genome_id == other.genome_id

    def __hash__(self) -> int:
        return hash(self.genome_id)


def _frozen(name: str, column: object, dtype: DTypeLike) -> NDArray[Any]:
    """Return a read-only copy: the caller's array stays the caller's."""
    if not isinstance(column, np.ndarray) or column.ndim != 1 or column.dtype != dtype:
        came = type(column).__name__
        if isinstance(column, np.ndarray):
            came = f"{column.dtype} of shape {column.shape}"
        raise GenomeError(f"{name} must be a (n,) array of {np.dtype(dtype)}, came {came}")
    base: object = column.base
    if isinstance(base, bytes):  # nobody can write to those
        return column
    copy = column.copy()
    copy.setflags(write=False)
    return copy


def _id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError(f"expected an id, an integer as a string, came {value!r:.60}")
    return int(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected enabled to be true or false, came {value!r:.60}")
    return value


def _canonical(column: NDArray[Any]) -> memoryview:
    """Return the column little-endian, with -0 as 0."""
    if column.dtype.kind == "f":
        column = column + 0.0
    return (column if _LITTLE else column.astype(column.dtype.newbyteorder("<"))).data


def check_fits(genome: Genome, layout: Layout) -> None:
    """Raise `GenomeError` unless ``genome`` may live in a pool of ``layout``."""
    if (genome.n_inputs, genome.n_outputs) != (layout.n_inputs, layout.n_outputs):
        raise GenomeError(
            f"the genome has {genome.n_inputs} inputs and {genome.n_outputs} outputs, the task "
            f"{layout.n_inputs} and {layout.n_outputs}"
        )
    if genome.n_nodes > layout.max_nodes or genome.n_connections > layout.max_connections:
        raise GenomeError(
            f"the genome's {genome.n_nodes} nodes and {genome.n_connections} connections exceed the caps: "
            f"genome.max_nodes = {layout.max_nodes}, genome.max_connections = {layout.max_connections}"
        )
    if genome.recurrent and not layout.recurrent:
        raise GenomeError("the genome has recurrent connections: set genome.recurrent = true")
    codes = layout.activation_codes
    if not all(map(codes.__contains__, genome.activation)):
        unknown = min(set(genome.activation) - codes.keys())
        raise GenomeError(
            f"unknown activation {unknown!r}: known are {', '.join(layout.activations)}"
        )
    if not genome.node_extra and not genome.connection_extra:
        return
    needed = needed_groups({**genome.node_extra, **genome.connection_extra}) - {*layout.groups}
    if needed:
        raise GenomeError(
            f"the genome needs the columns of {', '.join(sorted(needed))}, which this run does not have: "
            "set genome.column_groups, or genome.dynamics and genome.plasticity"
        )
    check_steps(genome.node_extra, layout.dt)


def empty_genes(blocks: int, nodes: int, connections: int, layout: Layout) -> Genes:
    """Return a table with room for ``blocks`` genomes of that many genes."""
    n_node_extra, n_connection_extra = len(layout.node_columns), len(layout.connection_columns)
    return Genes(
        n_nodes=np.zeros(blocks, np.int64),
        n_connections=np.zeros(blocks, np.int64),
        node_id=np.empty((blocks, nodes), np.int64),
        activation=np.empty((blocks, nodes), np.uint8),
        aggregation=np.empty((blocks, nodes), np.uint8),
        bias=np.empty((blocks, nodes)),
        node_extra=np.empty((blocks, n_node_extra, nodes)),
        source=np.empty((blocks, connections), np.int64),
        target=np.empty((blocks, connections), np.int64),
        weight=np.empty((blocks, connections)),
        enabled=np.empty((blocks, connections), np.bool_),
        connection_extra=np.empty((blocks, n_connection_extra, connections)),
        genome_extra=np.empty((blocks, len(layout.genome_columns))),
    )


def write_block(genes: Genes, block: int, genome: Genome, layout: Layout) -> None:
    """Write ``genome`` to a block with room for it; absent optional columns get their defaults."""
    check_fits(genome, layout)
    n, c = genome.n_nodes, genome.n_connections
    genes.n_nodes[block], genes.n_connections[block] = n, c
    genes.node_id[block, :n] = genome.node_id
    genes.activation[block, :n] = [*map(layout.activation_codes.__getitem__, genome.activation)]
    genes.aggregation[block, :n] = [AGGREGATIONS.index(a) for a in genome.aggregation]
    genes.bias[block, :n] = genome.bias
    genes.source[block, :c] = genome.source
    genes.target[block, :c] = genome.target
    genes.weight[block, :c] = genome.weight
    genes.enabled[block, :c] = genome.enabled
    for g, (name, default) in enumerate(layout.node_columns):
        genes.node_extra[block, g, :n] = genome.node_extra.get(name, default)
    for g, (name, default) in enumerate(layout.connection_columns):
        genes.connection_extra[block, g, :c] = genome.connection_extra.get(name, default)
    for g, (name, default) in enumerate(layout.genome_columns):
        genes.genome_extra[block, g] = genome.genome_extra.get(name, default)


def read_block(genes: Genes, block: int, layout: Layout) -> Genome:
    """Return a copy of the genome in a block: what `Genome` gets it copies."""
    if not (layout.node_columns or layout.connection_columns or layout.genome_columns):
        plain = _read_plain(genes, block, layout)
        if plain is not None:
            return plain
    n, c = int(genes.n_nodes[block]), int(genes.n_connections[block])
    return Genome(
        n_inputs=layout.n_inputs,
        n_outputs=layout.n_outputs,
        node_id=genes.node_id[block, :n],
        activation=tuple(layout.activations[code] for code in genes.activation[block, :n]),
        aggregation=tuple(AGGREGATIONS[code] for code in genes.aggregation[block, :n]),
        bias=genes.bias[block, :n],
        source=genes.source[block, :c],
        target=genes.target[block, :c],
        weight=genes.weight[block, :c],
        enabled=genes.enabled[block, :c],
        node_extra={
            name: genes.node_extra[block, g, :n] for g, (name, _) in enumerate(layout.node_columns)
        },
        connection_extra={
            name: genes.connection_extra[block, g, :c]
            for g, (name, _) in enumerate(layout.connection_columns)
        },
        genome_extra={
            name: float(genes.genome_extra[block, g])
            for g, (name, _) in enumerate(layout.genome_columns)
        },
    )


def _read_plain(genes: Genes, block: int, layout: Layout) -> Genome | None:
    """Return a copy of a genome without optional columns at half the cost; None: `Genome` is to say what is wrong."""
    n, c = int(genes.n_nodes[block]), int(genes.n_connections[block])
    columns = {name: getattr(genes, name)[block, :n].copy() for name in ("node_id", "bias")}
    for name in ("source", "target", "weight", "enabled"):
        columns[name] = getattr(genes, name)[block, :c].copy()
    activation = tuple(map(layout.activations.__getitem__, genes.activation[block, :n].tolist()))
    aggregation = tuple(map(AGGREGATIONS.__getitem__, genes.aggregation[block, :n].tolist()))
    for column in columns.values():
        column.setflags(write=False)
    n_inputs, n_outputs = layout.n_inputs, layout.n_outputs
    found = examine(
        n_inputs,
        n_outputs,
        *(columns[k] for k in ("node_id", "bias", "source", "target", "weight")),
    )
    inputs = slice(found >> 1)
    n_plain = activation[inputs].count("identity"), aggregation[inputs].count("sum")
    if found < 0 or n_plain != (found >> 1, found >> 1):
        return None
    return Genome.checked(
        n_inputs=n_inputs,
        n_outputs=n_outputs,
        activation=activation,
        aggregation=aggregation,
        recurrent=bool(found & 1),
        **columns,
    )
