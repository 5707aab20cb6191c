"""The threads that run the core's own kernels: breeding and speciation."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

#: Below that many genomes a slice, a thread costs more than it brings: a genome takes 1 to 5 µs, handing over 100.
MIN_SLICE = 256


class Workers:
    """Runs a function over slices of [0, n), each on a thread; kernels release the GIL.

    Which slices there are never changes a result: randomness is keyed by genome.
    """

    def __init__(self, n: int = 1) -> None:
        self.n = n
        self._executor = ThreadPoolExecutor(n - 1) if n > 1 else None

    def run(self, function: Callable[[int, int], None], n: int) -> None:
        """Call ``function(start, stop)`` for slices that cover [0, n), and wait for all."""
        slices = max(1, min(self.n, n // MIN_SLICE))
        if slices == 1 or self._executor is None:
            function(0, n)
            return
        edges = [n * i // slices for i in range(slices + 1)]
        futures = [
            self._executor.submit(function, edges[i], edges[i + 1]) for i in range(1, slices)
        ]
        try:
            function(edges[0], edges[1])
        finally:
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
