"""Matches in Python: any function of two networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tweann.errors import ConfigError, TaskError
from tweann.genes import Flag
from tweann.kernels.elo import performance_ratings
from tweann.network import Network, NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Opponents, Task, TaskInfo
from tweann.tasks.python import chosen_names, text_of


class PythonMatch(Task):
    """A game ``function(first, second) -> float`` of two networks: 1 if the first wins, ½ for a draw, 0 if it loses.

    Each pair plays twice, once from either seat. Both networks are reset before. An exception, or a result outside
    [0, 1], makes that one evaluation fail, with the reason.
    """

    def __init__(
        self,
        function: Callable[[Network, Network], float],
        n_inputs: int,
        n_outputs: int,
        *,
        name: str = "",
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        output_activation: str = "tanh",
        n_opponents: int = 8,
        serial: bool = True,
    ) -> None:
        """Put a task together.

        Args:
            function: what to call.
            n_inputs, n_outputs: sizes of the networks.
            name: of the task; by default the function's.
            inputs, outputs: names; by default x0, x1, … and y0, y1, …
            output_activation: where the configuration does not say.
            n_opponents: whom a genome meets, at most.
            serial: False says that the function is safe to call from several threads at once.

        Raises:
            ConfigError: ``function`` cannot be called, or sizes and names do not agree.
        """
        name = name or str(getattr(function, "__name__", type(function).__name__))
        if not callable(function):
            raise ConfigError(
                f"expected a game, called with two networks, came {type(function).__name__} {function!r:.60}"
            )
        if n_opponents < 1:
            raise ConfigError(f"task {name}: n_opponents must be 1 or more, came {n_opponents}")
        self.info = TaskInfo(
            name=name,
            version=1,
            kind="python",
            inputs=chosen_names("inputs", inputs, "x", n_inputs, 0),
            outputs=chosen_names("outputs", outputs, "y", n_outputs, 1),
            output_activation=output_activation,
            n_objectives=n_opponents,
            serial=serial,
            n_players=2,
        )
        self._function = function

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Raise: there is nobody to play against."""
        del networks, keys
        raise TaskError(
            f'task {self.info.name} needs somebody to play against: use strategy.name = "coevolution"'
        )

    def against(self, opponents: Opponents) -> Task:
        """Return the task of playing against ``opponents``."""
        return _Against(self.info, self.score, opponents)

    def score(self, one: Network, other: Network) -> float:
        """Return the mean score of ``one`` over two matches, in [0, 1].

        Raises:
            TaskError: the function returned something else than a number in [0, 1].
        """
        first = self._match(one, other)
        return 0.5 * (first + 1.0 - self._match(other, one))

    def _match(self, first: Network, second: Network) -> float:
        first.reset()
        second.reset()
        found = float(self._function(first, second))
        if not 0.0 <= found <= 1.0:
            raise TaskError(f"expected a score in [0, 1], came {found}")
        return found


class _Against(Task):
    """A match against given opponents; fitness is the performance rating."""

    def __init__(
        self, info: TaskInfo, score: Callable[[Network, Network], float], opponents: Opponents
    ) -> None:
        self.info, self._score, self._opponents = info, score, opponents

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Play every network against every opponent."""
        del keys  # the function's randomness is its own affair
        out = Evaluations.empty(len(networks), self.info)
        others = list(self._opponents.networks)  # of this thread alone
        reasons = {}
        for k, network in enumerate(networks):
            try:
                for j, other in enumerate(others):
                    out.objectives[k, j] = self._score(network, other)
            except Exception as error:  # user code may raise anything
                out.objectives[k] = 0.0
                reasons[k] = f"{type(error).__name__}: {text_of(error)}".rstrip(": ")
        performance_ratings(out.objectives, self._opponents.ratings, out.fitness)
        out.validation[:] = out.fitness
        for k, reason in reasons.items():
            out.fail(k, Flag.RAISED, reason)
        return out
