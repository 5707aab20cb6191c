"""What runs on a worker of a dask cluster; it needs tweann, not dask."""

from __future__ import annotations

import time
import traceback
import zlib
from collections import OrderedDict
from typing import Final

from tweann.remote import Assignment, evaluate_piece, load, pack_evaluations, warm_up

#: Tasks that a worker remembers: several runs may share a cluster.
MAX_LOADED: Final = 4

_loaded: OrderedDict[tuple[int, int], Assignment] = OrderedDict()


def keep(payload: bytes) -> bytes:
    """Return what it is given: as a task of its own, dask can make it again where a worker is lost."""
    return payload


def evaluate(payload: bytes, piece: bytes) -> tuple[str, float, bytes | str]:
    """Evaluate a piece.

    Returns:
        ("done", seconds, evaluations), ("failed", 0, why), where a genome is to blame; ("error", 0, why) or
        ("unloadable", 0, why) where none is.
    """
    try:
        assignment = _assignment(payload)
    except Exception as error:
        return "unloadable", 0.0, str(error)
    began = time.perf_counter()
    try:
        found = evaluate_piece(assignment, piece)
    except MemoryError:
        return "failed", 0.0, "out of memory"
    except Exception:
        return "error", 0.0, traceback.format_exc()[-2000:]
    except BaseException as error:  # SystemExit: user code must not end the worker
        return "failed", 0.0, f"{type(error).__name__}: {error}".rstrip(": ")
    return "done", time.perf_counter() - began, pack_evaluations(found)


def _assignment(payload: bytes) -> Assignment:
    """Return the assignment, loaded once in this process."""
    key = (zlib.crc32(payload), len(payload))
    found = _loaded.get(key)
    if found is None:
        found = load(payload)
        warm_up(found)
        _loaded[key] = found
        while len(_loaded) > MAX_LOADED:
            _loaded.popitem(last=False)
    return found
