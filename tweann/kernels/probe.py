"""``python -m tweann.kernels.probe``: compiles one kernel and prints what the compiler makes of this machine.

For ``tweann doctor``, which runs it in a process of its own: on a processor that lacks an instruction the
process dies, and no exception could tell of it.
"""

from __future__ import annotations

import json
import math
import os
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from llvmlite import binding

from tweann.kernels._jit import kernel


@kernel
def _double(x: float) -> float:
    return x + x


def probe() -> dict[str, Any]:
    """Compile a kernel, check what it computes, and return what is known of compiler and cache.

    Raises:
        ArithmeticError: the compiled kernel computes something else.
    """
    start = perf_counter()
    computed = _double(math.pi)
    seconds = perf_counter() - start
    if computed != 2 * math.pi:
        raise ArithmeticError(f"a compiled kernel gave {computed}, expected {2 * math.pi}")
    stats = getattr(_double, "stats", None)  # a plain function where NUMBA_DISABLE_JIT is set
    folder = None if stats is None else Path(stats.cache_path)
    features = binding.get_host_cpu_features()
    return {
        "numba": version("numba"),
        "compiled": stats is not None,
        "seconds": seconds,
        "cache_hit": stats is not None and bool(stats.cache_hits),
        "cache_folder": None if folder is None else str(folder),
        "cache_writable": folder is not None and os.access(folder, os.W_OK),
        "cpu": os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name(),
        "features": sorted(name for name, present in features.items() if present),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe()) + "\n")
