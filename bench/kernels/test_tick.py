"""The forward pass: batches, one after the other and with rows in lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import FIFTY, TWO_HUNDRED, ForwardPasses, Size, random_genome, slice_of
from numpy.random import Generator

from tweann.tasks import EvaluationKeys, TableTask, TaskInfo

Per = Callable[[Callable[[], object], int, str], None]
KEYS = EvaluationKeys(1)
TICKS = 100


@pytest.mark.parametrize("recurrent", [False, True], ids=["feed-forward", "recurrent"])
@pytest.mark.parametrize("size", [FIFTY, TWO_HUNDRED], ids=lambda size: f"{size.hidden}-nodes")
def test_forward_pass_in_a_batch(per: Per, rng: Generator, size: Size, recurrent: bool) -> None:
    genomes = [random_genome(rng, size, recurrent=recurrent, weight=0.3) for _ in range(100)]
    networks = slice_of(genomes)
    task = ForwardPasses([0.1] * size.n_inputs, size.n_outputs, TICKS)
    per(lambda: task.evaluate(networks, KEYS), len(genomes) * TICKS, "network and tick")


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "relu", "sin", "gaussian", "gelu"])
def test_forward_pass_by_activation(per: Per, rng: Generator, activation: str) -> None:
    genomes = [random_genome(rng, FIFTY, activation=activation) for _ in range(100)]
    networks = slice_of(genomes)
    task = ForwardPasses([0.1] * FIFTY.n_inputs, FIFTY.n_outputs, TICKS)
    per(lambda: task.evaluate(networks, KEYS), len(genomes) * TICKS, "network and tick")


@pytest.mark.parametrize("n_rows", [4, 256])
def test_rows_in_lanes(per: Per, rng: Generator, n_rows: int) -> None:
    inputs: Any = rng.normal(size=(n_rows, FIFTY.n_inputs))
    info = TaskInfo(
        name="rows",
        version=1,
        kind="table",
        inputs=("x",) * FIFTY.n_inputs,
        outputs=("y",) * FIFTY.n_outputs,
    )
    task = TableTask(info, inputs, np.zeros((n_rows, FIFTY.n_outputs)), loss="mean_squared_error")
    networks = slice_of([random_genome(rng, FIFTY) for _ in range(100)])
    per(lambda: task.evaluate(networks, KEYS), 100 * n_rows, "network and row")
