"""Small runs without files, for tests: evaluated outside, or by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tweann.evolution import Evolution
from tweann.genome import Genome
from tweann.network import Network
from tweann.tasks.python import PythonTask

QUIET: dict[str, Any] = {"storage": {"url": "memory:"}, "observers": {}}


def external(**sections: Any) -> Evolution:
    """Return a run that is evaluated outside: 2 inputs, 1 output, 10 genomes."""
    base = {
        "task": {"name": "external", "n_inputs": 2, "n_outputs": 1},
        "strategy": {"population": 10},
    }
    return Evolution(QUIET | base | sections)


def python(
    function: Callable[[Network], Any], task: dict[str, Any] | None = None, **sections: Any
) -> Evolution:
    """Return a run of 10 genomes for a function of networks of 2 inputs and 1 output."""
    sections = QUIET | {"strategy": {"population": 10}} | sections
    return Evolution(sections, task=PythonTask(function, 2, 1, **(task or {})))


def xor(**sections: Any) -> Evolution:
    return Evolution(QUIET | {"task": {"name": "xor"}, "strategy": {"population": 30}} | sections)


def size(network: Network) -> float:
    return float(network.n_connections)


def weight(network: Network) -> float:
    return float(network.activate([1.0, 0.0])[0])


def members(evolution: Evolution) -> list[Genome]:
    view = evolution.pool.view()
    return [view.genome(i) for i in range(len(view))]


def members_of_size(n_inputs: int, n_outputs: int) -> list[Genome]:
    evolution = external(task={"name": "external", "n_inputs": n_inputs, "n_outputs": n_outputs})
    evolution.tell([1.0] * len(evolution.ask()))
    return members(evolution)
