"""The most memory that a run may take, from the caps of its configuration.

The prediction is for genomes that have all grown to their caps, archives that are full and buffers before their commit;
most runs stay far below. It counts what grows with the configuration, and takes what does not (the interpreter, numpy,
numba and the compiled kernels) as measured once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from tweann import assembly
from tweann.config import Config
from tweann.genome import empty_genes
from tweann.interfaces import Asynchronous, SaysSize, Strategy
from tweann.kernels._jit import is_cached
from tweann.kernels.breed import breed
from tweann.kernels.lanes import LANES
from tweann.layout import Layout
from tweann.lineage import BIRTH, SETTLED
from tweann.memory import Memory
from tweann.recording import EVENT_BYTES
from tweann.registry import Registry
from tweann.rows import ROW_COLUMNS
from tweann.tasks.base import Task

#: The interpreter with numpy, numba and the kernels of a run, read from the cache on disk: 190 to 215 MB on CPython
#: 3.11 to 3.13 with numba 0.68.
_BASE: Final = 220_000_000
#: What compiling takes beside that, in the first run of an installation.
_COMPILER: Final = 220_000_000
#: A worker process with its libraries, of which it shares a part with the others.
_WORKER: Final = 160_000_000
#: Share that fragmentation adds.
_SLACK: Final = 0.05
#: A batch of children that waits for lineage, as Python objects.
_BATCH: Final = 12_000
#: A report with its metrics, as Python objects.
_REPORT = 3_000
#: As storages in SQL have it (tweann.plugins.waiting_rows).
MAX_GENOME_BYTES: Final = 2_000_000
#: Pages of SQLite in memory, and the like.
_DATABASE: Final = 8_000_000
#: A checkpoint is collected from the table, packed and written as one piece: so many times the genes that live.
_CHECKPOINT_COPIES: Final = 3


class Part(NamedTuple):
    """Something that a run holds in memory."""

    name: str
    n_bytes: int
    keys: str  #: of the configuration, which cap it


class Ceiling(NamedTuple):
    """The most memory that a run may take, and what it is made of."""

    parts: tuple[Part, ...]
    #: What is not counted, since a plugin does not say how much it holds.
    unknown: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """All parts together."""
        return sum(part.n_bytes for part in self.parts)

    def data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "bytes": self.n_bytes,
            "parts": [part._asdict() for part in self.parts],
            "unknown": list(self.unknown),
        }

    def shortage(self, memory: Memory) -> str | None:
        """Return what to tell somebody who has less memory than that; None: there is enough, or nobody knows."""
        free = memory.free
        if free is None or free >= self.n_bytes:
            return None
        largest = max(self.parts[1:], key=lambda part: part.n_bytes)
        return (
            f"this run may take up to {readable(self.n_bytes)} of memory once all its caps are reached, and "
            f"{readable(free)} are free; most of it: {largest.name}, {readable(largest.n_bytes)}, capped by "
            f"{largest.keys}"
        )


def readable(n_bytes: int) -> str:
    """Return a size with a unit that suits it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"


def predict(config: Config, registry: Registry) -> Ceiling:
    """Return the most memory that a run of ``config`` may take; nothing is run.

    Raises:
        ConfigError: the configuration names what does not fit the task; its data cannot be read.
    """
    task = assembly.make_task(config, registry)
    layout = assembly.make_layout(config, task.info, registry)
    return ceiling(config, task, layout, assembly.make_strategy(config, task.info, registry))


def ceiling(config: Config, task: Task, layout: Layout, strategy: Strategy) -> Ceiling:
    """Return the most memory that a run of these parts may take."""
    n_values = layout.max_nodes + layout.max_connections
    own, unknown = 0, []
    if isinstance(strategy, SaysSize):
        own = strategy.max_bytes(n_values)
    else:
        unknown.append(f"arrays of strategy {config.strategy.name}, which has no max_bytes")
    members, brood, window = _members(config, strategy), _brood(config, strategy), _window(strategy)
    living = living_genomes(config, strategy)
    genome = encoded_bytes(layout)
    genes = empty_genes(1, layout.max_nodes, layout.max_connections, layout)
    block = sum(column.nbytes for column in genes)
    caps = "genome.max_nodes, genome.max_connections"
    of_population = f"strategy.population, {caps}"
    workers = assembly.count_workers(config)
    row = sum(np.dtype(dtype).itemsize for dtype, _ in ROW_COLUMNS.values())
    row += 8 * (len(task.info.descriptor) + task.info.n_objectives) + 64
    parts = [
        Part("Python, numpy, numba, kernels", _BASE, ""),
        Part("gene table", living * block, of_population),
        Part("rows of individuals", 4 * row * living, "strategy.population"),
        Part("archives and searches of the strategy", own, "[strategy]"),
        Part("data of the task", task_bytes(task), "[task]"),
        Part("reports", config.run.history * _REPORT, "run.history"),
        storage_part(config, genome, members),
        lineage_part(config, window * brood),
    ]
    if not is_cached(breed):
        parts.append(Part("compiler, in the first run of an installation", _COMPILER, ""))
        if workers > 1:
            parts.append(Part("a second process that compiles then", _BASE + _COMPILER, ""))
    at_once = workers  # each decodes one genome after the other
    if task.info.kind in ("python", "external") or task.info.n_players > 1:
        at_once = window * brood
    networks = at_once * network_bytes(layout) + workers * scratch_bytes(layout)
    if config.tuning.attempts != 0:
        # the slice's genes twice, as tried and as they were best; and what is written back
        networks = 3 * networks + 2 * window * brood * (block + 8 * n_values)
        # measured: when the checkpoint comes, about one copy is there still
        kept = window * brood * block
        parts.append(
            Part("copies of genes that were tuned, not given back yet", kept, of_population)
        )
    if (
        config.genome.lamarckian
    ):  # weights at birth, in life, clipped and in copies of those that solve
        networks += 2 * window * brood * (block + 16 * layout.max_connections)
    evaluation = Part("networks under evaluation", networks, f"{of_population}, evaluation.workers")
    copies = _CHECKPOINT_COPIES * (living - brood) * block
    checkpoint = Part("a checkpoint", copies if config.checkpoint.enabled else 0, of_population)
    growing = living * max(column.nbytes for column in genes)
    growth = Part("a column of the gene table that grows", growing, of_population)
    # One at a time; only of steps that overlap are networks still there.
    largest = max((evaluation, checkpoint, growth), key=lambda part: part.n_bytes)
    parts.append(largest)
    if window > 1:
        if largest is not evaluation:
            parts.append(evaluation)
        # its table grows batch by batch: of earlier ones, smaller together than the last, memory is not all given back
        batches = config.lineage.batch // max(brood, 1) * _BATCH
        parts.append(Part("traces of small batches", living * block + batches, "lineage.batch"))
    if config.bridge is not None:
        parts.append(bridge_part(config, genome))
    backend = config.evaluation.backend
    if backend not in (None, "serial", "threads"):
        parts.append(
            Part(
                f"workers of {backend}", workers * worker_bytes(layout, task), "evaluation.workers"
            )
        )
    slack = int(_SLACK * sum(part.n_bytes for part in parts))
    parts.append(Part("what the allocator leaves unused", slack, ""))
    return Ceiling(tuple(parts), tuple(unknown))


def living_genomes(config: Config, strategy: Strategy) -> int:
    """Return the most genomes that the pool has at a time: members, children under way, and the seed network."""
    return _members(config, strategy) + _window(strategy) * _brood(config, strategy) + 1


def _members(config: Config, strategy: Strategy) -> int:
    population: int = config.strategy.settings.population  # type: ignore[attr-defined] # checked on loading
    return int(getattr(strategy, "max_rows", 2 * population))


def _brood(config: Config, strategy: Strategy) -> int:
    population: int = config.strategy.settings.population  # type: ignore[attr-defined] # checked on loading
    children = int(getattr(strategy, "max_children", population))
    guests = 0
    if config.bridge is not None:
        guests = int(getattr(config.bridge.settings, "max_immigrants", 0))
    return children + guests


def _window(strategy: Strategy) -> int:
    return strategy.window if isinstance(strategy, Asynchronous) else 1


def encoded_bytes(layout: Layout) -> int:
    """Return what the largest genome takes in a file, names aside."""
    of_node, of_connection = 8 + 2 + 2 + 8, 8 + 8 + 8 + 1
    of_node += 8 * len(layout.node_columns)
    of_connection += 8 * len(layout.connection_columns)
    return 1000 + of_node * layout.max_nodes + of_connection * layout.max_connections


def network_bytes(layout: Layout) -> int:
    """Return what the largest network takes once it is decoded."""
    nodes, edges = layout.max_nodes + layout.n_outputs, layout.max_connections
    of_node, of_edge = 4 + 4 + 1 + 1 + 8, 2 + 8 + 4
    if "dynamics" in layout.groups:
        of_node += 1 + 32
    if "plasticity" in layout.groups:
        of_node, of_edge = of_node + 4, of_edge + 1 + 40
    return nodes * of_node + edges * of_edge


def scratch_bytes(layout: Layout) -> int:
    """Return what a worker needs to decode and to run the largest network."""
    nodes, edges = layout.max_nodes + layout.n_outputs, layout.max_connections
    decoding = 4 * (8 * nodes + 2 * edges + 4 * nodes)
    return decoding + 8 * LANES * (layout.n_inputs + nodes) + 8 * 8 * (nodes + edges)


def task_bytes(task: Task) -> int:
    """Return the arrays that a task holds, as far as they are its attributes."""
    return _arrays(vars(task) if hasattr(task, "__dict__") else {}, 3)


def _arrays(value: object, depth: int) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if depth == 0:
        return 0
    if isinstance(value, Mapping):
        return sum(_arrays(each, depth - 1) for each in value.values())
    if isinstance(value, (tuple, list)):
        return sum(_arrays(each, depth - 1) for each in value)
    return 0


def storage_part(config: Config, genome: int, members: int) -> Part:
    """Return what the storage keeps in memory."""
    settings: Any = config.storage.settings

    def cap(name: str) -> int:
        return int(getattr(settings, name, 0))

    if config.storage.name == "memory":
        n_bytes = EVENT_BYTES * cap("max_events")
        n_bytes += (genome + EVENT_BYTES) * (cap("max_champions") + members)
        return Part("storage in memory", n_bytes, "storage.max_events, storage.max_champions")
    rows = 2 * cap("commit_rows") * EVENT_BYTES + min(
        2 * MAX_GENOME_BYTES + genome, members * genome
    )
    rows += config.storage.max_waiting_bytes
    return Part(
        "rows that wait", _DATABASE + rows, "storage.commit_rows, storage.max_waiting_bytes"
    )


def lineage_part(config: Config, told: int) -> Part:
    """Return what lineage keeps in memory: births before they are written, and the lines of the living."""
    kept = config.lineage
    if not kept.enabled:
        return Part("lineage", 0, "")
    waiting = 8 * (kept.batch + told) * BIRTH.itemsize
    lines = 2 * SETTLED * 1000 * BIRTH.itemsize
    in_memory = 0
    if config.storage.name == "memory":
        pieces = int(getattr(config.storage.settings, "max_lineage", 0))
        in_memory = pieces * 2 * kept.batch * BIRTH.itemsize
    return Part("lineage", waiting + lines + in_memory, "lineage.batch, storage.max_lineage")


def bridge_part(config: Config, genome: int) -> Part:
    """Return what waits on the way from and to other islands."""
    settings: Any = config.bridge.settings if config.bridge is not None else None
    message = min(int(getattr(settings, "max_message_bytes", 0)), 32 * genome)
    n_bytes = int(getattr(settings, "inbox", 0)) * 2 * genome
    n_bytes += int(getattr(settings, "outbox", 0)) * message
    return Part("messages that wait", n_bytes, "bridge.inbox, bridge.outbox")


def worker_bytes(layout: Layout, task: Task) -> int:
    """Return what a process that evaluates holds: libraries that it does not share, a chunk of genomes, the task."""
    return _WORKER + task_bytes(task) + 64 * network_bytes(layout)
