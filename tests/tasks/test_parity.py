"""XOR and parity: rows, both scores, and what counts as solved."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pydantic import ValidationError
from task_networks import KEYS, random_linear, slice_of

from tweann.genome import Genome
from tweann.kernels.ids import FIRST_OUTPUT, split_id
from tweann.tasks.parity import Parity, Score, Xor


def solving(task: Xor) -> Genome:
    """Return a network of one hidden step that computes XOR: h = (x0 + x1 > 1.5), x0 + x1 − 2h > 0.5."""
    n = task.info.n_inputs
    hidden = int(split_id(0, FIRST_OUTPUT, 0))
    return Genome(
        n_inputs=n,
        n_outputs=1,
        node_id=np.array([*range(n), hidden, FIRST_OUTPUT]),
        activation=("identity",) * n + ("step", "steep_sigmoid"),
        aggregation=("sum",) * (n + 2),
        bias=np.array([0.0] * n + [-1.5, -0.5]),
        source=np.array([0, 1, 0, 1, hidden]),
        target=np.array([hidden, hidden, FIRST_OUTPUT, FIRST_OUTPUT, FIRST_OUTPUT]),
        weight=np.array([1.0, 1.0, 1.0, 1.0, -2.0]),
        enabled=np.ones(5, np.bool_),
    )


def expected_fitness(genome: Genome, bits: int, constant: bool, score: Score) -> float:
    """Return the fitness by the formulas, row by row."""
    network, total = genome.network(), 0.0
    for row in itertools.product((0.0, 1.0), repeat=bits):
        network.reset()
        out = network.activate([*row, 1.0] if constant else row)[0]
        error = abs(sum(row) % 2 - out)
        total += error if score == "paper" else error**2
    right = float(2**bits) - total
    return right * right if score == "paper" else right


@pytest.mark.parametrize("score", ["paper", "squared"])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 6])
def test_fitness_is_the_formula_over_all_rows(bits: int, constant: bool, score: Score) -> None:
    task = Parity(Parity.Settings(bits=bits, constant=constant, score=score))
    assert task.info.n_inputs == bits + constant
    for seed in range(3):
        genome = random_linear(task, seed)
        found = task.evaluate(slice_of(task, genome), KEYS)
        expected = expected_fitness(genome, bits, constant, score)
        assert found.fitness[0] == pytest.approx(expected, rel=1e-12)
        assert found.validation[0] == found.fitness[0]


@pytest.mark.parametrize("score", ["paper", "squared"])
@pytest.mark.parametrize("constant", [True, False])
def test_xor_is_solved_when_every_output_is_on_the_right_side(constant: bool, score: Score) -> None:
    task = Xor(Xor.Settings(constant=constant, score=score))
    right = solving(task)
    wrong = random_linear(task, 1)  # no network without a hidden node gets all four rows right
    found = task.evaluate(slice_of(task, right, wrong), KEYS)
    assert found.solved.tolist() == [True, False]
    assert found.fitness[0] == pytest.approx(expected_fitness(right, 2, constant, score))


def test_xor_outputs_from_tanh_are_mapped_to_0_and_1() -> None:
    task = Xor(Xor.Settings())
    scaling = slice_of(task, random_linear(task, 0), activation="tanh").scaling
    assert scaling.scale[0] * -1.0 + scaling.offset[0] == 0.0
    assert scaling.scale[0] * 1.0 + scaling.offset[0] == 1.0


def test_rows_are_in_counting_order_with_the_first_bit_counting_most() -> None:
    task = Parity(Parity.Settings(bits=3))
    table = task.parts["train"]
    rows = table.inputs.transpose(0, 2, 1).reshape(-1, 4)[:8].tolist()
    assert rows == [[*map(float, bits), 1.0] for bits in itertools.product((0, 1), repeat=3)]
    targets = table.targets.transpose(0, 2, 1).ravel()[:8].tolist()
    assert targets == [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("bits", [1, 11])
def test_the_number_of_bits_is_bounded(bits: int) -> None:
    with pytest.raises(ValidationError, match="bits"):
        Parity.Settings(bits=bits)
