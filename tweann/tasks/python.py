"""Python tasks: any function of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tweann.errors import ConfigError
from tweann.genes import Flag
from tweann.network import Network, NetworkSlice
from tweann.tasks.base import Evaluation, EvaluationKeys, Evaluations, Task, TaskInfo, names


class PythonTask(Task):
    """A function ``function(network) -> float | Evaluation``, called once for every genome.

    It gets a network of its own, at the beginning of time; in a Lamarckian run the genome inherits the weights that the
    function leaves it with. What `Network.activate` gives is not scaled. An
    exception, or a result that is no finite number, makes that one evaluation fail, with the reason.
    """

    def __init__(
        self,
        function: Callable[[Network], float | Evaluation],
        n_inputs: int,
        n_outputs: int,
        *,
        name: str = "",
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        output_activation: str = "tanh",
        solved_at: float | None = None,
        descriptor: Sequence[tuple[str, float, float]] = (),
        n_objectives: int = 0,
        serial: bool = True,
    ) -> None:
        """Put a task together.

        Args:
            function: what to call.
            n_inputs, n_outputs: sizes of the networks.
            name: of the task; by default the function's.
            inputs, outputs: names; by default x0, x1, … and y0, y1, …
            output_activation: where the configuration does not say.
            solved_at: the fitness that counts as solved; or the function says so in an `Evaluation`.
            descriptor: (name, low, high) of each dimension of the behaviour that an `Evaluation` reports.
            n_objectives: how many objectives an `Evaluation` reports.
            serial: False says that the function is safe to call from several threads at once.

        Raises:
            ConfigError: ``function`` cannot be called, or sizes and names do not agree.
        """
        name = name or str(getattr(function, "__name__", type(function).__name__))
        if not callable(function):
            raise ConfigError(
                f"expected a fitness function, called with a network, came {type(function).__name__} "
                f"{function!r:.60}"
            )
        self.info = TaskInfo(
            name=name,
            version=1,
            kind="python",
            inputs=chosen_names("inputs", inputs, "x", n_inputs, 0),
            outputs=chosen_names("outputs", outputs, "y", n_outputs, 1),
            output_activation=output_activation,
            solved="" if solved_at is None else f"a fitness of {solved_at:g}",
            descriptor=tuple(descriptor),
            n_objectives=n_objectives,
            serial=serial,
        )
        self._function, self._solved_at = function, solved_at

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Call the function for every network."""
        del keys  # the function's randomness is its own affair
        result = Evaluations.empty(len(networks), self.info)
        for k, network in enumerate(networks):
            try:
                result.put(k, self._function(network))
            except Exception as error:  # user code may raise anything
                result.fail(
                    k, Flag.RAISED, f"{type(error).__name__}: {text_of(error)}".rstrip(": ")
                )
            if networks.learned is not None:
                networks.learned[k, network.connection_genes] = network.weights
        if self._solved_at is not None:
            result.solved |= result.fitness >= self._solved_at
        return result


def chosen_names(
    what: str, given: Sequence[str], prefix: str, n: int, least: int
) -> tuple[str, ...]:
    """Return the names given, or made-up ones.

    Raises:
        ConfigError: there are fewer than ``least``, not ``n`` of them, or one comes twice.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < least:
        raise ConfigError(f"expected n_{what} to be an integer >= {least}, came {n!r}")
    chosen = tuple(given) or names(prefix, n)
    if len(chosen) != n or len(set(chosen)) != n:
        raise ConfigError(f"expected {n} different names of {what}, came {', '.join(chosen)}")
    return chosen


def text_of(error: Exception) -> str:
    """Return the message of an exception; also of one whose ``str`` raises."""
    try:
        return str(error)
    except Exception:
        return "(without a message)"
