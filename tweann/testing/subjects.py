"""What the contracts of strategies run: small evolutions on a task that is quick, and asks for all there is."""

from __future__ import annotations

import copy
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import BaseModel

from tweann.config import NoSettings
from tweann.evolution import Evolution
from tweann.genes import Int
from tweann.hookspecs import hookimpl
from tweann.interfaces import Exchange, Immigrant, State
from tweann.network import Network
from tweann.pool import PoolView
from tweann.registry import Registry
from tweann.tasks.base import Evaluation
from tweann.tasks.python import PythonTask

#: What `score` describes a network by: its two outputs.
DESCRIPTOR: Final = (("first", -1.0, 1.0), ("second", -1.0, 1.0))
N_OBJECTIVES: Final = 2
#: Columns that say where a genome lies in memory, not what it is.
_PLACES: Final = frozenset({"block"})
#: What belongs to the program, not to the object that refers to it.
_SHARED: Final = (type, ModuleType, FunctionType, BuiltinFunctionType)


def score(network: Network) -> Evaluation:
    """Return how near a network comes to 0.5 for (1, 0) and to -0.25 for (0, 1)."""
    first, second = float(network.activate([1.0, 0.0])[0]), float(network.activate([0.0, 1.0])[0])
    objectives = (-((first - 0.5) ** 2), -((second + 0.25) ** 2))
    return Evaluation(sum(objectives), descriptor=(first, second), objectives=objectives)


def importable(subject: object, what: str) -> str:
    """Return ``subject`` as "module:attribute".

    Raises:
        AssertionError: it is none that could be registered.
    """
    name = getattr(subject, "__qualname__", None)
    assert isinstance(subject, type), (
        f"expected `{what}` of the test class to be your class, came {subject!r}"
    )
    assert name is not None, f"{subject!r} has no name"
    assert "<locals>" not in name, (
        f"{name} is defined inside a function: put it at the top level of a module, "
        "since plugins are registered as 'module:Class'"
    )
    return f"{subject.__module__}:{name}"


class _OneStrategy:
    """Registers one class as a strategy."""

    def __init__(self, name: str, target: str) -> None:
        self._name, self._target = name, target

    @hookimpl
    def tweann_strategies(self) -> Mapping[str, str]:
        return {self._name: self._target}


@cache
def registry_with(name: str, target: str) -> Registry:
    """Return the installed plugins and a strategy ``name`` that stands at ``target``."""
    registry = Registry.load()
    registry.register_module(_OneStrategy(name, target), name=f"{name} under test")
    return registry


def evolution(
    strategy: type,
    settings: Mapping[str, Any],
    *,
    seed: int = 5,
    workers: int = 1,
    function: Callable[[Network], float | Evaluation] = score,
    exchange: Exchange | None = None,
    generations: int = 1_000_000,
) -> Evolution:
    """Return a run of ``strategy`` on a small task with descriptor and objectives; nothing is written."""
    name = f"contract-{strategy.__name__}"
    target = importable(strategy, "strategy")
    sections = {
        "run": {"seed": seed, "generations": generations, "stop_when_solved": False, "history": 50},
        "genome": {"max_nodes": 12, "max_connections": 30},
        "strategy": {"name": name, **settings},
        "evaluation": {"backend": "threads" if workers > 1 else "serial", "workers": workers},
        "storage": {"url": "memory:", "max_events": 50},
        "observers": {},
    }
    task = PythonTask(
        function,
        2,
        1,
        name="contract",
        descriptor=DESCRIPTOR,
        n_objectives=N_OBJECTIVES,
        serial=workers == 1,
    )
    return Evolution(sections, task=task, registry=registry_with(name, target), exchange=exchange)


def trace(run: Evolution) -> dict[str, Any]:
    """Return all that a run has computed so far, by name, to be compared; not the clock."""
    view = run.pool.view()
    found: dict[str, Any] = {
        f"column {name}": view[name].tolist() for name in run.pool.rows if name not in _PLACES
    }
    found["genomes"] = [view.genome(row).genome_id for row in range(len(view))]
    found["metrics"] = dict(run.history[-1].metrics) if run.history else {}
    found["evaluations"] = run.n_evaluations
    return found


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return the name of the first thing in which two traces differ; empty where they agree."""
    for name, value in one.items():
        if repr(value) != repr(other.get(name)):  # by text: NaN equals NaN
            return name
    return ""


def copied(state: State) -> dict[str, Any]:
    """Return a state that shares nothing with ``state``, as a checkpoint would keep it."""
    return {name: copy.deepcopy(value) for name, value in state.items()}


def same_state(one: State, other: State) -> bool:
    """Return whether two states say the same."""
    return one.keys() == other.keys() and all(
        type(value) is type(other[name])
        and np.array_equal(
            np.asarray(value),
            np.asarray(other[name]),
            equal_nan=np.asarray(value).dtype.kind == "f",
        )
        for name, value in one.items()
    )


def held_bytes(root: object) -> int:
    """Return about how much memory an object keeps alive; what belongs to the program is left out."""
    total = 0
    seen: set[int] = set()
    waiting: list[object] = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _SHARED):
            continue
        seen.add(id(thing))
        total += thing.nbytes if isinstance(thing, np.ndarray) else sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
    return total


class Echo:
    """An exchange that gives back what it got the time before, ``n`` genomes at most."""

    Settings: ClassVar[type[BaseModel]] = NoSettings

    def __init__(self, n: int) -> None:
        self.n = n
        self.n_sent = 0
        self._waiting: Sequence[Immigrant] = ()

    def n_emigrants(self, ask: int, generation: int, n_evaluations: int) -> int:
        """Return how many it takes: always as many."""
        del ask, generation, n_evaluations
        return self.n

    def swap(self, pool: PoolView, offered: Int) -> Sequence[Immigrant]:
        """Take emigrants; return those of the time before."""
        self.n_sent += len(offered)
        arrived = self._waiting
        self._waiting = [Immigrant(pool.genome(int(row)), "echo") for row in offered]
        return arrived

    def metrics(self) -> Mapping[str, float]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Let go."""
        self._waiting = ()
