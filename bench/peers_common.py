"""What all comparisons with neat-python share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from neat_side import Translation
from numpy.random import Generator

from tweann.genome import Genome
from tweann.tasks import EvaluationKeys

KEYS = EvaluationKeys(1)


class Disagreement(Exception):  # noqa: N818 - says what it is
    """The two sides do not do the same work, so that a ratio would mean nothing."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    long_rounds: int  #: of work that takes neat-python seconds
    genomes: int
    population: int
    generations: int
    quick: bool = False


FULL = Scale(rounds=12, long_rounds=3, genomes=100, population=1000, generations=100)
QUICK = Scale(rounds=2, long_rounds=1, genomes=10, population=100, generations=10, quick=True)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share."""

    scale: Scale
    plain: bool  #: a plain tanh on neat-python's side

    def rng(self) -> Generator:
        """Return the same generator for each measurement, so that any of them can be run alone."""
        return np.random.default_rng(1)

    def translation(self, genome: Genome, **settings: Any) -> Translation:
        """Return the way to neat-python."""
        return Translation(genome, **{"plain": self.plain, **settings})
