"""What a task is, and the four kinds of them.

- A **compiled task** is a simulation in four compiled functions; the rollout kernel calls them through
  pointers.
- A **table task** is an array of inputs and one of targets, evaluated in lanes over rows.
- A **vector task** is a compiled function of a genome's weights and biases; no network is built.
- A **Python task** is any ``evaluate(network) -> float | Evaluation``.

All answer one call: `Task.evaluate`, which takes a slice of genomes and returns columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from tweann.errors import TaskError
from tweann.genes import ACTIVATION_RANGES, Bool, Flag, Float, Int

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tweann.kernels.rollout import Scaling
    from tweann.network import NetworkSlice
    from tweann.tasks.shared import SharedEvaluation


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a task says of itself.

    Attributes:
        name, version: which task this is; a change of its meaning is a new version.
        kind: "compiled", "table", "vector", "python" or "external".
        inputs, outputs: names, in order.
        input_ranges, output_ranges: (low, high) each; the network's outputs are mapped from the range of
            the output activation to the task's; an infinite range: they are taken as they are.
        output_activation: what suits the task, where the configuration does not say.
        solved: which result counts as solved, in words; empty: none does.
        baseline: what to compare with, in words.
        descriptor: (name, low, high) of each dimension of the behaviour descriptor.
        n_objectives: how many objectives it reports besides fitness.
        ticks: ticks of the network for one observation.
        episodes: episodes of one evaluation.
        dt: the time step.
        reward_modulation: the reward of a step modulates the plasticity of networks; otherwise 1 does.
        serial: user code that is not known to be safe in threads.
        n_players: 2 where genomes play against each other (`Task.against`); objective j is then the score, in
            [0, 1], against opponent j, and ``n_objectives`` caps the opponents that a genome meets.
    """

    name: str
    version: int
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_ranges: tuple[tuple[float, float], ...] = ()
    output_ranges: tuple[tuple[float, float], ...] = ()
    output_activation: str = "tanh"
    solved: str = ""
    baseline: str = ""
    descriptor: tuple[tuple[str, float, float], ...] = ()
    n_objectives: int = 0
    ticks: int = 1
    episodes: int = 1
    dt: float = 1.0
    reward_modulation: bool = False
    serial: bool = False
    n_players: int = 1

    @property
    def forgets(self) -> bool:
        """Whether a network's state never outlives a tick, so that recurrent connections would always read 0."""
        return self.kind == "table" and self.ticks == 1

    @property
    def n_inputs(self) -> int:
        return len(self.inputs)

    @property
    def n_outputs(self) -> int:
        return len(self.outputs)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation found, as a Python task or an outside simulator reports it."""

    fitness: float
    descriptor: Sequence[float] = ()
    objectives: Sequence[float] = ()
    solved: bool = False
    steps: int = 0
    n_evaluations: int = 1


@dataclass(slots=True)
class Evaluations:
    """What the evaluation of a slice found: columns of n entries.

    Attributes:
        fitness: (n,) NaN where it failed.
        solved: (n,) bool.
        steps: (n,) ticks of simulation.
        flags: (n,) bits of `Flag`.
        n_evaluations: (n,) how many task runs it took.
        validation: (n,) what chooses the champion; fitness itself where a task has nothing better.
        descriptor: (n, d).
        objectives: (n, m).
        reasons: why an entry failed, by entry.
        weights, biases: (n, C) and (n, N), tuned or learned ones in gene order, where they are to be the genomes' own.
    """

    fitness: Float
    solved: Bool
    steps: Int
    flags: Int
    n_evaluations: Int
    validation: Float
    descriptor: Float
    objectives: Float
    reasons: dict[int, str] = field(default_factory=dict)
    weights: Float | None = None
    biases: Float | None = None

    @classmethod
    def empty(cls, n: int, info: TaskInfo) -> Evaluations:
        """Return columns for ``n`` evaluations: fitness NaN, one evaluation each, all else 0."""
        numbers = np.empty((2, n))
        numbers.fill(np.nan)
        counts = np.zeros((3, n), np.int64)
        counts[2] = 1
        return cls(
            fitness=numbers[0],
            solved=np.zeros(n, np.bool_),
            steps=counts[0],
            flags=counts[1],
            n_evaluations=counts[2],
            validation=numbers[1],
            descriptor=np.zeros((n, len(info.descriptor))),
            objectives=np.zeros((n, info.n_objectives)),
        )

    def put(self, k: int, evaluation: object) -> None:
        """Write what somebody reports of entry ``k``: a number, or an `Evaluation`; anything else fails."""
        try:
            found = _checked(evaluation, self.descriptor.shape[1], self.objectives.shape[1])
        except (TypeError, ValueError, OverflowError) as error:
            self.fail(k, Flag.INVALID, str(error))
            return
        self.fitness[k] = self.validation[k] = found.fitness
        self.solved[k] = found.solved
        self.steps[k] = found.steps
        self.n_evaluations[k] = found.n_evaluations
        self.descriptor[k] = found.descriptor
        self.objectives[k] = found.objectives

    def fail(self, k: int, flag: Flag, reason: str) -> None:
        """Mark entry ``k`` as failed, and say why."""
        self.fitness[k] = self.validation[k] = np.nan
        self.solved[k] = False
        self.flags[k] |= flag
        self.reasons[k] = reason

    def settle(self, finite: bool, reason: str, solved_at: float | None = None) -> None:
        """Write what follows from the fitness that a kernel has found.

        Args:
            finite: whether all fitness and descriptors are; otherwise those that are not fail.
            reason: why they do.
            solved_at: the fitness that counts as solved; None: ``solved`` is written already.
        """
        if solved_at is not None:
            np.greater_equal(self.fitness, solved_at, out=self.solved)
        self.validation[:] = self.fitness
        if not finite:
            self.fail_invalid(reason)

    def fail_invalid(self, reason: str) -> None:
        """Mark every entry whose fitness, or descriptor, is not of finite numbers as failed, and say why."""
        valid = np.isfinite(self.fitness)
        if not valid.all():
            for k in np.flatnonzero(~valid).tolist():
                self.fail(k, Flag.INVALID, reason)
        if self.descriptor.size and not np.isfinite(self.descriptor).all():
            broken = ~np.isfinite(self.descriptor).all(axis=1)
            for k in np.flatnonzero(broken & valid).tolist():
                self.fail(k, Flag.INVALID, "the descriptor is not of finite numbers")


def _checked(value: object, n_descriptor: int, n_objectives: int) -> Evaluation:
    """Return what somebody reports as an `Evaluation` of finite numbers.

    Raises:
        TypeError, ValueError, OverflowError: it is none; the message says what was expected and what came.
    """
    if not isinstance(value, Evaluation):
        return _checked(Evaluation(_finite("the result", value)), n_descriptor, n_objectives)
    solved = value.solved
    if not isinstance(solved, (bool, np.bool_)):
        raise TypeError(f"expected solved to be True or False, came {_shown(solved)}")
    return Evaluation(
        _finite("fitness", value.fitness),
        _several("descriptor", value.descriptor, n_descriptor),
        _several("objectives", value.objectives, n_objectives),
        solved=bool(solved),
        steps=_count("steps", value.steps, 0),
        n_evaluations=_count("n_evaluations", value.n_evaluations, 1),
    )


def _finite(what: str, value: object) -> float:
    number = isinstance(value, (int, float, np.integer, np.floating))
    if not number or isinstance(value, bool):
        expected = "a number or an Evaluation" if what == "the result" else "a number"
        raise TypeError(f"expected {what} to be {expected}, came {_shown(value)}")
    try:
        found = float(value)  # type: ignore[arg-type] # a number, as was just seen
    except OverflowError:
        found = np.inf
    if not np.isfinite(found):
        raise ValueError(f"expected {what} to be a finite number, came {_shown(value)}")
    return found


def _several(name: str, values: Sequence[float], n: int) -> list[float]:
    found = [_finite(f"{name} {i}", value) for i, value in enumerate(values)]
    if len(found) != n:
        raise ValueError(f"expected {n} values of {name}, came {len(found)}")
    return found


def _count(what: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TypeError(f"expected {what} to be an integer >= {least}, came {_shown(value)}")
    if value >= 2**63:
        raise OverflowError(f"expected {what} to be below 2^63, came {_shown(value)}")
    return int(value)


def _shown(value: object) -> str:
    """Return a value and its type, for messages; also of one whose ``repr`` raises."""
    try:
        text = repr(value)
    except Exception:  # a stranger's object may raise anything
        text = "(without a repr)"
    return f"{type(value).__name__} {text:.60}"


@dataclass(frozen=True, slots=True)
class Opponents:
    """Whom all genomes of a brood play against.

    Attributes:
        networks: (m,) of them.
        ratings: (m,) Elo ratings.
    """

    networks: NetworkSlice
    ratings: Float


@dataclass(frozen=True, slots=True)
class ChampionTest:
    """What the test of a champion found."""

    solved: bool
    metrics: Mapping[str, float] = field(default_factory=dict)


class Task:
    """Base of all tasks. Immutable once made: threads share it."""

    Settings: ClassVar[type[BaseModel]]  #: the section [task], without ``name``
    info: TaskInfo
    #: Whether `test_champion` decides what is solved, once a generation.
    tests_champion: ClassVar[bool] = False

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Evaluate a slice; a failure is a flag and a reason, never an exception."""
        raise NotImplementedError

    def share(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation | None:
        """Return the evaluation of a slice as work that several threads do together, with the results of `evaluate`.

        None: the task does not know how; slices of the slice are then evaluated side by side.
        """
        del networks, keys
        return None

    def against(self, opponents: Opponents) -> Task:
        """Return the task of playing against ``opponents``: fitness is the rating that its scores show.

        Raises:
            TaskError: nobody plays here.
        """
        raise TaskError(f"task {self.info.name} has one player: there are no opponents")

    def test_champion(self, networks: NetworkSlice) -> ChampionTest:
        """Test a slice of one network beyond its fitness; not counted as an evaluation."""
        raise TaskError(f"task {self.info.name} has no champion test")

    def metrics(self, networks: NetworkSlice) -> dict[str, float]:
        """Return figures on a final champion, a slice of one, e.g. accuracy on the test split."""
        del networks
        return {}


@dataclass(frozen=True, slots=True)
class EvaluationKeys:
    """Where an evaluation's randomness comes from: never from the genome, so all meet the same noise.

    Attributes:
        seed: the run's.
        generation: 0 unless the task is to differ from generation to generation.
        repeat: which evaluation of several of one genome; the episodes go on counting.
    """

    seed: int
    generation: int = 0
    repeat: int = 0

    def episodes(self, n: int) -> NDArray[np.uint64]:
        """Return (n,) keys, one an episode: ``make_key(seed, generation, repeat · n + episode, EVALUATE)``."""
        return _episode_keys(self.seed, self.generation, self.repeat, n)


@lru_cache(maxsize=32)
def _episode_keys(seed: int, generation: int, repeat: int, n: int) -> NDArray[np.uint64]:
    """Return the keys; made once for all slices of a generation."""
    from tweann.kernels.random import EVALUATE, make_key  # late: as in `output_scaling`

    first, second = np.uint64(seed), np.uint64(generation)
    made = [
        make_key(first, second, np.uint64(episode), EVALUATE)
        for episode in range(repeat * n, repeat * n + n)
    ]
    return np.array(made, dtype=np.uint64)


def output_scaling(info: TaskInfo, output_activation: str) -> Scaling:
    """Return how outputs become actions: action = clip(scale·out + offset, low, high), (n_outputs,) each.

    Maps the range of the output activation linearly onto the task's; where either has no finite range
    the outputs are only clipped to the task's.
    """
    from tweann.kernels.rollout import Scaling  # late: what a task says of itself needs no compiler

    n = info.n_outputs
    scale, offset = np.ones(n), np.zeros(n)
    ranges = info.output_ranges or ((-np.inf, np.inf),) * n
    low = np.array([r[0] for r in ranges], dtype=np.float64)
    high = np.array([r[1] for r in ranges], dtype=np.float64)
    natural = ACTIVATION_RANGES.get(output_activation)
    if natural is not None:
        for j in range(n):
            if np.isfinite(low[j]) and np.isfinite(high[j]):
                scale[j] = (high[j] - low[j]) / (natural[1] - natural[0])
                offset[j] = low[j] - natural[0] * scale[j]
    return Scaling(scale, offset, low, high)


def names(prefix: str, n: int) -> tuple[str, ...]:
    """Return ``n`` names: prefix0, prefix1, …"""
    return tuple(f"{prefix}{i}" for i in range(n))
