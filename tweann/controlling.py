"""Which settings of a run may change as it goes on, within which bounds, and what a change does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tweann import assembly
from tweann.breeding import Breeder
from tweann.config import Config
from tweann.controls import Bounds, ControlDesk
from tweann.evaluating import Evaluator
from tweann.genes import MUTATIONS
from tweann.kernels.mutation import N_PLAIN
from tweann.layout import Layout
from tweann.workers import Workers

#: The power of mutation may become so many times as large, or as small.
POWER_RANGE: Final = 100.0
#: Names of the settings that are no rates.
POWER: Final = "mutation.weight_power"
CHILDREN: Final = "strategy.children"
WORKERS: Final = "evaluation.workers"


def make_desk(
    config: Config, layout: Layout, breeder: Breeder, evaluator: Evaluator, workers: Workers
) -> ControlDesk:
    """Return the settings that may change: rates, power, children asked for at a time, and workers in use."""
    bounds: dict[str, Bounds] = {}
    rates = assembly.mutation_rates(config, layout).tolist()
    operators = [
        (k, f"mutation.{name}_rate")
        for k, name in enumerate(MUTATIONS)
        # a second pass that is not there, or has no place, cannot be switched on
        if k < N_PLAIN or rates[k] > 0.0
    ]
    for k, name in operators:
        bounds[name] = Bounds(0.0, 1.0, rates[k])
    power = config.mutation.weight_power
    if power > 0.0:
        bounds[POWER] = Bounds(power / POWER_RANGE, power * POWER_RANGE, power)
    population: int = config.strategy.settings.population  # type: ignore[attr-defined] # checked on loading
    bounds[CHILDREN] = Bounds(1.0, population, population, whole=True)
    n_workers = assembly.count_workers(config)
    bounds[WORKERS] = Bounds(1.0, n_workers, n_workers, whole=True)

    def apply(values: Mapping[str, float]) -> None:
        for k, name in operators:
            rates[k] = values[name]
        breeder.steer(rates, values.get(POWER, power), int(values[CHILDREN]))
        evaluator.limit = int(values[WORKERS])
        workers.n = int(values[WORKERS])

    return ControlDesk(bounds, apply)
