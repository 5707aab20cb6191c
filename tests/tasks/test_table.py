"""Table tasks made of arrays: losses, parts, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from task_networks import KEYS, linear, random_linear, slice_of

from tweann.errors import ConfigError, TaskError
from tweann.genes import Flag, Float
from tweann.genome import Genome
from tweann.tasks.base import TaskInfo, names
from tweann.tasks.table import LOSSES, Rows, TableTask

N_INPUTS, N_OUTPUTS = 3, 2


def rows(n: int, seed: int) -> Rows:
    """Return random inputs, and as targets one of two classes."""
    rng = np.random.default_rng(seed)
    return Rows(rng.normal(size=(n, N_INPUTS)), np.eye(N_OUTPUTS)[rng.integers(0, N_OUTPUTS, n)])


def table(loss: str = "cross_entropy", n: int = 70, **options: Any) -> TableTask:
    info = TaskInfo(
        "numbers",
        1,
        "table",
        names("x", N_INPUTS),
        names("y", N_OUTPUTS),
        output_activation="identity",
    )
    return TableTask(info, *rows(n, 0), loss=loss, **options)


def outputs(genome: Genome, part: Rows) -> Float:
    network = genome.network()
    return np.array([network.activate(row) for row in np.asarray(part.inputs)])


def expected_fitness(loss: str, found: Float, targets: Float) -> float:
    """Return the fitness by the formulas, with numpy."""
    if loss == "cross_entropy":
        shares = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
        return float(np.log((shares * targets).sum(axis=1)).mean())
    errors = targets - found
    if loss == "mean_squared_error":
        return float(-(errors**2).mean())
    if loss == "squared":
        return float(len(found) - (errors**2).sum())
    return float((len(found) - np.abs(errors).sum()) ** 2)


@pytest.mark.parametrize("n", [1, 5, 32, 33, 70])
@pytest.mark.parametrize("loss", LOSSES)
def test_fitness_is_the_formula(loss: str, n: int) -> None:
    task = table(loss, n)
    genomes = [random_linear(task, seed) for seed in range(3)]
    found = task.evaluate(slice_of(task, *genomes), KEYS)
    part = rows(n, 0)
    expected = [
        expected_fitness(loss, outputs(genome, part), np.asarray(part.targets))
        for genome in genomes
    ]
    assert found.fitness == pytest.approx(expected, rel=1e-10)
    assert found.validation.tolist() == found.fitness.tolist()
    assert found.steps.tolist() == [n] * 3


def test_validation_rows_choose_the_champion_and_leave_fitness_alone() -> None:
    validation = rows(20, 1)
    task = table(validation=validation, test=rows(10, 2))
    genome = random_linear(task, 4)
    found = task.evaluate(slice_of(task, genome), KEYS)
    without = table().evaluate(slice_of(task, genome), KEYS)
    expected = expected_fitness(
        "cross_entropy", outputs(genome, validation), np.asarray(validation.targets)
    )
    assert found.fitness[0] == without.fitness[0]
    assert found.validation[0] == pytest.approx(expected)


def test_predictions_are_the_networks_outputs_row_by_row() -> None:
    test = rows(41, 2)
    task = table(test=test)
    genome = random_linear(task, 5)
    predicted = task.predictions(slice_of(task, genome), "test")
    assert predicted == pytest.approx(outputs(genome, test))


def test_solved_is_a_share_of_rows_right() -> None:
    part = rows(70, 0)
    genome = random_linear(table(), 6)
    right = outputs(genome, part).argmax(axis=1) == np.asarray(part.targets).argmax(axis=1)
    share = right.mean()
    assert 0.0 < share < 1.0
    for wanted, solved in ((share - 0.001, True), (share + 0.001, False)):
        task = table(solved_share=wanted)
        assert task.evaluate(slice_of(task, genome), KEYS).solved[0] == solved
    assert not table().evaluate(slice_of(table(), genome), KEYS).solved[0]


def test_errors_too_large_for_a_number_fail_that_genome_alone() -> None:
    task = table("mean_squared_error", validation=rows(5, 1))
    genomes = [linear(task, np.full(6, 1e200)), random_linear(task, 1)]
    found = task.evaluate(slice_of(task, *genomes), KEYS)
    assert math.isnan(found.fitness[0])
    assert math.isnan(found.validation[0])
    assert np.isfinite(found.fitness[1])
    assert found.flags.tolist() == [Flag.INVALID, 0]
    assert "numbers" in found.reasons[0]


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (
            np.ones((4, 2)),
            np.ones((4, 2)),
            r"inputs of shape \(n, 3\).* came \(4, 2\) in the train part",
        ),
        (np.ones((4, 3)), np.ones((5, 2)), r"targets of shape \(n, 2\).* came \(5, 2\)"),
        (np.ones((4, 3)), np.ones(4), r"targets of shape \(n, 2\).* came \(4,\)"),
        (np.ones((0, 3)), np.ones((0, 2)), "n >= 1"),
        (1.0, 2.0, r"came \(\)"),
        ([[0, 0, math.inf]], [[0, 1]], "inputs of the train part: row 0, column 2 is inf"),
        ([[0, 0, 0]], [[0, math.nan]], "targets of the train part: row 0, column 1 is nan"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(inputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        TableTask(table().info, inputs, targets, loss="squared")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "crossentropy"}, "no loss 'crossentropy', did you mean 'cross_entropy'"),
        ({"solved_share": 0.0}, "solved_share must lie in"),
        ({"solved_share": 1.5}, "solved_share must lie in"),
        ({"loss": "mean_squared_error", "solved_share": 0.5}, "no row is ever right"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        table(**options)
