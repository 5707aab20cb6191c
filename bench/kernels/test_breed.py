"""Breeding: cloning, each mutation operator by itself, crossover, all of a usual child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from breeding import LIKE_NEAT_PYTHON, NO_MUTATION, Litters, family
from networks import FIFTY_SPARSE
from numpy.random import Generator

from tweann.genes import Operator
from tweann.kernels.mutation import N_PLAIN, MutationOperator

Per = Callable[[Callable[[], object], int, str], None]
N = 100
#: What lets every operator find a place.
CHOICES = {"activations": ["tanh", "sin"], "aggregations": ["sum", "max"]}


# Those of optional columns have a pass of their own, `tweann.kernels.enrich`.
@pytest.mark.parametrize(
    "operator", list(MutationOperator)[:N_PLAIN], ids=lambda o: str(o.name).lower()
)
def test_mutation_operator(per: Per, rng: Generator, operator: MutationOperator) -> None:
    mutation: dict[str, Any] = {**NO_MUTATION, f"{operator.name.lower()}_rate": 1.0}
    litters = Litters(family(rng, FIFTY_SPARSE, N), mutation, CHOICES)
    per(lambda: litters.breed(Operator.MUTATE), N, "child, copied and mutated")
    assert litters.counts[operator, 0] > 0


@pytest.mark.parametrize(
    "operator",
    [Operator.CLONE, Operator.CROSSOVER, Operator.MUTATE, Operator.CROSSOVER_MUTATE],
    ids=lambda operator: str(operator.name).lower(),
)
def test_breed(per: Per, rng: Generator, operator: Operator) -> None:
    litters = Litters(family(rng, FIFTY_SPARSE, N), LIKE_NEAT_PYTHON)
    per(lambda: litters.breed(operator), N, "child")
