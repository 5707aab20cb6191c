"""Evaluation in another process: what is sent there, and what comes back.

The *assignment* is what all jobs of a run have in common: task, layout, scaling. It is sent once. A *piece* of a job
is genomes, as slices of the table's columns, and keys. Both are pickled: they go from this process to one that it has
started, or that the user has named. What comes back is not: a process whose code is the user's may send anything, so
results are columns of known sizes, checked.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from importlib import import_module
from multiprocessing import spawn
from typing import TYPE_CHECKING, Any, Final

import msgpack
import numpy as np

from tweann.errors import ConfigError, FormatError, PluginError
from tweann.genes import Flag, Genes
from tweann.genome import empty_genes, write_block
from tweann.layout import Layout
from tweann.network import NetworkSlice
from tweann.seed import seed_network
from tweann.tasks.base import EvaluationKeys, Evaluations, Opponents, Task, TaskInfo
from tweann.tasks.repeated import Repeats, evaluate_repeatedly

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tweann.interfaces import Job
    from tweann.kernels.rollout import Scaling
    from tweann.tasks.shared import SharedEvaluation

#: Columns of `Genes` with one value a node, and with one a connection; the others have one a genome.
NODE_COLUMNS: Final = ("node_id", "activation", "aggregation", "bias", "node_extra")
CONNECTION_COLUMNS: Final = ("source", "target", "weight", "enabled", "connection_extra")
#: Longer reasons of failed evaluations are cut on their way.
MAX_REASON: Final = 500

_MAIN = b"__main__"
#: What most runs do.
ONCE: Final = Repeats()


class Assignment:
    """What all jobs of a run have in common.

    Args:
        task: what evaluates.
        layout, scaling: of the networks.
        target: "module:class" of a task that is made of settings; empty: the object itself is sent.
        settings: of such a task.
        activations: "module:attribute" of each activation of a plugin, in the layout's order.
        repeats: how often each genome is evaluated.
    """

    def __init__(
        self,
        task: Task,
        layout: Layout,
        scaling: Scaling,
        target: str = "",
        settings: BaseModel | None = None,
        activations: Sequence[str] = (),
        repeats: Repeats = ONCE,
    ) -> None:
        self.task, self.layout, self.scaling, self.repeats = task, layout, scaling, repeats
        self._target, self._settings, self._activations = target, settings, tuple(activations)

    @property
    def info(self) -> TaskInfo:
        """What the task says of itself."""
        return self.task.info

    def evaluate(
        self, networks: NetworkSlice, keys: EvaluationKeys, opponents: Opponents | None = None
    ) -> Evaluations:
        """Evaluate a slice, as often as the configuration says; against opponents, where there are any."""
        task = self.task if opponents is None else self.task.against(opponents)
        return evaluate_repeatedly(task, networks, keys, self.repeats)

    def share(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation | None:
        """Return what `evaluate` does without opponents as work for several threads, if the task can share it."""
        return self.task.share(networks, keys) if self.repeats.n == 1 else None

    @cached_property
    def payload(self) -> bytes:
        """All of it as bytes, for `load` in a process that can import what this one can.

        Raises:
            ConfigError: the task cannot be sent; the message says what to do.
        """
        shape = {f.name: getattr(self.layout, f.name) for f in fields(Layout) if f.name != "custom"}
        task = b"" if self._target else self._pickled_task()
        parts = (
            self._target,
            self._settings if self._target else None,
            task,
            _main_module() if _MAIN in task else {},
            shape,
            self._activations,
            tuple(self.scaling),
            self.repeats,
        )
        return pickle.dumps(parts, protocol=5)

    def _pickled_task(self) -> bytes:
        name = self.info.name
        try:
            task = pickle.dumps(self.task, protocol=5)
        except Exception as error:  # user objects may raise anything
            raise ConfigError(
                f"task {name} cannot be sent to another process: {error}. Functions travel by name: put the fitness "
                "function at the top level of a module (no lambda, no function inside a function), and what it "
                'remembers into a class there; or evaluate in this process, with evaluation.backend = "threads" or '
                '"serial"'
            ) from error
        if _MAIN in task and not _main_module().keys() & {
            "init_main_from_name",
            "init_main_from_path",
        }:
            raise ConfigError(
                f"task {name} cannot be sent to another process: it is defined in an interactive session, which "
                "other processes cannot import. Put it into a file and import it from there; or evaluate in this "
                'process, with evaluation.backend = "threads" or "serial"'
            )
        return task


def _main_module() -> dict[str, Any]:
    """Return how another process imports the script that this one runs."""
    return {
        key: value
        for key, value in spawn.get_preparation_data("tweann").items()
        if key in ("init_main_from_name", "init_main_from_path", "sys_argv")
    }


def load(payload: bytes) -> Assignment:
    """Return the assignment in ``payload``, made anew in this process.

    Raises:
        PluginError: it cannot be made here; the message says why.
    """
    try:
        target, settings, pickled, main, shape, activations, scaling, repeats = pickle.loads(
            payload
        )
        if main:
            spawn.prepare(main)
        if target:
            task: Task = _imported(target)(settings)
        else:
            task = pickle.loads(pickled)
        addresses = [_imported(name).address for name in activations]
    except Exception as error:  # what is imported here is the user's
        raise PluginError(
            f"the task cannot be loaded in another process: {type(error).__name__}: {error}"
        ) from error
    from tweann.kernels.rollout import Scaling

    layout = Layout(**shape, custom=np.array(addresses, np.uint64))
    return Assignment(task, layout, Scaling(*scaling), target, settings, activations, repeats)


def _imported(target: str) -> Any:
    module, _, path = target.partition(":")
    found: Any = import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found


def warm_up(assignment: Assignment) -> None:
    """Evaluate a network of no importance, so that kernels are compiled or loaded before anybody looks at the clock.

    Not for Python tasks: whoever counts the calls of his function would wonder.
    """
    if assignment.info.kind not in ("compiled", "table", "vector"):
        return
    layout = assignment.layout
    n_inputs = min(layout.n_inputs, layout.max_connections // layout.n_outputs)
    genome = seed_network(layout, np.arange(n_inputs), "tanh")
    genes = empty_genes(1, genome.n_nodes, max(genome.n_connections, 1), layout)
    write_block(genes, 0, genome, layout)
    networks = NetworkSlice(genes, np.zeros(1, np.int64), layout, assignment.scaling)
    assignment.task.evaluate(networks, EvaluationKeys(0))


def pack_piece(job: Job, start: int, stop: int) -> bytes:
    """Return rows ``start`` to ``stop``, counted from the job's first, as bytes for `evaluate_piece`.

    Raises:
        PluginError: the job says only how to evaluate in this process.
    """
    if job.networks is None or job.keys is None or job.assignment is None:
        raise PluginError(
            f"the job for rows {job.start} to {job.stop} cannot be sent to another process: it lacks networks, keys "
            "or assignment"
        )
    genes, blocks = job.networks.genes, job.networks.blocks[start:stop]
    opponents = None
    if job.opponents is not None:
        others = job.opponents.networks
        opponents = _cut(others.genes, others.blocks), job.opponents.ratings
    return pickle.dumps((_cut(genes, blocks), job.keys, opponents), protocol=5)


def _cut(genes: Genes, blocks: Any) -> Genes:
    """Return a table of the genomes in ``blocks`` alone, as narrow as they are."""
    nodes = int(genes.n_nodes[blocks].max(initial=0))
    connections = int(genes.n_connections[blocks].max(initial=0))
    room = dict.fromkeys(NODE_COLUMNS, nodes) | dict.fromkeys(CONNECTION_COLUMNS, connections)
    columns = {
        name: np.ascontiguousarray(
            column[blocks] if name not in room else column[..., : room[name]][blocks]
        )
        for name, column in genes._asdict().items()
    }
    return Genes(**columns)


def evaluate_piece(assignment: Assignment, piece: bytes) -> Evaluations:
    """Evaluate what `pack_piece` gave."""
    genes, keys, others = pickle.loads(piece)
    opponents = None if others is None else Opponents(_uncut(assignment, others[0]), others[1])
    return assignment.evaluate(_uncut(assignment, genes), keys, opponents)


def _uncut(assignment: Assignment, genes: Genes) -> NetworkSlice:
    """Return the genomes of a table that `_cut` gave, as networks."""
    blocks = np.arange(genes.n_nodes.size)
    return NetworkSlice(genes, blocks, assignment.layout, assignment.scaling)


def pack_evaluations(evaluations: Evaluations) -> bytes:
    """Return evaluations as bytes."""
    message: dict[str, Any] = {
        name: np.ascontiguousarray(column).tobytes()
        for name, column in _columns(evaluations).items()
    }
    message["reasons"] = [
        [k, reason[:MAX_REASON].encode("utf-8", "replace").decode()]
        for k, reason in evaluations.reasons.items()
    ]
    packed: bytes = msgpack.packb(message)
    return packed


def unpack_evaluations(data: bytes, n: int, info: TaskInfo) -> Evaluations:
    """Return the evaluations of ``n`` genomes in ``data``.

    Raises:
        FormatError: it is something else.
    """
    found = Evaluations.empty(n, info)
    columns = _columns(found)
    limit = max(column.nbytes for column in columns.values())
    try:
        message = msgpack.unpackb(
            data,
            raw=False,
            max_array_len=max(n, 2),
            max_map_len=len(columns) + 1,
            max_str_len=4 * MAX_REASON,
            max_bin_len=limit,
            max_ext_len=0,
        )
        if not isinstance(message, dict) or message.keys() != {*columns, "reasons"}:
            raise FormatError("expected the columns of evaluations")
        for name, column in columns.items():
            blob = message[name]
            if not isinstance(blob, bytes) or len(blob) != column.nbytes:
                raise FormatError(f"expected {column.nbytes} bytes of {name}")
            if column.dtype == np.bool_:
                column[:] = np.frombuffer(blob, np.uint8).reshape(column.shape) != 0
            else:
                column[:] = np.frombuffer(blob, column.dtype).reshape(column.shape)
        for k, reason in message["reasons"]:
            if type(k) is not int or not 0 <= k < n or not isinstance(reason, str):
                raise FormatError("expected reasons by entry")
            found.reasons[k] = reason
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise FormatError(f"these are not evaluations: {error}") from None
    if np.isinf(found.fitness).any() or (found.n_evaluations < 0).any():
        raise FormatError("a fitness is infinite, or a count less than 0")
    return found


def _columns(evaluations: Evaluations) -> dict[str, Any]:
    """Return the columns that there are: tuned weights and biases are not sent, since only threads tune."""
    columns = {f.name: getattr(evaluations, f.name) for f in fields(Evaluations)}
    return {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}


def failed(n: int, info: TaskInfo, flag: Flag, reason: str) -> Evaluations:
    """Return ``n`` evaluations that failed for one reason."""
    found = Evaluations.empty(n, info)
    for k in range(n):
        found.fail(k, flag, reason)
    return found
