"""What the tests of map-elites and of novelty share: small runs, and scenes whose evaluations are given."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from pools import N_INPUTS, N_OUTPUTS, Nursery
from small_runs import QUIET

from tweann.config.sections import SpeciesSettings
from tweann.evolution import Evolution
from tweann.interfaces import BreedingPlan, Strategy, StrategyContext
from tweann.layout import Layout
from tweann.pool import GenomePool
from tweann.tasks.base import TaskInfo

INPUTS, OUTPUTS = (
    tuple(f"in{i}" for i in range(N_INPUTS)),
    tuple(f"out{i}" for i in range(N_OUTPUTS)),
)
UNIT = (("x", 0.0, 1.0), ("y", 0.0, 1.0))


def context(descriptor: Any = UNIT, bias: bool = True) -> StrategyContext:
    task = TaskInfo("toy", 1, "external", INPUTS, OUTPUTS, descriptor=descriptor)
    return StrategyContext(task, SpeciesSettings(), bias)


class Scene:
    """A strategy whose children's evaluations are given."""

    def __init__(self, strategy: Strategy, d: int = 2) -> None:
        self.strategy = strategy
        self.pool = GenomePool(Layout(N_INPUTS, N_OUTPUTS), strategy.columns, n_descriptor=d)
        self.nursery = Nursery(self.pool)
        self.asks = 0

    def ask(self, n: int) -> BreedingPlan:
        plan = self.strategy.ask(self.pool.view(), n, np.random.default_rng(self.asks))
        plan.check(len(self.pool), "toy")
        self.asks += 1
        return plan

    def tell(self, fitness: Sequence[float], descriptor: Sequence[Sequence[float]]) -> list[int]:
        """Have as many children told; return who is in the pool, by birth."""
        plan = self.ask(len(fitness))
        more = len(fitness) - len(plan)  # fresh ones, as if they came from elsewhere
        brood = self.nursery.breed(
            plan.operator.tolist() + [0] * more,
            plan.parent_a.tolist() + [-1] * more,
            plan.parent_b.tolist() + [-1] * more,
            values=None if plan.values is None else np.pad(plan.values, ((0, more), (0, 0))),
        )
        brood.rows["fitness"][:] = fitness
        brood.rows["descriptor"][:] = descriptor
        found = self.strategy.tell(self.pool.view(), self.pool.brood_view(brood))
        self.pool.keep(found.index, found.role, found.columns, brood)
        ids: list[int] = self.pool.rows["id"].tolist()
        return ids


def maze(strategy: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Return the configuration of a short run in the maze."""
    return QUIET | {
        "run": {"seed": 5, "generations": 12, "stop_when_solved": False},
        "task": {"name": "maze", "max_steps": 60},
        "strategy": {"population": 40} | strategy,
    } | sections  # fmt: skip


def trace(evolution: Evolution) -> list[Any]:
    """Return all that tells one run from another: members, their columns, figures, and state."""
    view = evolution.pool.view()
    own = sorted(evolution.strategy.columns)
    state = {key: np.asarray(value).tolist() for key, value in evolution.strategy.state().items()}
    return [
        [view.genome(row).genome_id for row in range(len(view))],
        [view[name].tobytes() for name in ("id", "fitness", "descriptor", *own)],
        repr(dict(evolution.strategy.metrics())),
        state,
    ]


def run(sections: dict[str, Any], generations: int = 12) -> list[Any]:
    with Evolution(sections) as evolution:
        for _ in range(generations):
            evolution.step()
        return trace(evolution)


def interrupted(sections: dict[str, Any], at: int, generations: int = 12) -> list[Any]:
    """Return the trace of a run whose strategy is replaced on the way by one made from its state alone."""
    with Evolution(sections) as evolution:
        for _ in range(at):
            evolution.step()
        old = evolution.strategy
        config = evolution.config
        there = StrategyContext(evolution.task.info, config.species, config.genome.bias)
        new = type(old)(config.strategy.settings, there)
        new.restore(copy.deepcopy(dict(old.state())))
        evolution._strategy = evolution._breeder._strategy = new
        for _ in range(generations - at):
            evolution.step()
        return trace(evolution)
