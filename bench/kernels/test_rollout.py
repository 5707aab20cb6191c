"""Rollouts: steps of simulation and network together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from networks import Size, random_genome, slice_of
from numpy.random import Generator

from tweann.tasks import CompiledTask, EvaluationKeys
from tweann.tasks.double_pole import DoublePole
from tweann.tasks.single_pole import SinglePole

Per = Callable[[Callable[[], object], int, str], None]


def tasks() -> list[CompiledTask]:
    return [SinglePole(SinglePole.Settings()), DoublePole(DoublePole.Settings(max_steps=1000))]


@pytest.mark.parametrize("hidden", [4, 50])
@pytest.mark.parametrize("task", tasks(), ids=lambda task: str(task.info.name))
def test_steps(per: Per, rng: Generator, task: CompiledTask, hidden: int) -> None:
    size = Size(hidden, min(4, task.info.n_inputs), 4, task.info.n_inputs, task.info.n_outputs)
    networks = slice_of([random_genome(rng, size) for _ in range(200)])
    keys = EvaluationKeys(1)
    steps = int(task.evaluate(networks, keys).steps.sum())
    per(lambda: task.evaluate(networks, keys), steps, "step")
