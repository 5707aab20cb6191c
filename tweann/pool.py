"""The population as a table.

Genes live in blocks of equal room that do not move while they live; a free list hands them out. *Rows* are the
individuals: each holds a block number and what is known of the genome. An individual is addressed by ``index``
(its row, valid until the next `GenomePool.keep`) or by ``id`` (its birth number, for ever). Children stay
in a `Brood` until they are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tweann.errors import FormatError, GenomeError, PluginError
from tweann.genes import AGGREGATIONS, Bool, Float, Genes, Int, Operator, Origin, Role, UInt8
from tweann.genome import Genome, check_fits, empty_genes, read_block, write_block
from tweann.kernels.breed import (
    BreedingParameters,
    Litter,
    breed,
    find_parents,
    first_unset,
    largest_genome,
)
from tweann.kernels.checks import find_leavers, first_bad_survivor
from tweann.kernels.distance import DistanceCoefficients, distances
from tweann.kernels.enrich import EnrichParameters, enrich
from tweann.kernels.grow import grow_children
from tweann.kernels.ids import HASH_BITS
from tweann.kernels.mutation import MutationOperator
from tweann.layout import Layout
from tweann.rows import ROW_COLUMNS, RowFormat, Rows
from tweann.workers import Workers

#: Structural growth of one mutation: a split adds one node and two connections, a new connection one. A wired node
#: brings one more connection for each input.
_NEW_NODES, _NEW_CONNECTIONS = 1, 3
#: The operators of the second pass that add one node, and at most two connections each.
_MORE_NODES = 4
_GROWTH = 1.5
_IMMIGRANT = int(Origin.IMMIGRANT)
#: The columns that say how many blocks there are and how large.
_SAY_ROOM: Final = ("n_nodes", "node_id", "source")
#: Bits of operators: those that set values; those that grow are the last.
_SETS, _GROWS = 1 << Operator.SET_VALUES, 1 << Operator.GROW
_MEMBER = int(Role.MEMBER)
_NO_VALUES: Final = np.empty((0, 0))

_NODE_COLUMNS = ("node_id", "activation", "aggregation", "bias", "node_extra")
_CONNECTION_COLUMNS = ("source", "target", "weight", "enabled", "connection_extra")


class RowsView:
    """What a strategy sees of rows: read-only columns, as attributes or by name, and distances.

    Attributes:
        fitness, species, id, role, generation, …: (n,) the columns of `ROW_COLUMNS`.
        descriptor: (n, d). objectives: (n, m).
        n_nodes, n_connections: (n,) sizes of the genomes.
    """

    def __init__(self, pool: GenomePool, rows: Rows) -> None:
        self._pool, self._rows = pool, rows

    def __len__(self) -> int:
        return self._rows.n

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            column = self._rows[name].view()
        except KeyError:
            raise PluginError(
                f"no column {name!r}; there are {', '.join(sorted(self._rows))}"
            ) from None
        column.setflags(write=False)
        return column

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name.startswith("_") or name not in self._rows:
            raise AttributeError(name)
        column = self.__dict__[name] = self[name]  # found without this call from now on
        return column

    @property
    def blocks(self) -> Int:
        """(n,) where the genes are; for the core's own helpers."""
        return self["block"]

    @property
    def pool(self) -> GenomePool:
        """The pool behind the view; for the core's own helpers."""
        return self._pool

    @property
    def n_nodes(self) -> Int:
        """(n,) node genes of each genome."""
        return self._pool.genes.n_nodes.take(self.blocks)

    @property
    def n_connections(self) -> Int:
        """(n,) connection genes of each genome."""
        return self._pool.genes.n_connections.take(self.blocks)

    @property
    def members(self) -> Int:
        """Indices of the rows that are members of the population."""
        return np.flatnonzero(self._rows["role"] & int(Role.MEMBER))

    def distances(
        self, rows: Int, other: RowsView, other_rows: Int, c: DistanceCoefficients
    ) -> Float:
        """Return the compatibility distance of each pair, (n_rows, n_other_rows)."""
        out = np.empty((len(rows), len(other_rows)))
        distances(self._pool.genes, self._rows["block"][rows], other.blocks[other_rows], c, out)
        return out

    def genome(self, index: int) -> Genome:
        """Return a copy of one genome."""
        return read_block(self._pool.genes, int(self._rows["block"][index]), self._pool.layout)

    def part(self, rows: Int) -> Self:
        """Return a view of some rows, (n,), in that order, as if there were no others."""
        return type(self)(self._pool, self._rows.joined(self._pool.make_rows(0), rows))


class PoolView(RowsView):
    """The pool's rows; its columns are valid until the next `GenomePool.keep`, which may write over them."""


class BroodView(RowsView):
    """The rows of an evaluated brood."""


class Brood:
    """Children between breeding and being told.

    Attributes:
        rows: their columns; evaluations are written here.
        applied: (n,) bits of the mutations of each child, 0 for immigrants.
    """

    def __init__(self, rows: Rows, applied: Int | None = None) -> None:
        self.rows = rows
        self.applied = np.zeros(rows["block"].size, np.int64) if applied is None else applied

    def __len__(self) -> int:
        return self.rows.n


class GenomePool:
    """All live genomes of a run.

    Args:
        layout: the shape of genomes.
        columns: a strategy's own columns, name and type; they begin as 0.
        n_descriptor, n_objectives: widths of these columns.
        workers: threads for breeding.

    Attributes:
        genes: the table of genes, by block.
        rows: columns of the individuals; rows 0 … n-1 as the strategy ordered them.
        mutations: (n_operators, 2) mutations so far: applied, found no legal place.
    """

    def __init__(
        self,
        layout: Layout,
        columns: Mapping[str, DTypeLike] | None = None,
        n_descriptor: int = 0,
        n_objectives: int = 0,
        workers: Workers | None = None,
    ) -> None:
        taken = {*ROW_COLUMNS, "descriptor", "objectives", *dir(RowsView)}
        clash = set(columns or {}) & taken
        if clash:
            raise PluginError(f"the strategy's columns {sorted(clash)} are the core's: rename them")
        for name, dtype in (columns or {}).items():
            kind = np.dtype(dtype)
            if kind.kind not in "biuf" or kind.itemsize > 8:
                raise PluginError(
                    f"the strategy's column {name!r} is of {kind}: expected a number of at most 8 bytes"
                )
        self.layout = layout
        self.workers = workers or Workers(1)
        self._own: dict[str, DTypeLike] = dict(columns or {})
        self._format = RowFormat(
            {**ROW_COLUMNS, **{name: (dtype, 0) for name, dtype in self._own.items()}},
            {"descriptor": n_descriptor, "objectives": n_objectives},
        )
        nodes = min(layout.n_inputs + layout.n_outputs + 1, layout.max_nodes)
        connections = min(layout.n_inputs * layout.n_outputs + 3, layout.max_connections)
        self.genes: Genes = empty_genes(0, nodes, connections, layout)
        self._free: Int = np.zeros(0, np.int64)
        self.rows: Rows = self._format.make(0)
        self._no_rows: Rows = self._format.make(0)
        self.mutations = np.zeros((len(MutationOperator), 2), np.int64)

    def __len__(self) -> int:
        return self.rows.n

    def make_rows(self, n: int) -> Rows:
        """Return ``n`` rows of nothing known."""
        return self._format.make(n)

    def view(self) -> PoolView:
        """Return the strategy's view of the pool."""
        return PoolView(self, self.rows)

    def brood_view(self, brood: Brood) -> BroodView:
        """Return the strategy's view of a brood."""
        return BroodView(self, brood.rows)

    def genome(self, block: int) -> Genome:
        """Return a copy of the genome in a block."""
        return read_block(self.genes, block, self.layout)

    # ------------------------------------------------------------------ blocks

    @property
    def n_blocks(self) -> int:
        """Blocks that are in use."""
        return int(self.genes.n_nodes.size - self._free.size)

    def allocate(self, n: int) -> Int:
        """Return ``n`` free blocks, making more where they do not suffice."""
        if n > self._free.size:
            have = self.genes.n_nodes.size
            more = max(n - self._free.size, int(have * (_GROWTH - 1.0)))
            self._resize(have + more, *self._capacity())
            # handed out from the end: low numbers first
            new = np.arange(have + more - 1, have - 1, -1)
            self._free = np.concatenate((new, self._free))
        taken = self._free[self._free.size - n :][::-1].copy()
        self._free = self._free[: self._free.size - n]
        return taken

    def release(self, blocks: Int) -> None:
        """Take blocks back."""
        self._free = np.concatenate((self._free, blocks))

    def _capacity(self) -> tuple[int, int]:
        return self.genes.node_id.shape[1], self.genes.source.shape[1]

    def make_room(self, nodes: int, connections: int) -> None:
        """Give every block room for that many genes, up to the caps; only between evaluations."""
        have_nodes, have_connections = self._capacity()
        if nodes > have_nodes:
            nodes = min(max(nodes, int(have_nodes * _GROWTH)), self.layout.max_nodes)
        if connections > have_connections:
            connections = min(
                max(connections, int(have_connections * _GROWTH)), self.layout.max_connections
            )
        if nodes > have_nodes or connections > have_connections:
            self._resize(
                self.genes.n_nodes.size, max(nodes, have_nodes), max(connections, have_connections)
            )

    def _resize(self, blocks: int, nodes: int, connections: int) -> None:
        """Move all genes to a larger table; who holds the old one keeps valid data.

        Column by column, so that only one is there twice. Those that say how much room there is come last: if memory ends
        on the way, the table is what it was, some columns being wider than they need to be.
        """
        new = empty_genes(blocks, nodes, connections, self.layout)._asdict()
        columns = self.genes._asdict()
        n = columns["n_nodes"].size
        del self.genes
        try:
            for name in sorted(columns, key=_SAY_ROOM.__contains__):
                old, column = columns[name], new.pop(name)
                if old.ndim == 1:
                    column[:n] = old
                else:
                    column[:n, ..., : old.shape[-1]] = old
                columns[name] = column
                del old
        finally:
            self.genes = Genes(**columns)

    # ---------------------------------------------------------------- breeding

    def insert(self, genomes: Sequence[Genome]) -> Int:
        """Write genomes to blocks of their own and return these.

        Raises:
            GenomeError: one does not fit the layout; then none is written.
        """
        for genome in genomes:
            check_fits(genome, self.layout)
        self.make_room(
            max((g.n_nodes for g in genomes), default=0),
            max((g.n_connections for g in genomes), default=0),
        )
        blocks = self.allocate(len(genomes))
        for block, genome in zip(blocks, genomes, strict=True):
            write_block(self.genes, int(block), genome, self.layout)
        return blocks

    def breed(
        self,
        operator: UInt8,
        parent_a: Int,
        parent_b: Int,
        strength: Float | None,
        values: Float | None,
        births: Int,
        generation: int,
        parameters: BreedingParameters,
        immigrants: Sequence[Genome] = (),
        enrichment: EnrichParameters | None = None,
    ) -> Brood:
        """Return the children of a breeding plan, and behind them immigrants.

        Args:
            operator, parent_a, parent_b, strength, values: as in `tweann.interfaces.BreedingPlan`, checked.
            births: (n + n_immigrants,) birth numbers.
            generation: when.
            parameters: what all children have in common.
            immigrants: genomes from elsewhere.
            enrichment: of the second pass, where the run has one.

        Raises:
            GenomeError: ``values`` is narrower than a parent has weights and biases, or an immigrant does not
                fit this pool's layout; then nothing is bred.
        """
        n, old = operator.size, self.rows
        operator = operator.astype(np.uint8, copy=False)
        parents: Int = np.empty((4, n), np.int64)
        operators = find_parents(operator, parent_a, parent_b, old["id"], old["block"], parents)
        values = np.ascontiguousarray(_NO_VALUES if values is None else values, np.float64)
        if operators & _SETS:
            self._check_values(operator, parents[2], values)
        arrived = self.insert(immigrants) if immigrants else np.zeros(0, np.int64)
        rows = self.make_rows(births.size)
        nodes, connections = largest_genome(
            self.genes.n_nodes, self.genes.n_connections, parents[2:], parameters.template
        )
        splices = 0 if enrichment is None else _MORE_NODES
        grows = operators >= _GROWS
        wires = self.layout.n_inputs if grows else 0
        self.make_room(
            min(nodes + _NEW_NODES + splices, self.layout.max_nodes),
            min(connections + _NEW_CONNECTIONS + wires + 2 * splices, self.layout.max_connections),
        )
        rows["block"][:n], rows["block"][n:] = self.allocate(n), arrived
        rows["id"][:], rows["generation"][:] = births, generation
        rows["operator"][:n], rows["origin"][n:] = operator, _IMMIGRANT
        rows["parent_a"][:n], rows["parent_b"][:n] = parents[0], parents[1]
        litter = Litter(
            operator,
            parents[2],
            parents[3],
            rows["block"],
            rows["id"],
            np.ones(n) if strength is None else np.ascontiguousarray(strength, dtype=np.float64),
            values,
            np.zeros(births.size, np.int64),
        )
        room = self.genes.node_id.shape[1]

        def breed_slice(start: int, stop: int) -> None:
            counts = np.zeros_like(self.mutations)
            marks, rng = np.empty(room, np.bool_), np.empty(1, np.uint64)
            breed(self.genes, litter, start, stop, parameters, marks, rng, counts)
            if grows:
                grow_children(self.genes, litter, start, stop, parameters, marks, rng, counts)
            if enrichment is not None:
                enrich(self.genes, litter, start, stop, parameters, enrichment, rng, counts)
            partial.append(counts)

        partial: list[Int] = []
        self.workers.run("breed", breed_slice, n)
        for counts in partial:
            self.mutations += counts
        return Brood(rows, litter.applied)

    def _check_values(self, operator: UInt8, blocks: Int, values: Float) -> None:
        """Raise `GenomeError` unless the children that get values can have them.

        Args:
            operator, values: as for `breed`.
            blocks: (n,) of the dominant parents.
        """
        fits = values.ndim == 2 and values.shape[0] == operator.size
        child = first_unset(self.genes, operator, blocks, values if fits else _NO_VALUES)
        if child < 0:
            return
        block = int(blocks[child])
        n_nodes = int(self.genes.n_nodes[block])
        n_inputs = int(np.searchsorted(self.genes.node_id[block, :n_nodes], 1 << HASH_BITS))
        expected = int(self.genes.n_connections[block]) + n_nodes - n_inputs
        if not fits or values.shape[1] < expected:
            raise GenomeError(
                f"plan.values: child {child} has {expected} weights and biases, "
                f"expected shape ({operator.size}, >= {expected}), came {values.shape}"
            )
        raise GenomeError(f"plan.values: child {child} has one that is not a finite number")

    # --------------------------------------------------------------- survival

    def dropped(self, brood: Brood, lost: Bool) -> Brood:
        """Return a brood without those where ``lost``, (n,), says so; their blocks are free again."""
        self.release(brood.rows["block"][lost])
        return Brood(brood.rows.joined(self.make_rows(0), np.flatnonzero(~lost)))

    def keep(
        self,
        index: Int,
        role: UInt8 | None,
        columns: Mapping[str, Any],
        brood: Brood,
        strategy: str = "strategy",
    ) -> None:
        """Let the rows ``index`` of pool and brood stay, in that order, and free all others.

        Args:
            index, role, columns: as in `tweann.interfaces.Survivors`.
            brood: what was told; it is empty afterwards.
            strategy: whom to name in an error.

        Raises:
            PluginError: an index out of range or twice, a column unknown or of another length or type; then pool
                and brood are as before.
        """
        total = len(self) + len(brood)
        index = np.asarray(index)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise PluginError(
                f"{strategy}: survivors must be (n,) integers, came {index.dtype} of shape {index.shape}"
            )
        index = index.astype(np.int64, copy=False)
        stays: Bool = np.empty(total, np.bool_)
        fault = first_bad_survivor(index, stays)
        if fault >= 0:
            row = int(index[fault])
            raise PluginError(
                f"{strategy}: a row occurs twice among the survivors: {row}"
                if 0 <= row < total
                else f"{strategy}: survivors must be rows 0 to {total - 1}, came {row}"
            )
        given = dict(columns) if role is None else {**columns, "role": role}
        for name, values in given.items():
            if name not in self._own and name not in ("species", "role"):
                raise PluginError(f"{strategy}: {name!r} is not a column of its own")
            given[name] = _as_column(values, name, self.rows[name].dtype, index.size, strategy)
        gone = np.empty(total - index.size, np.int64)
        find_leavers(stays, self.rows["block"], brood.rows["block"], gone)
        self.rows = rows = self.rows.replaced(brood.rows, index)
        rows["role"][:] = _MEMBER
        for name, values in given.items():
            rows[name][:] = values
        self.release(gone)
        brood.rows = self._no_rows

    # ------------------------------------------------------------------ state

    def save(self, blocks: Int) -> dict[str, Any]:
        """Return the genes in ``blocks`` as arrays by column, for `load`."""
        nodes = int(self.genes.n_nodes[blocks].max(initial=0))
        connections = int(self.genes.n_connections[blocks].max(initial=0))
        width = dict.fromkeys(_NODE_COLUMNS, nodes) | dict.fromkeys(
            _CONNECTION_COLUMNS, connections
        )
        return {
            name: column[blocks][..., : width[name]] if name in width else column[blocks]
            for name, column in self.genes._asdict().items()
        }

    def load(self, saved: Mapping[str, Any]) -> Int:
        """Write genes that `save` gave to blocks of their own, and return these.

        Raises:
            FormatError: they are no genomes, or do not fit this pool's layout; then nothing is kept.
        """
        sizes = [
            column.shape[-1]
            for name in ("n_nodes", "node_id", "source")
            if isinstance(column := saved.get(name), np.ndarray) and column.ndim
        ]
        if len(sizes) < 3:
            raise FormatError("the genes lack columns")
        n, nodes, connections = sizes
        if nodes > self.layout.max_nodes or connections > self.layout.max_connections:
            raise FormatError(f"genes: {nodes} nodes and {connections} connections exceed the caps")
        table = empty_genes(n, nodes, connections, self.layout)
        for name, column in table._asdict().items():
            found = saved.get(name)
            if not isinstance(found, np.ndarray) or (found.shape, found.dtype) != (
                column.shape,
                column.dtype,
            ):
                raise FormatError(
                    f"genes: expected {name} as {column.dtype} of shape {column.shape}: was the "
                    "checkpoint written with another configuration?"
                )
        table = Genes(**{name: saved[name] for name in table._fields})
        for block in range(n):
            self._check_block(table, block)
        self.make_room(nodes, connections)
        blocks = self.allocate(n)
        for name, column in self.genes._asdict().items():
            values = saved[name]
            if values.ndim == 1:
                column[blocks] = values
            else:
                column[blocks, ..., : values.shape[-1]] = values
        return blocks

    def _check_block(self, genes: Genes, block: int) -> None:
        """Raise `FormatError` unless the block holds a genome that may live here."""
        n, c = int(genes.n_nodes[block]), int(genes.n_connections[block])
        try:
            if not (0 <= n <= genes.node_id.shape[1] and 0 <= c <= genes.source.shape[1]):
                raise GenomeError(f"{n} nodes and {c} connections are out of range")
            if n and int(genes.activation[block, :n].max()) >= len(self.layout.activations):
                raise GenomeError("an activation's code is unknown")
            if n and int(genes.aggregation[block, :n].max()) >= len(AGGREGATIONS):
                raise GenomeError("an aggregation's code is unknown")
            check_fits(read_block(genes, block, self.layout), self.layout)
        except GenomeError as error:
            raise FormatError(f"genome {block}: {error}") from None

    def load_rows(self, saved: Mapping[str, Any], blocks: Int) -> Rows:
        """Return rows that ``dict(rows)`` gave, for genomes in ``blocks``.

        Raises:
            FormatError: columns are missing, too many, or of another type or length.
        """
        rows = self.make_rows(blocks.size)
        if set(saved) != set(rows):
            raise FormatError(
                f"rows: expected the columns {', '.join(sorted(rows))}; came {', '.join(sorted(saved))}"
            )
        for name, column in rows.items():
            found = saved[name]
            if not isinstance(found, np.ndarray) or (found.shape, found.dtype) != (
                column.shape,
                column.dtype,
            ):
                raise FormatError(
                    f"rows: expected {name} as {column.dtype} of shape {column.shape}"
                )
            column[...] = found
        rows["block"][:] = blocks
        return rows


def _as_column(
    values: object, name: str, dtype: np.dtype[Any], n: int, strategy: str
) -> NDArray[Any]:
    """Return ``values`` as an array of its own that a column of ``n`` rows can take.

    Raises:
        PluginError: it has another length, or would lose what it says.
    """
    found = np.array(values)  # a copy: it may be a view of rows that are about to be written over
    if found.shape != (n,):
        raise PluginError(
            f"{strategy}: column {name!r} has values of shape {found.shape} for {n} survivors"
        )
    kinds = {"f": "fiub", "i": "iub", "u": "iub", "b": "b"}.get(dtype.kind, dtype.kind)
    if found.size and found.dtype.kind not in kinds:
        raise PluginError(f"{strategy}: column {name!r} is of {dtype}, came {found.dtype}")
    return found
