"""Table tasks: rows of inputs and targets, evaluated side by side in lanes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tweann.errors import ConfigError, TaskError
from tweann.genes import Float, Int
from tweann.kernels.claims import new_claims
from tweann.kernels.lanes import LANES, lane_state
from tweann.kernels.table import (
    Loss,
    Table,
    TableParameters,
    TableResults,
    evaluate_table,
    pack_rows,
    predict_table,
)
from tweann.network import NetworkSlice, decode_parameters, network_shape
from tweann.tasks.base import EvaluationKeys, Evaluations, TaskInfo
from tweann.tasks.shared import SharedEvaluation, SharingTask

#: The losses by name.
LOSSES: Final = {loss.name.lower(): loss for loss in Loss}


class Rows(NamedTuple):
    """A part of a table: (n, n_inputs) and (n, n_outputs)."""

    inputs: ArrayLike
    targets: ArrayLike


class TableTask(SharingTask):
    """Rows of inputs and targets; every row meets a network at the beginning of time."""

    def __init__(
        self,
        info: TaskInfo,
        inputs: ArrayLike,
        targets: ArrayLike,
        *,
        loss: str,
        validation: Rows | None = None,
        test: Rows | None = None,
        solved_share: float | None = None,
    ) -> None:
        """Put a task together.

        Args:
            info: what the task says of itself; ``kind`` is "table".
            inputs: (n, n_inputs) finite numbers, n >= 1.
            targets: (n, n_outputs); for "cross_entropy" 1 for the right class and 0 for the others.
            loss: a name of `LOSSES`; what fitness it gives: see `Loss`.
            validation: rows that choose the champion; None: the fitness does.
            test: rows that neither evolution nor the choice of the champion ever sees.
            solved_share: the share of rows, in (0, 1], that must be right for "solved"; None: none is.

        Raises:
            ConfigError: an unknown loss, or a share that has no meaning.
            TaskError: arrays of wrong shapes, or with values that are not finite.
        """
        if loss not in LOSSES:
            close = difflib.get_close_matches(str(loss), LOSSES, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise ConfigError(
                f"task {info.name}: no loss {loss!r}{hint} (known: {', '.join(LOSSES)})"
            )
        if solved_share is not None and (
            not 0.0 < solved_share <= 1.0 or LOSSES[loss] == Loss.MEAN_SQUARED_ERROR
        ):
            raise ConfigError(
                f"task {info.name}: solved_share must lie in (0, 1], and no row is ever right with "
                f"loss 'mean_squared_error'; came {solved_share} with {loss!r}"
            )
        self.info, self._loss = info, LOSSES[loss]
        given = {"train": Rows(inputs, targets), "validation": validation, "test": test}
        #: The parts of the table by name: "train", and "validation" and "test" where they exist.
        self.parts: Mapping[str, Table] = {
            name: self._packed(name, rows) for name, rows in given.items() if rows is not None
        }
        n_rows = self.parts["train"].n_rows
        shares = np.arange(n_rows + 1) / n_rows
        # beyond the last: none is ever solved
        self._n_solved = int((shares < (np.inf if solved_share is None else solved_share)).sum())

    def evaluation(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation:
        """Evaluate every network on all training rows, and on the validation rows."""
        del keys  # nothing is random
        n, n_rows = len(networks), self.parts["train"].n_rows
        result = Evaluations.empty(n, self.info)
        finite = list[bool]()
        train = TableResults(result.fitness, np.empty(n, np.int64), result.flags, result.solved)

        def run_train(claims: Int) -> None:
            finite.append(self._run(networks, "train", train, claims))

        passes: list[Callable[[Int], object]] = [run_train]
        validation = None
        if "validation" in self.parts:
            validation = _table_results(n)
            passes.append(partial(self._run, networks, "validation", validation))
            n_rows += self.parts["validation"].n_rows

        def finish() -> None:
            reason = f"task {self.info.name}: the sum of errors is not a finite number"
            result.settle(all(finite), reason)
            result.steps.fill(n_rows * self.info.ticks)
            if validation is not None:
                found = validation.fitness
                worst = np.where(np.isfinite(found), found, -np.inf)
                result.validation[:] = np.where(np.isnan(result.fitness), np.nan, worst)

        return SharedEvaluation(result, passes, finish)

    def results(self, networks: NetworkSlice, part: str) -> TableResults:
        """Return what one part of the table says of networks."""
        out = _table_results(len(networks))
        self._run(networks, part, out, new_claims(len(networks)))
        return out

    def _run(self, networks: NetworkSlice, part: str, out: TableResults, claims: Int) -> bool:
        return evaluate_table(
            networks.genes,
            networks.blocks,
            claims,
            network_shape(networks.layout),
            decode_parameters(networks.layout),
            self.parts[part],
            self._parameters(networks),
            out,
        )

    def predictions(self, networks: NetworkSlice, part: str) -> Float:
        """Return (n_rows, n_outputs), what the slice's first network says of each row of one part."""
        table = self.parts[part]
        out = np.empty((table.n_rows, self.info.n_outputs))
        state = lane_state(networks.max_slots, networks.max_edges, table.inputs.shape[2])
        p, single = self._parameters(networks), networks.single_state()
        predict_table(networks.batch, table, p, state, single, out)
        return out

    def _parameters(self, networks: NetworkSlice) -> TableParameters:
        return TableParameters(
            int(self._loss),
            self.info.ticks,
            self._n_solved,
            networks.scaling,
            networks.layout.custom,
        )

    def _packed(self, part: str, rows: Rows) -> Table:
        inputs = np.array(rows.inputs, dtype=np.float64)
        targets = np.array(rows.targets, dtype=np.float64)
        n = len(inputs) if inputs.ndim else 0
        for what, array, columns in (
            ("inputs", inputs, self.info.n_inputs),
            ("targets", targets, self.info.n_outputs),
        ):
            if array.shape != (n, columns) or n == 0:
                raise TaskError(
                    f"task {self.info.name}: expected {what} of shape (n, {columns}) with the same n >= 1 "
                    f"as the inputs have, came {array.shape} in the {part} part"
                )
            if not np.isfinite(array).all():
                row, column = np.argwhere(~np.isfinite(array))[0]
                raise TaskError(
                    f"task {self.info.name}: {what} of the {part} part: row {row}, column {column} "
                    f"is {array[row, column]}, expected a finite number"
                )
        # A small table fills its lanes; a wide block of zeros would be computed for nothing.
        return pack_rows(inputs, targets, min(LANES, -(-n // 4) * 4))


def _table_results(n: int) -> TableResults:
    whole = np.empty((2, n), np.int64)
    return TableResults(np.empty(n), whole[0], whole[1], np.empty(n, np.bool_))
