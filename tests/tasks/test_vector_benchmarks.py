"""Arm repertoire and sphere with linear projection, against numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from task_networks import KEYS, linear, slice_of

from tweann.genes import Float
from tweann.genome import Genome
from tweann.layout import Layout
from tweann.seed import seed_network
from tweann.tasks import Evaluations, Task
from tweann.tasks.arm import Arm
from tweann.tasks.sphere import SphereProjection


def evaluated(task: Task, *vectors: list[float] | Float) -> Evaluations:
    seed = seed_network(Layout(0, task.info.n_outputs), np.zeros(0, np.int64), "identity")
    columns: dict[str, Any] = {name: getattr(seed, name) for name in Genome.__dataclass_fields__}
    genomes = [Genome(**{**columns, "bias": np.array(vector)}) for vector in vectors]
    return task.evaluate(slice_of(task, *genomes), KEYS)


def vectors(n: int, bound: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-bound, bound), min_size=n, max_size=n)


@PROPERTY
@given(vectors(6, 20.0))
def test_the_sphere_is_the_published_one(x: list[float]) -> None:
    """Fontaine et al. (2020), section 5.1, scaled to 0 at the corner -5.12 and to 100 at 0.4 · 5.12."""
    found = evaluated(SphereProjection(SphereProjection.Settings(dimensions=6)), x)
    v, shift = np.array(x), 0.4 * 5.12
    worst = 6 * (-5.12 - shift) ** 2
    raw = np.square(v - shift).sum()
    assert found.fitness[0] == pytest.approx((raw - worst) / (0.0 - worst) * 100.0)
    clipped = np.array([5.12 / c if abs(c) > 5.12 else c for c in x])
    assert found.descriptor[0] == pytest.approx([clipped[:3].sum(), clipped[3:].sum()])


def test_the_sphere_is_solved_at_its_optimum_alone() -> None:
    task = SphereProjection(SphereProjection.Settings(dimensions=3))
    found = evaluated(task, np.full(3, 2.048), np.zeros(3), np.full(3, -5.12))
    assert found.fitness == pytest.approx([100.0, 100.0 * (1.0 - (2.048 / 7.168) ** 2), 0.0])
    assert found.solved.tolist() == [True, False, False]
    assert task.info.descriptor == (("first_half", -5.12, 5.12), ("second_half", -10.24, 10.24))


@PROPERTY
@given(vectors(5, 4.0))
def test_the_arm_is_a_chain_of_equal_links(angles: list[float]) -> None:
    found = evaluated(Arm(Arm.Settings(joints=5, encoding="vector")), angles)
    place, heading = np.zeros(2), 0.0
    for angle in angles:
        heading += angle
        place += np.array([math.cos(heading), math.sin(heading)]) / 5.0
    assert found.descriptor[0] == pytest.approx(0.5 + 0.5 * place, abs=1e-12)
    assert found.fitness[0] == pytest.approx(-np.var(angles), abs=1e-12)
    assert (found.descriptor >= -1e-12).all()
    assert (found.descriptor <= 1.0 + 1e-12).all()


def test_a_network_sees_the_target_and_gives_the_angles() -> None:
    task = Arm(Arm.Settings(joints=2, target=(0.25, 0.75)))
    weights = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]  # the second angle is tanh of the target's x, of π
    found = task.evaluate(slice_of(task, linear(task, weights)), KEYS)
    angle = math.pi * math.tanh(0.25)
    x, y = 1.0 + math.cos(angle), math.sin(angle)
    assert found.descriptor[0] == pytest.approx([0.5 + 0.25 * x, 0.5 + 0.25 * y], abs=1e-6)
    assert found.fitness[0] == pytest.approx(-((angle / 2.0) ** 2), abs=1e-5)
    assert found.steps.tolist() == [1]


def test_a_straight_arm_ends_at_the_right() -> None:
    found = evaluated(Arm(Arm.Settings(joints=4, encoding="vector")), np.zeros(4))
    assert found.descriptor[0].tolist() == [1.0, 0.5]
    assert found.fitness[0] == 0.0
