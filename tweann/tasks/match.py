"""Compiled matches: simulations of two players, for competitive coevolution.

    from tweann.tasks import CompiledMatch, match_observe, match_policy, match_score, match_step, task_reset

    @task_reset
    def reset(state, params, key): ...
    @match_observe
    def observe(state, params, observations): ...      # (2, n_inputs), one row a player
    @match_step
    def step(state, params, actions): return done      # (2, n_outputs)
    @match_score
    def score(state, params, points): ...              # (2,): who has more, wins
    @match_policy
    def chaser(state, params, observation, action): ...

As in `tweann.tasks.compiled`. Each pair meets twice in each episode, once from either seat, from the same start, so
that neither seat is an advantage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from tweann.errors import ConfigError, TaskError
from tweann.genes import Float
from tweann.kernels._jit import MATCH_OBSERVE, MATCH_STEP, POLICY, SCORE
from tweann.kernels.elo import performance_ratings
from tweann.kernels.match import MatchResults, MatchScratch, play
from tweann.kernels.random import UInt64Array
from tweann.kernels.rollout import RolloutParameters
from tweann.kernels.tick import tick_state
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Opponents, Task, TaskInfo
from tweann.tasks.compiled import Compiled, require_made_by, task_decorator

#: ``observe(state, params, observations)`` writes what each player gets to see, a row each.
match_observe: Final = task_decorator(
    "match_observe", MATCH_OBSERVE, "observe(state, params, observations)"
)
#: ``step(state, params, actions) -> done`` moves the state on by one time step, both players at once.
match_step: Final = task_decorator("match_step", MATCH_STEP, "step(state, params, actions) -> bool")
#: ``score(state, params, points)`` writes how many points each player has at the end; it comes with zeros.
match_score: Final = task_decorator("match_score", SCORE, "score(state, params, points)")
#: ``policy(state, params, observation, action)`` is a player that is no network: it writes its action.
match_policy: Final = task_decorator(
    "match_policy", POLICY, "policy(state, params, observation, action)"
)


@match_policy
def idle(state: Float, params: Float, observation: Float, action: Float) -> None:
    """Do nothing: all actions are 0."""
    for i in range(action.size):
        action[i] = 0.0


class Match(NamedTuple):
    """The functions of a match, compiled."""

    reset: Compiled
    observe: Compiled
    step: Compiled
    score: Compiled


class CompiledMatch(Task):
    """A game of two in compiled functions. Make one, or subclass it with ``Settings`` to register it."""

    def __init__(
        self,
        info: TaskInfo,
        *,
        reset: Callable[..., Any],
        observe: Callable[..., Any],
        step: Callable[..., Any],
        score: Callable[..., Any],
        state_size: int,
        max_steps: int,
        params: Float | tuple[float, ...] = (),
        policies: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        """Put a task together.

        Args:
            info: what the task says of itself: ``kind`` is "compiled", ``n_players`` 2, and ``n_objectives`` the
                opponents that a genome meets at most.
            reset, observe, step, score: made by `task_reset`, `match_observe`, `match_step`, `match_score`.
            state_size: length of ``state``.
            max_steps: at which a match ends if it has not by itself.
            params: constants, handed to all functions.
            policies: scripted players by name, made by `match_policy`, no more than the opponents that a genome meets.
                Where nobody else plays, they are the opponents.

        Raises:
            ConfigError: a function is not compiled by its decorator, or a size is out of range.
        """
        self.info = info
        self.match = Match(reset, observe, step, score)
        self.policies = dict(policies or {})
        self._state_size, self._max_steps = state_size, max_steps
        self._params = np.array(params, dtype=np.float64)
        self._check()

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Play against the scripted players; fitness is the mean score, in [0, 1]."""
        if not self.policies:
            raise TaskError(
                f'task {self.info.name} has no scripted players: use strategy.name = "coevolution"'
            )
        out = Evaluations.empty(len(networks), self.info)
        scores = self.play_scripted(networks, keys.episodes(self.info.episodes), out)
        for j, name in enumerate(self.policies):
            out.objectives[:, j] = scores[name]
        if len(networks):
            out.fitness[:] = np.mean(list(scores.values()), axis=0)
        out.validation[:] = out.fitness
        return out

    def against(self, opponents: Opponents) -> Task:
        """Return the task of playing against ``opponents``."""
        return _Against(self, opponents)

    def play_scripted(
        self, networks: NetworkSlice, episodes: UInt64Array, out: Evaluations
    ) -> dict[str, Float]:
        """Play against each scripted player.

        Args:
            networks: (n,).
            episodes: (e,) the keys that the resets get.
            out: (n,) steps and flags are written.

        Returns:
            (n,) the mean score against each, by its name.
        """
        found = {}
        for name, policy in self.policies.items():
            result = self.play(networks, None, episodes, policy)
            found[name] = result.scores[:, 0]
            out.steps += result.steps
            out.flags |= result.flags
        return found

    def play(
        self,
        networks: NetworkSlice,
        others: NetworkSlice | None,
        episodes: UInt64Array,
        policy: Compiled = idle,
    ) -> MatchResults:
        """Play every network against every other, or, without others, against one scripted player.

        Args:
            networks: (n,).
            others: (m,) opponents; None: the policy is.
            episodes: (e,) the keys that the resets get.
            policy: a scripted player.

        Returns:
            (n, m) scores, and (n,) steps and flags.
        """
        n, m = len(networks), 1 if others is None else len(others)
        info, opposite = self.info, networks if others is None else others
        parameters = RolloutParameters(
            self._params,
            episodes,
            self._max_steps,
            info.ticks,
            networks.scaling,
            networks.layout.custom,
            False,
        )
        scratch = MatchScratch(
            tick_state(networks.max_slots, networks.max_edges),
            tick_state(opposite.max_slots, opposite.max_edges),
            np.zeros(self._state_size),
            np.zeros((2, info.n_inputs)),
            np.zeros((2, info.n_outputs)),
            np.zeros(2),
        )
        out = MatchResults(np.zeros((n, m)), np.zeros(n, np.int64), np.zeros(n, np.int64))
        play(
            networks.batch,
            opposite.batch,
            others is None,
            self.match.reset,
            self.match.observe,
            self.match.step,
            self.match.score,
            policy,
            parameters,
            scratch,
            out,
        )
        return out

    def _check(self) -> None:
        name, info = self.info.name, self.info
        decorators = ("task_reset", "match_observe", "match_step", "match_score")
        for function, decorator in zip(self.match, decorators, strict=True):
            require_made_by(decorator, function, name)
        for policy in self.policies.values():
            require_made_by("match_policy", policy, name)
        if info.n_players != 2:
            raise ConfigError(f"task {name}: info.n_players must be 2, came {info.n_players}")
        if info.reward_modulation:
            raise ConfigError(f"task {name}: a match has no rewards: leave out reward_modulation")
        for what, value, least in (
            ("state_size", self._state_size, 0),
            ("max_steps", self._max_steps, 1),
            ("info.episodes", info.episodes, 1),
            ("info.ticks", info.ticks, 1),
            ("info.n_objectives", info.n_objectives, max(1, len(self.policies))),
        ):
            if value < least:
                raise ConfigError(f"task {name}: {what} must be {least} or more, came {value}")
        if self._params.ndim != 1:
            raise ConfigError(
                f"task {name}: params must be a list of numbers, came shape {self._params.shape}"
            )


class _Against(Task):
    """A match against given opponents. Fitness is the performance rating, objective j the score against opponent j."""

    def __init__(self, match: CompiledMatch, opponents: Opponents) -> None:
        self.info, self._match, self._opponents = match.info, match, opponents

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Play every network against every opponent."""
        out = Evaluations.empty(len(networks), self.info)
        opponents = self._opponents
        episodes = keys.episodes(self.info.episodes)
        found = self._match.play(networks, opponents.networks, episodes)
        out.steps[:], out.flags[:] = found.steps, found.flags
        out.objectives[:, : opponents.ratings.size] = found.scores
        performance_ratings(found.scores, opponents.ratings, out.fitness)
        out.validation[:] = out.fitness
        return out
