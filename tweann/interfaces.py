"""The waist of tweann: what a plugin knows of the core, and the core of a plugin.

A strategy says *who*: it sees columns and returns index arrays. A back-end says who runs which slice. A
storage keeps events. An exchange swaps genomes with elsewhere. Everything else is the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from tweann.errors import PluginError
from tweann.genes import Bool, Float, Int, Operator, UInt8

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from tweann.config import SpeciesSettings
    from tweann.genome import Genome
    from tweann.layout import Layout
    from tweann.network import NetworkSlice
    from tweann.pool import BroodView, PoolView
    from tweann.registry import Registry
    from tweann.remote import Assignment
    from tweann.tasks.base import EvaluationKeys, Evaluations, Opponents, TaskInfo

#: What a plugin remembers between calls: plain arrays, numbers, strings and booleans by name.
State = Mapping[str, "Float | Int | float | int | str | bool"]


@dataclass(frozen=True, slots=True)
class BreedingPlan:
    """Who breeds with whom, and how: one entry a child.

    Attributes:
        operator: (n,) uint8, values of `Operator`.
        parent_a: (n,) rows of the pool, dominant in crossover; -1 with ``FRESH``.
        parent_b: (n,) rows of the pool; -1 where there is none.
        strength: (n,) >= 0, scales the power of weight mutation; absent: 1.
        values: (n, d) weights, then biases, in gene order, for ``SET_VALUES``; absent otherwise.
        group: (n,) integers >= 0, ascending; where a task tests champions, the best of each group is tested;
            absent: all are one group.
        tuned: (n,) bool, whom section [tuning] concerns; absent: all.
        columns: values of the strategy's own columns that the children are born with, (n,) each; absent: 0.
    """

    operator: UInt8
    parent_a: Int
    parent_b: Int
    strength: Float | None = None
    values: Float | None = None
    group: Int | None = None
    tuned: Bool | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.operator.size)

    @classmethod
    def fresh(cls, n: int) -> BreedingPlan:
        """Return a plan for ``n`` children from the seed network."""
        nobody = np.full(n, -1, np.int64)
        return cls(np.full(n, Operator.FRESH, np.uint8), nobody, nobody)

    def check(self, n_rows: int, strategy: str, columns: Collection[str] = ()) -> None:
        """Raise `PluginError` unless the plan can be bred from a pool of ``n_rows`` rows.

        Args:
            n_rows: of the pool.
            strategy: whom to name in an error.
            columns: the strategy's own.
        """
        n = len(self)
        for name, values in self.columns.items():
            if name not in columns or np.shape(values) != (n,):
                raise PluginError(
                    f"strategy {strategy}: plan.columns must have {n} values each for columns of its own "
                    f"({', '.join(columns) or 'none'}), came {name!r} of shape {np.shape(values)}"
                )
        for name in ("operator", "parent_a", "parent_b"):
            column = getattr(self, name)
            if column.shape != (n,) or column.dtype.kind not in "iu":
                raise PluginError(
                    f"strategy {strategy}: plan.{name} must be {n} integers, "
                    f"came as {column.dtype} of shape {column.shape}"
                )
        if self.strength is not None and (
            self.strength.shape != (n,)
            or not (np.isfinite(self.strength) & (self.strength >= 0)).all()
        ):
            raise PluginError(f"strategy {strategy}: plan.strength must be {n} finite numbers >= 0")
        if self.group is not None and (
            self.group.shape != (n,)
            or self.group.dtype.kind not in "iu"
            or (np.diff(self.group, prepend=0) < 0).any()
        ):
            raise PluginError(
                f"strategy {strategy}: plan.group must be {n} integers >= 0, ascending"
            )
        if self.tuned is not None and (self.tuned.shape != (n,) or self.tuned.dtype != np.bool_):
            raise PluginError(f"strategy {strategy}: plan.tuned must be {n} booleans")
        from tweann.kernels.checks import (
            first_bad_child,  # late: who only registers needs no compiler
        )

        operator = self.operator
        if operator.dtype != np.uint8:
            known = (operator >= 0) & (operator < len(Operator))
            operator = np.where(known, operator, len(Operator)).astype(np.uint8)
        child = first_bad_child(
            operator,
            self.parent_a.astype(np.int64, copy=False),
            self.parent_b.astype(np.int64, copy=False),
            n_rows,
        )
        if child >= 0:
            raise PluginError(f"strategy {strategy}: {self._fault_of(child, n_rows)}")

    def _fault_of(self, child: int, n_rows: int) -> str:
        """Return what is wrong with a child that cannot be bred."""
        operator = int(self.operator[child])
        if not 0 <= operator < len(Operator):
            return f"unknown operator {operator} of child {child}"
        needs_a = operator != Operator.FRESH
        needs_b = operator in (Operator.CROSSOVER, Operator.CROSSOVER_MUTATE)
        a, b = int(self.parent_a[child]), int(self.parent_b[child])
        wrong_a = not (0 if needs_a else -1) <= a < n_rows
        name, found, needed = ("parent_a", a, needs_a) if wrong_a else ("parent_b", b, needs_b)
        return (
            f"{name} of child {child} is {found}, expected a row of the pool, 0 to {n_rows - 1}"
            f"{'' if needed else ', or -1 for none'}"
        )


@dataclass(frozen=True, slots=True)
class Survivors:
    """Who stays, in the order that the strategy wants: they become rows 0 … n-1 of the pool.

    Attributes:
        index: (n,) each at most once: rows of the pool, then, counted on from there, of the brood.
        role: (n,) uint8, bits of `Role`; absent: all are members.
        columns: new values for the strategy's own columns and for ``species``, (n,) each, in this order.
    """

    index: Int
    role: UInt8 | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StrategyContext:
    """What a strategy is told when it is made.

    Attributes:
        task: sizes, names, and what the task calls solved.
        species: section [species] of the configuration.
        bias: whether nodes have biases that evolve; where not, values for ``SET_VALUES`` leave them as they are.
        weight_bound: the magnitude that weights and biases are clipped to.
        warm: whether the seed network comes from a file, with values of its own.
        registry: where a strategy finds others that it is made of; None: the installed ones.
    """

    task: TaskInfo
    species: SpeciesSettings
    bias: bool = True
    weight_bound: float = 30.0
    warm: bool = False
    registry: Registry | None = None


@runtime_checkable
class Strategy(Protocol):
    """Decides who breeds and who stays. Deterministic in what it is given, and free of I/O."""

    Settings: ClassVar[type[BaseModel]]  #: the section [strategy]; has at least ``population``
    columns: ClassVar[Mapping[str, DTypeLike]]  #: columns of its own, carried along with each row

    def __init__(self, settings: Any, context: StrategyContext) -> None: ...

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for at most ``n`` children; the first call sees an empty pool."""
        ...

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Take the evaluated children of an `ask` and say who stays."""
        ...

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return up to ``n`` rows of the pool worth sending elsewhere."""
        ...

    def state(self) -> State:
        """Return all that it remembers."""
        ...

    def restore(self, state: State) -> None:
        """Go on from what `state` gave."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Return figures for the generation's record: number of species, coverage and the like."""
        ...


@runtime_checkable
class SaysSize(Protocol):
    """A strategy that says how large its own arrays become, so that a run's memory can be predicted."""

    def max_bytes(self, n_values: int) -> int:
        """Return the most bytes of archives, matrices and plans, for genomes of up to ``n_values`` weights and biases."""
        ...


@runtime_checkable
class Asynchronous(Protocol):
    """A strategy that need not wait for all children of one `Strategy.ask` before it is asked again.

    It is asked for the n-th time after exactly the children of the first n - ``window`` asks have been told, so its
    decisions do not depend on how many workers there are, nor on how long evaluations take.
    """

    window: int  #: asks whose children may be under way at once, >= 1
    in_birth_order: (
        bool  #: False: told as they come in, which is faster and does not repeat; recorded
    )


@runtime_checkable
class Competitive(Protocol):
    """A strategy whose individuals play against others, where the task has two players.

    The champion of such a run is who did best in the last brood: to stay champion it has to be in each brood, as a
    clone.
    """

    def opponents(self, pool: PoolView) -> tuple[Int, Float]:
        """Return rows of the pool, and their ratings, that the next children play against, as many as the task takes.

        Called after `Strategy.ask`, any number of times. Nobody: the first children of the brood are the opponents of
        all, each rated `tweann.kernels.elo.FIRST_RATING`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """The evaluation of one slice of a brood, or a part in it: several jobs of one slice share the work.

    Attributes:
        start, stop: the slice, rows of the brood.
        evaluate: decodes and evaluates the slice, or what others of that slice have not begun; runs on any thread, and
            raises only for a bug.
        networks, keys, assignment: the same for those who evaluate in another process: what
            `tweann.remote` sends there. The assignment is one object for the whole run.
        opponents: whom the slice plays against; None: nobody.
    """

    start: int
    stop: int
    evaluate: Callable[[], Evaluations]
    networks: NetworkSlice | None = None
    keys: EvaluationKeys | None = None
    assignment: Assignment | None = None
    opponents: Opponents | None = None


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job and what came of it: evaluations, or the exception that escaped."""

    job: Job
    evaluations: Evaluations | None
    error: BaseException | None = None


@runtime_checkable
class Backend(Protocol):
    """Runs jobs, in any order; results do not depend on which back-end it is."""

    Settings: ClassVar[type[BaseModel]]
    capacity: int  #: how many jobs can run at once
    #: Jobs run in this process: the core cuts broods into jobs, and may run a single small one itself. Otherwise
    #: a job is a whole brood: only who sends it away knows what that costs, and cuts it accordingly.
    in_process: bool

    def __init__(self, settings: Any, workers: int) -> None: ...

    def submit(self, job: Job) -> None:
        """Queue a job."""
        ...

    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        """Return finished jobs, waiting up to ``timeout`` seconds (None: for ever) for the first.

        With nothing under way it returns an empty list at once.
        """
        ...

    def cancel(self, job: Job) -> None:
        """Drop a job that has not begun; one that has is left to end and is not returned."""
        ...

    def close(self) -> None:
        """End all workers. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run, as a storage keeps it.

    Attributes:
        sequence: 0, 1, 2, …: gapless within a run.
        kind: "run_started", "generation", "champion", "individual", "lineage", "ancestors", "immigrant", "arrivals",
            "run_finished", or a plugin's own. Of kind "lineage", those with a lower number than ``keep_from`` of
            the newest are not needed any more.
        generation: when.
        data: JSON values; for the built-in kinds the keys are those of `tweann.records`.
        genome: the genome's codec bytes, where the event has one; of "lineage" and "ancestors" packed records
            (`tweann.lineage`).
    """

    sequence: int
    kind: str
    generation: int
    data: Mapping[str, Any]
    genome: bytes | None = None


@runtime_checkable
class Storage(Protocol):
    """Keeps the events of runs: append-only, keyed by (run, sequence), safe after a kill at any instant."""

    Settings: ClassVar[type[BaseModel]]

    def __init__(self, settings: Any, run: str) -> None: ...

    def append(self, events: Sequence[Event]) -> None:
        """Add events in order; may keep them back for a second before they are durable.

        Raises:
            NotNowError: they are taken and wait, since they cannot be written just now; the run calls `flush` until
                they are, and appends nothing meanwhile.
        """
        ...

    def events(self, kind: str | None = None) -> Iterator[Event]:
        """Give this run's events in order, all or of one kind."""
        ...

    def rewind(self, sequence: int) -> None:
        """Delete this run's events from ``sequence`` on, all or none: a run goes on from a checkpoint before them."""
        ...

    def flush(self) -> None:
        """Make everything appended durable.

        Raises:
            NotNowError: it cannot be written just now, and goes on waiting.
        """
        ...

    def close(self) -> None:
        """Flush and let go. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Immigrant:
    """A genome from elsewhere, and who sent it."""

    genome: Genome
    peer: str


@dataclass(frozen=True, slots=True)
class ExchangeContext:
    """What an exchange is told when it is made.

    Attributes:
        name: of this island, among its peers.
        run: name of the run.
        seed, stream: what all random numbers of breeding are keyed by; ``stream`` is made of ``name``.
        task: sizes, names, version.
        task_settings: section [task] of the configuration, as JSON values; files are given by a hash of them.
        layout: the shape of the genomes that the run can take.
        species: section [species] of the configuration: how genomes are told apart.
        run_dir: where it may write; None: nowhere.
    """

    name: str
    run: str
    seed: int
    stream: int
    task: TaskInfo
    task_settings: Mapping[str, Any]
    layout: Layout
    species: SpeciesSettings
    run_dir: Path | None


@runtime_checkable
class Readable(Protocol):
    """A storage whose rows `tweann show`, `list` and `export` can read, while a run goes on, too."""

    Settings: ClassVar[type[BaseModel]]

    @classmethod
    def read_rows(
        cls, settings: Any, run: str, table: str, newest: int | None = None
    ) -> list[dict[str, Any]]:
        """Return rows of "runs", "generations", "champions" or "individuals" in order, or only the newest.

        Columns as in SQLite's tables; JSON as text. No row where nothing was written yet.
        """
        ...


@runtime_checkable
class Exchange(Protocol):
    """Swaps genomes with elsewhere, before each ask. No call may wait for the network."""

    Settings: ClassVar[type[BaseModel]]  #: the section [bridge]

    def __init__(self, settings: Any, context: ExchangeContext) -> None: ...

    def n_emigrants(self, ask: int, generation: int, n_evaluations: int) -> int:
        """Return how many rows the strategy shall offer before an ask, the best first; 0: none are to leave.

        Called before each `swap`, with the number of the ask and how far the run is.
        """
        ...

    def swap(self, pool: PoolView, offered: Int) -> Sequence[Immigrant]:
        """Choose among the rows that are ``offered``, and return what has come in: genomes that fit the layout."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Return figures for the generation's record, each ``bridge_…``; ready-made, since it is called often."""
        ...

    def close(self) -> None:
        """Let go. Idempotent."""
        ...
