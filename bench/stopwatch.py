"""Where the time of a run goes, by wrapping functions that are looked up by name."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib import import_module
from time import perf_counter
from typing import Any, Self

#: The kernels that a generation calls, by where their callers look them up.
KERNELS: Mapping[str, str] = {
    "tweann.pool:breed": "breed",
    "tweann.tasks.table:evaluate_table": "decode and evaluate",
    "tweann.tasks.compiled:rollout": "decode and evaluate",
    "tweann.species:first_compatible": "speciate",
    "tweann.species:found_species": "speciate",
    "tweann.species:distances": "speciate",
    "tweann.strategies.generational:plan_generation": "select",
    "tweann.strategies.generational:select_generation": "select",
    "tweann.strategies.generational:follow_species": "select",
    "tweann.lineage:record_selection": "select",
}


class Stopwatch:
    """Times functions while it is open. What a timed function spends in another one counts for the other.

    Args:
        places: "module:name" or "module:Class.name" of each function, with the label that its time goes to.

    Attributes:
        own: seconds by label, without those of timed functions called by it.
        whole: seconds by label, with them.
        calls: by label.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._undo: list[tuple[Any, str, Any]] = []
        self._local = threading.local()
        self._lock = threading.Lock()
        self.own: dict[str, float] = defaultdict(float)
        self.whole: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def __enter__(self) -> Self:
        for place, label in self._places.items():
            module, _, path = place.partition(":")
            owner: Any = import_module(module)
            *parts, name = path.split(".")
            for part in parts:
                owner = getattr(owner, part)
            original = getattr(owner, name)
            self._undo.append((owner, name, original))
            setattr(owner, name, self._timed(original, label))
        return self

    def __exit__(self, *_: object) -> None:
        while self._undo:
            setattr(*self._undo.pop())

    def _timed(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        def timed(*args: Any, **keywords: Any) -> Any:
            stack: list[float] = self._local.__dict__.setdefault("stack", [])
            stack.append(0.0)
            began = perf_counter()
            try:
                return function(*args, **keywords)
            finally:
                spent = perf_counter() - began
                inner = stack.pop()
                if stack:
                    stack[-1] += spent
                with self._lock:
                    self.own[label] += spent - inner
                    self.whole[label] += spent
                    self.calls[label] += 1

        return timed
