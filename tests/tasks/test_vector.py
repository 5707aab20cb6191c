"""Vector tasks: functions of weights and biases in gene order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from task_networks import KEYS, linear, slice_of
from task_toys import describe, reciprocal, shifted_sphere

from tweann.errors import ConfigError
from tweann.genes import Flag
from tweann.genome import Genome
from tweann.kernels.ids import FIRST_OUTPUT
from tweann.tasks.base import EvaluationKeys, TaskInfo, names
from tweann.tasks.vector import VectorTask


def vector(values: list[float]) -> Genome:
    """Return a genome without inputs whose biases are the values."""
    d = len(values)
    nothing = np.zeros(0, np.int64)
    return Genome(
        n_inputs=0,
        n_outputs=d,
        node_id=FIRST_OUTPUT + np.arange(d),
        activation=("identity",) * d,
        aggregation=("sum",) * d,
        bias=np.array(values),
        source=nothing,
        target=nothing.copy(),
        weight=np.zeros(0),
        enabled=np.zeros(0, np.bool_),
    )


def sphere(d: int, solved_at: float | None = None) -> VectorTask:
    info = TaskInfo("sphere", 1, "vector", inputs=(), outputs=names("x", d))
    return VectorTask(info, shifted_sphere, params=[0.5], solved_at=solved_at)


def test_the_biases_are_the_vector() -> None:
    task = sphere(3, solved_at=-0.01)
    genomes = [vector([1.0, 2.0, 3.0]), vector([0.5, 0.5, 0.5])]
    found = task.evaluate(slice_of(task, *genomes), KEYS)
    assert found.fitness == pytest.approx([-(0.25 + 2.25 + 6.25), 0.0])
    assert found.solved.tolist() == [False, True]
    assert found.validation.tolist() == found.fitness.tolist()
    assert found.steps.tolist() == [1, 1]


def test_weights_come_before_biases() -> None:
    info = TaskInfo(
        "first", 1, "vector", inputs=("a", "b"), outputs=("y",), descriptor=(("d", 0, 1),)
    )
    task = VectorTask(info, describe)
    found = task.evaluate(slice_of(task, linear(task, [4.0, 5.0], bias=6.0)), KEYS)
    assert found.fitness[0] == 4.0 + 10.0 * 5.0 + 100.0 * 6.0
    assert 0.0 <= found.descriptor[0, 0] < 1.0


def test_the_key_is_the_same_for_all_genomes_and_comes_from_seed_and_generation() -> None:
    info = TaskInfo("noise", 1, "vector", (), names("x", 3), descriptor=(("d", 0, 1),))
    task = VectorTask(info, describe)
    both = slice_of(task, vector([0.0, 0.0, 0.0]), vector([1.0, 1.0, 1.0]))
    drawn = [
        task.evaluate(both, keys).descriptor[:, 0].tolist()
        for keys in (EvaluationKeys(1), EvaluationKeys(1), EvaluationKeys(2), EvaluationKeys(1, 1))
    ]
    assert all(a == b for a, b in drawn)
    assert drawn[0] == drawn[1]
    assert len({a for a, _ in drawn}) == 3


def test_a_score_that_is_no_number_is_a_failure_with_a_reason() -> None:
    task = sphere(2)
    found = task.evaluate(slice_of(task, vector([1e200, 0.0]), vector([0.0, 0.0])), KEYS)
    assert math.isnan(found.fitness[0])
    assert found.flags.tolist() == [Flag.INVALID, 0]
    assert "sphere" in found.reasons[0]


def test_a_descriptor_that_is_no_number_is_a_failure_with_a_reason() -> None:
    info = TaskInfo("reciprocal", 1, "vector", (), ("x",), descriptor=(("d", 0, 1),))
    task = VectorTask(info, reciprocal)
    found = task.evaluate(slice_of(task, vector([2.0]), vector([0.0])), KEYS)
    assert found.fitness[0] == 2.0
    assert math.isnan(found.fitness[1])
    assert found.flags.tolist() == [0, Flag.INVALID]
    assert "descriptor" in found.reasons[1]


def test_a_function_that_is_not_compiled_is_refused() -> None:
    info = TaskInfo("sphere", 1, "vector", (), ("x",))
    with pytest.raises(
        ConfigError, match="expected a function made by @task_vector, came <function"
    ):
        VectorTask(info, lambda values, params, key, out: None)


def test_parameters_are_a_list() -> None:
    info = TaskInfo("sphere", 1, "vector", (), ("x",))
    with pytest.raises(ConfigError, match=r"params must be a list of numbers, came shape \(1, 1\)"):
        VectorTask(info, shifted_sphere, params=np.ones((1, 1)))
