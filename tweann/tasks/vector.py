"""Vector tasks: functions of a genome's weights and biases, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tweann.errors import ConfigError
from tweann.genes import Float, Int
from tweann.kernels._jit import VECTOR
from tweann.kernels.rollout import RolloutResults, evaluate_vectors
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, TaskInfo
from tweann.tasks.compiled import NOT_ASKED, Compiled, require_made_by, task_decorator
from tweann.tasks.shared import SharedEvaluation, SharingTask

#: ``function(values, params, key, out)``; ``out`` comes as zeros and leaves with [0] fitness, [1] not 0 if solved,
#: then the descriptor, then the objectives.
task_vector: Final = task_decorator("task_vector", VECTOR, "function(values, params, key, out)")


class VectorTask(SharingTask):
    """A compiled function of weights, then biases, in gene order.

    With no inputs and d outputs, as such tasks mostly have, the vector is the d biases of the outputs: it has
    no scaling and no activation.
    """

    def __init__(
        self,
        info: TaskInfo,
        function: Compiled,
        *,
        params: Sequence[float] | Float = (),
        solved_at: float | None = None,
    ) -> None:
        """Put a task together.

        Args:
            info: what the task says of itself; ``kind`` is "vector", ``outputs`` name the values.
            function: made by `task_vector`.
            params: constants, handed to the function.
            solved_at: the fitness that counts as solved; None: the function says.

        Raises:
            ConfigError: ``function`` is not compiled by its decorator, or ``params`` are no list.
        """
        require_made_by("task_vector", function, info.name)
        self.info, self._function, self._solved_at = info, function, solved_at
        self._params = np.array(params, dtype=np.float64)
        if self._params.ndim != 1:
            raise ConfigError(
                f"task {info.name}: params must be a list of numbers, came shape {self._params.shape}"
            )

    def evaluation(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation:
        """Call the function for every genome, with the same key."""
        result = Evaluations.empty(len(networks), self.info)
        genes = networks.genes
        out = RolloutResults(
            result.fitness,
            result.solved,
            result.steps,
            result.flags,
            result.descriptor,
            result.objectives,
            NOT_ASKED,
        )
        key = keys.episodes(1)[0]
        finite = list[bool]()

        def run(claims: Int) -> None:
            values = np.empty(genes.node_id.shape[1] + genes.source.shape[1])
            score = np.empty(2 + result.descriptor.shape[1] + result.objectives.shape[1])
            finite.append(
                evaluate_vectors(
                    genes,
                    networks.blocks,
                    claims,
                    self._function,
                    self._params,
                    key,
                    values,
                    score,
                    out,
                )
            )

        def finish() -> None:
            reason = f"task {self.info.name}: the score is not a finite number"
            result.settle(all(finite), reason, self._solved_at)

        return SharedEvaluation(result, (run,), finish)
