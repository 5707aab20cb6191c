"""The threads that run the core's own kernels: breeding and speciation."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from time import perf_counter
from typing import Final

#: A slice that takes less than that is not worth another thread: handing it over takes 100 µs and more.
_SLICE_SECONDS: Final = 0.0003
#: What an item is taken to cost until it has been measured, in seconds: a child of a small genome.
_GUESS: Final = 1e-6
#: By how much the cost of an item may rise from one measurement to the next, so that a pause of the machine is forgotten.
_RISE: Final = 1.1


class Workers:
    """Runs a function over slices of [0, n), each on a thread; kernels release the GIL.

    The cost of an item is measured, so slices differ from run to run; they never change a result, since randomness is
    keyed by genome.

    Args:
        n: how many threads, the caller's included.
        least_seconds: what a slice has to take to be worth a thread.
    """

    def __init__(self, n: int = 1, least_seconds: float = _SLICE_SECONDS) -> None:
        self.n = n
        self._least_seconds = least_seconds
        self._executor = ThreadPoolExecutor(n - 1) if n > 1 else None
        self._costs: dict[str, float] = {}  # seconds an item, by kind of work

    def run(self, work: str, function: Callable[[int, int], None], n: int) -> None:
        """Call ``function(start, stop)`` for slices that cover [0, n), and wait for all.

        Args:
            work: what is done, so that its cost is known next time.
            function: a slice of it.
            n: how many items there are.
        """
        if self._executor is None:
            function(0, n)
            return
        cost = self._costs.get(work)
        seconds = n * (_GUESS if cost is None else cost)
        slices = max(1, min(self.n, int(seconds / self._least_seconds)))
        stop, futures = n, list[Future[None]]()
        if slices > 1:
            edges = [n * i // slices for i in range(slices + 1)]
            stop, submit = edges[1], self._executor.submit
            futures = [submit(function, start, end) for start, end in pairwise(edges[1:])]
        began = perf_counter()
        try:
            function(0, stop)
            if stop:
                found = (perf_counter() - began) / stop
                self._costs[work] = found if cost is None else min(found, _RISE * cost)
        finally:
            if futures:
                wait(futures)  # whatever happens: nobody may still write when this returns
        for future in futures:
            future.result()

    def close(self) -> None:
        """End the threads. Idempotent."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None


def usable_cores() -> int:
    """Return how many cores this process may use: those it is bound to, not all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
