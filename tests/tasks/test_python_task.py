"""Python tasks: what a fitness function may return, and that nothing it does ends a run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from task_networks import KEYS, linear, random_linear, slice_of

from tweann.errors import ConfigError
from tweann.genes import Flag
from tweann.network import Network
from tweann.tasks.base import Evaluation
from tweann.tasks.python import PythonTask


class BadRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BadStrError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str")


def result_of(value: Any, **options: Any) -> Any:
    """Return the evaluations of a task whose function returns ``value``."""
    task = PythonTask(lambda network: value, 2, 1, name="constant", **options)
    return task.evaluate(slice_of(task, random_linear(task, 1)), KEYS)


@pytest.mark.parametrize("value", [3, 2.5, np.float32(2.5), np.int64(3), np.float64(-1.5), -0.0])
def test_any_number_is_a_fitness(value: Any) -> None:
    found = result_of(value)
    assert found.fitness.tolist() == found.validation.tolist() == [float(value)]
    assert found.flags[0] == 0
    assert found.reasons == {}


@pytest.mark.parametrize(
    "value",
    [
        "0.5",
        None,
        True,
        np.True_,
        [1.0],
        np.array(1.0),
        np.array([1.0, 2.0]),
        1 + 2j,
        np.complex128(1),
        math.nan,
        math.inf,
        -np.inf,
        10**400,
        BadRepr(),
        Evaluation(math.nan),
        Evaluation("1"),  # type: ignore[arg-type]
        Evaluation(None),  # type: ignore[arg-type]
        Evaluation(1.0, solved=1),  # type: ignore[arg-type]
        Evaluation(1.0, steps=-1),
        Evaluation(1.0, steps=2**70),
        Evaluation(1.0, n_evaluations=0),
        Evaluation(1.0, n_evaluations=1.5),  # type: ignore[arg-type]
        Evaluation(1.0, descriptor=(0.5,)),
        Evaluation(1.0, objectives=None),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_finite_number_is_a_failure_with_a_reason(value: Any) -> None:
    found = result_of(value, solved_at=0.0)
    assert math.isnan(found.fitness[0])
    assert math.isnan(found.validation[0])
    assert found.flags[0] == Flag.INVALID
    assert found.reasons[0]
    assert not found.solved[0]
    assert found.n_evaluations[0] == 1


def test_the_reason_says_what_was_expected_and_what_came() -> None:
    assert result_of("high").reasons[0] == (
        "expected the result to be a number or an Evaluation, came str 'high'"
    )
    assert result_of(math.nan).reasons[0] == (
        "expected the result to be a finite number, came float nan"
    )
    assert result_of(Evaluation(1.0, descriptor=(1.0, 2.0))).reasons[0] == (
        "expected 0 values of descriptor, came 2"
    )


@pytest.mark.parametrize(
    "error", [ValueError("too long"), KeyError("x"), BadStrError(), MemoryError()]
)
def test_an_exception_fails_that_evaluation_alone(error: Exception) -> None:
    calls = []

    def function(network: Network) -> float:
        calls.append(network)
        if len(calls) == 2:
            raise error
        return 1.0

    task = PythonTask(function, 2, 1)
    found = task.evaluate(slice_of(task, *(random_linear(task, k) for k in range(3))), KEYS)
    assert found.fitness[[0, 2]].tolist() == [1.0, 1.0]
    assert math.isnan(found.fitness[1])
    assert found.flags.tolist() == [0, Flag.RAISED, 0]
    assert found.reasons[1].startswith(type(error).__name__)


def test_an_interruption_is_not_swallowed() -> None:
    def function(network: Network) -> float:
        raise KeyboardInterrupt

    task = PythonTask(function, 2, 1)
    with pytest.raises(KeyboardInterrupt):
        task.evaluate(slice_of(task, random_linear(task, 1)), KEYS)


def test_all_of_an_evaluation_is_taken_over() -> None:
    told = Evaluation(2.0, (0.25, 0.75), (1.0,), solved=True, steps=40, n_evaluations=3)
    bounds = (("x", 0.0, 1.0), ("y", 0.0, 1.0))
    found = result_of(told, descriptor=bounds, n_objectives=1)
    assert found.fitness[0] == 2.0
    assert found.descriptor.tolist() == [[0.25, 0.75]]
    assert found.objectives.tolist() == [[1.0]]
    assert found.solved[0]
    assert (found.steps[0], found.n_evaluations[0]) == (40, 3)


@pytest.mark.parametrize(("threshold", "solved"), [(2.0, True), (2.1, False), (None, False)])
def test_a_threshold_says_what_is_solved(threshold: float | None, solved: bool) -> None:
    assert bool(result_of(2.0, solved_at=threshold).solved[0]) is solved


def test_the_function_gets_the_genomes_network_at_the_beginning_of_time() -> None:
    states = []

    def function(network: Network) -> float:
        states.append(network.state.tolist())
        return float(network.activate([0.5, -0.25])[0])

    task = PythonTask(function, 2, 1)
    genomes = [linear(task, [1.0, 2.0], bias=0.1), linear(task, [-1.0, 0.5])]
    for _ in range(2):
        found = task.evaluate(slice_of(task, *genomes), KEYS)
        expected = [g.network().activate([0.5, -0.25])[0] for g in genomes]
        assert found.fitness.tolist() == expected
    assert all(not any(state) for state in states)


def test_it_is_serial_unless_the_user_says_otherwise() -> None:
    assert PythonTask(abs, 1, 1).info.serial  # type: ignore[arg-type]
    assert not PythonTask(abs, 1, 1, serial=False).info.serial  # type: ignore[arg-type]


def test_names_are_made_up_where_none_are_given() -> None:
    info = PythonTask(abs, 2, 1).info  # type: ignore[arg-type]
    assert (info.name, info.inputs, info.outputs) == ("abs", ("x0", "x1"), ("y0",))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, 2, 1), {}, "expected a fitness function"),
        ((abs, -1, 1), {}, "n_inputs to be an integer >= 0, came -1"),
        ((abs, 2, 0), {}, "n_outputs to be an integer >= 1, came 0"),
        ((abs, 2.0, 1), {}, "n_inputs"),
        ((abs, 2, 1), {"inputs": ("a",)}, "2 different names of inputs, came a"),
        ((abs, 2, 1), {"inputs": ("a", "a")}, "2 different names"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PythonTask(*arguments, **options)
