"""Compiled tasks: simulations in four compiled functions.

    from tweann.tasks import CompiledTask, task_observe, task_reset, task_step

    @task_reset
    def reset(state, params, key): ...
    @task_observe
    def observe(state, params, observation): ...
    @task_step
    def step(state, params, action): return reward, done

    task = CompiledTask("my-task", inputs=("x",), outputs=("force",), reset=reset, ...)

All arguments are contiguous float64 arrays, ``key`` is a uint64. ``state`` is all zeros before `reset`. The
functions stand at the top level of a file; they are compiled when it is imported for the first time, and read
from numba's disk cache ever after. An exception in one cannot be caught: it is printed and ignored.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from tweann.errors import ConfigError, TaskError
from tweann.genes import Float, Int
from tweann.kernels._jit import OBSERVE, RESET, SCORE, STEP, allocating_kernel, callback
from tweann.kernels.claims import new_claims
from tweann.kernels.random import UInt64Array
from tweann.kernels.rollout import RolloutParameters, RolloutResults, rollout
from tweann.network import NetworkSlice, decode_parameters, network_shape
from tweann.tasks.base import EvaluationKeys, Evaluations, TaskInfo
from tweann.tasks.shared import SharedEvaluation, SharingTask

#: A compiled function of a task: what one of the decorators below makes.
Compiled = Callable[..., Any]
Decorator = Callable[[Compiled], Compiled]

#: For `RolloutResults.learned`.
NOT_ASKED: Final = np.empty((0, 0))


def task_decorator(name: str, signature: Any, form: str) -> Decorator:
    """Return the decorator ``name``, which compiles a function of the given form.

    Args:
        name: as users write it.
        signature: of `tweann.kernels._jit`.
        form: what such a function looks like, for messages.
    """
    n = form.partition(")")[0].count(",") + 1

    def decorate(function: Compiled) -> Compiled:
        code = function.__code__
        place = f"{code.co_filename}:{code.co_firstlineno}: {function.__name__}"
        if len(inspect.signature(function).parameters) != n:
            raise TaskError(f"{place}: @{name} expects {form}")
        try:
            compiled: Compiled = callback(signature)(function)
        except Exception as error:  # numba's own errors share no base that is public
            raise TaskError(
                f"{place}: @{name} expects {form}, in what numba compiles; it said: {error}"
            ) from error
        compiled.made_by = name  # type: ignore[attr-defined] # for `require_made_by`
        return compiled

    return decorate


def require_made_by(decorator: str, function: object, task: str) -> None:
    """Raise `ConfigError` unless ``function`` was made by ``decorator``."""
    if getattr(function, "made_by", None) != decorator:
        raise ConfigError(
            f"task {task}: expected a function made by @{decorator}, came {function!r}"
        )


#: ``reset(state, params, key)`` writes the state in which an episode begins.
task_reset: Final = task_decorator("task_reset", RESET, "reset(state, params, key)")
#: ``observe(state, params, observation)`` writes what the network gets to see.
task_observe: Final = task_decorator("task_observe", OBSERVE, "observe(state, params, observation)")
#: ``step(state, params, action) -> (reward, done)`` moves the state on by one time step.
task_step: Final = task_decorator("task_step", STEP, "step(state, params, action) -> (float, bool)")
#: ``score(state, params, out)``: ``out`` comes with the sum of rewards in [0] and zeros behind it, and
#: leaves with [0] fitness, [1] not 0 if solved, then the descriptor, then the objectives.
task_score: Final = task_decorator("task_score", SCORE, "score(state, params, out)")
#: Compiles a helper that the functions of a task call.
task_function: Final = allocating_kernel


class Simulation(NamedTuple):
    """The four functions of a task, compiled."""

    reset: Compiled
    observe: Compiled
    step: Compiled
    score: Compiled


@task_score
def sum_of_rewards(state: Float, params: Float, out: Float) -> None:
    """Leave the fitness as it comes: the sum of rewards."""


class CompiledTask(SharingTask):
    """A simulation in compiled functions. Make one, or subclass it with ``Settings`` to register it."""

    def __init__(
        self,
        info: TaskInfo,
        *,
        reset: Callable[..., Any],
        observe: Callable[..., Any],
        step: Callable[..., Any],
        score: Callable[..., Any] = sum_of_rewards,
        state_size: int,
        max_steps: int,
        params: Sequence[float] | Float = (),
        solved_at: float | None = None,
    ) -> None:
        """Put a task together.

        Args:
            info: what the task says of itself; ``kind`` is "compiled".
            reset, observe, step, score: made by `task_reset`, `task_observe`, `task_step`, `task_score`.
            state_size: length of ``state``.
            max_steps: at which an episode ends if it has not by itself.
            params: constants, handed to all functions.
            solved_at: the fitness, a mean over episodes, that counts as solved; None: ``score`` says.

        Raises:
            ConfigError: a function is not compiled by its decorator, or a size is out of range.
        """
        self.info = info
        self.simulation = Simulation(reset, observe, step, score)
        self._state_size, self._max_steps = state_size, max_steps
        self._params = np.array(params, dtype=np.float64)
        self._solved_at = solved_at
        self._check()

    def evaluation(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation:
        """Run every network through all episodes; fitness is their mean."""
        result = Evaluations.empty(len(networks), self.info)
        episodes, simulation = self.episode_keys(keys), self.simulation
        finite = list[bool]()

        def run(claims: Int) -> None:
            finite.append(
                self.run_episodes(networks, episodes, simulation, self._max_steps, result, claims)
            )

        def finish() -> None:
            reason = f"task {self.info.name}: the score is not a finite number"
            result.settle(all(finite), reason, self._solved_at)

        return SharedEvaluation(result, (run,), finish)

    def episode_keys(self, keys: EvaluationKeys) -> UInt64Array:
        """Return the keys that the resets of the task's episodes get, (episodes,)."""
        return keys.episodes(self.info.episodes)

    def run_episodes(
        self,
        networks: NetworkSlice,
        episodes: UInt64Array,
        simulation: Simulation,
        max_steps: int,
        out: Evaluations,
        claims: Int | None = None,
    ) -> bool:
        """Run networks through episodes that need not be the task's own, for tests of champions.

        Args:
            networks: (n,).
            episodes: (e,) the keys that the resets get.
            simulation: what to run, with the task's sizes and constants.
            max_steps: of an episode.
            out: (n,) what the simulation says is written; and ``networks.learned``, where it is asked for, after the
                last of the episodes.
            claims: on the networks, see `tweann.kernels.claims`; None: all are run.

        Returns:
            Whether all fitness and descriptors are finite.
        """
        layout = networks.layout
        p = RolloutParameters(
            self._params,
            episodes,
            max_steps,
            self.info.ticks,
            networks.scaling,
            layout.custom,
            self.info.reward_modulation,
        )
        return rollout(
            networks.genes,
            networks.blocks,
            new_claims(len(networks)) if claims is None else claims,
            network_shape(layout),
            decode_parameters(layout),
            *simulation,
            self._state_size,
            p,
            RolloutResults(
                out.fitness,
                out.solved,
                out.steps,
                out.flags,
                out.descriptor,
                out.objectives,
                NOT_ASKED if networks.learned is None else networks.learned,
            ),
        )

    def _check(self) -> None:
        name = self.info.name
        decorators = ("task_reset", "task_observe", "task_step", "task_score")
        for function, decorator in zip(self.simulation, decorators, strict=True):
            require_made_by(decorator, function, name)
        for what, value, least in (
            ("state_size", self._state_size, 0),
            ("max_steps", self._max_steps, 1),
            ("episodes", self.info.episodes, 1),
            ("ticks", self.info.ticks, 1),
        ):
            if value < least:
                raise ConfigError(f"task {name}: {what} must be {least} or more, came {value}")
        if self._params.ndim != 1:
            raise ConfigError(
                f"task {name}: params must be a list of numbers, came shape {self._params.shape}"
            )
