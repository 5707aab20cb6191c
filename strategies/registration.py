"""Registers the built-in strategies. Imports nothing else, so that listing them is cheap."""

from __future__ import annotations

from collections.abc import Mapping

from tweann.hookspecs import hookimpl


@hookimpl
def tweann_strategies() -> Mapping[str, str]:
    return {
        "coevolution": "tweann.strategies.coevolution:Coevolution",
        "generational": "tweann.strategies.generational:Generational",
        "islands": "tweann.strategies.islands:Islands",
        "map-elites": "tweann.strategies.map_elites:MapElites",
        "novelty": "tweann.strategies.novelty:Novelty",
        "portfolio": "tweann.strategies.portfolio:Portfolio",
        "racing": "tweann.strategies.racing:Racing",
        "nsga2": "tweann.strategies.nsga2:Nsga2",
        "random-search": "tweann.strategies.random_search:RandomSearch",
        "steady-state": "tweann.strategies.steady_state:SteadyState",
        "weights-only": "tweann.strategies.weights_only:WeightsOnly",
    }
