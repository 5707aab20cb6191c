"""The compiler and its flags: the only module that imports numba.

``error_model="numpy"``: the default puts a branch on every division and blocks SIMD. ``nogil``: slices
of a population run on all threads. ``cache``: a kernel is compiled once for all processes to come.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types as numba_types
from numba.core.cpu import CPUTargetOptions
from numba.extending import intrinsic


def _drop_stale_cache() -> None:
    """Delete cached kernels, and tasks, that are older than the newest source file of this folder.

    numba compares a kernel with its own file only, so an edit in one that it calls would go unnoticed.
    """
    folder = Path(__file__).parent
    newest = max(source.stat().st_mtime for source in folder.glob("*.py"))
    for index in (*folder.glob("__pycache__/*.nbi"), *folder.glob("../tasks/__pycache__/*.nbi")):
        with suppress(FileNotFoundError):  # another process, begun at the same time, was faster
            if index.stat().st_mtime < newest:
                index.unlink()


_drop_stale_cache()

types: Any = numba_types  # its type hints do not cover what we build signatures with

F = TypeVar("F", bound=Callable[..., Any])


#: Without numba's memory runtime, which no kernel needs since none allocates: a third less time in those that pass
#: tuples of arrays on, whose counters it would move up and down. Its own sorting is compiled so.
_LEAN: dict[str, Any] = {"_nrt": False} if hasattr(CPUTargetOptions, "_nrt") else {}
_FLAGS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}
#: Multiply-adds contracted where the processor has them: the forward pass takes 1.6 to 1.9 times as long without.
#: Results then repeat on one kind of processor, not across kinds. No other flag: they break the handling of NaN.
_FUSED: dict[str, Any] = {"fastmath": {"contract"}}


def kernel(function: F) -> F:
    """Compile ``function`` on first use, without the GIL, cached on disk; it must not allocate.

    Copying an array to a slice counts as allocating, for its error message: write a loop.
    """
    return cast(F, numba.njit(**_FLAGS, **_LEAN)(function))


def inlined_kernel(function: F) -> F:
    """Like `kernel`, and part of whatever kernel calls it.

    For short work on genes: a call moves a hundred words, since every array of the table is passed with its shape,
    and that was more than half the time of a mutation.
    """
    return cast(F, numba.njit(forceinline=True, **_FLAGS, **_LEAN)(function))


def allocating_kernel(function: F) -> F:
    """Like `kernel`, for a function that makes arrays, or a user's, which may."""
    return cast(F, numba.njit(**_FLAGS)(function))


def fused_kernel(function: F) -> F:
    """Like `kernel`, with multiply-adds contracted."""
    return cast(F, numba.njit(**_FLAGS, **_FUSED, **_LEAN)(function))


def inlined_fused_kernel(function: F) -> F:
    """Like `inlined_kernel`, with multiply-adds contracted."""
    return cast(F, numba.njit(forceinline=True, **_FLAGS, **_FUSED, **_LEAN)(function))


def is_cached(function: Callable[..., Any]) -> bool:
    """Return whether an earlier process has compiled a kernel for this version of Python."""
    compiled: Any = function
    folder = Path(compiled.stats.cache_path)
    stem = f"{Path(compiled.py_func.__code__.co_filename).stem}.{compiled.py_func.__name__}-"
    tag = f"py{sys.version_info.major}{sys.version_info.minor}"
    return any(tag in index.name for index in folder.glob(f"{stem}*.nbi"))


_ARRAY = types.float64[::1]
RESET = types.void(_ARRAY, _ARRAY, types.uint64)
OBSERVE = types.void(_ARRAY, _ARRAY, _ARRAY)
STEP = types.Tuple((types.float64, types.boolean))(_ARRAY, _ARRAY, _ARRAY)
SCORE = types.void(_ARRAY, _ARRAY, _ARRAY)
ACTIVATION = types.float64(types.float64)
VECTOR = types.void(_ARRAY, _ARRAY, types.uint64, _ARRAY)
_PLAYERS = types.float64[:, ::1]
MATCH_OBSERVE = types.void(_ARRAY, _ARRAY, _PLAYERS)
MATCH_STEP = types.boolean(_ARRAY, _ARRAY, _PLAYERS)
POLICY = types.void(_ARRAY, _ARRAY, _ARRAY, _ARRAY)


class Callback:
    """A compiled function of a fixed signature that kernels call through a pointer.

    numba's own object works out its type anew in each call of a kernel that gets it, which takes 40 µs under
    the GIL; this one knows it.

    Attributes:
        address: of the machine code, C calling convention.
        cache_hits: 1 if an earlier process had compiled it.
    """

    def __init__(self, function: Callable[..., Any], signature: Any) -> None:
        compiled: Any = numba.cfunc(signature, cache=True, error_model="numpy")(function)
        self._compiled = compiled  # owns the machine code
        self._numba_type_ = types.FunctionType(signature)
        self.address: int = compiled.address
        self.cache_hits: int = compiled.cache_hits
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        """Call the function that was compiled, in plain Python."""
        return self.__wrapped__(*args)  # type: ignore[attr-defined] # set by update_wrapper

    def __reduce__(self) -> str:
        """Pickle as a name at the top level of its module, as functions do: code is never sent."""
        return str(self.__wrapped__.__qualname__)  # type: ignore[attr-defined]

    def __wrapper_address__(self) -> int:
        """Return the address, as numba's protocol for first-class functions asks."""
        return self.address


def callback(signature: Any) -> Callable[[Callable[..., Any]], Callback]:
    """Compile a user's function to a pointer of one fixed signature.

    Kernels call it through the pointer, so they are compiled once for all tasks, and the function
    itself once for all processes. (A jitted function passed as an argument would compile the whole
    kernel again in every process.)
    """
    return lambda function: Callback(function, signature)


@intrinsic
def _call_pointer(_context: Any, address: Any, s: Any) -> Any:
    """Call the compiled ``float64(float64)`` function at ``address`` (uint64)."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        double = context.get_value_type(types.float64)
        function = ir.FunctionType(double, [double])
        pointer = builder.inttoptr(arguments[0], function.as_pointer())
        return builder.call(pointer, [arguments[1]])

    return types.float64(types.uint64, types.float64), generate


call_pointer = cast("Callable[[Any, float], float]", _call_pointer)


@intrinsic
def _fetch_add(_context: Any, counter: Any, n: Any) -> Any:
    """Add ``n`` to ``counter[0]``, int64, in one step that no thread can split, and return what it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.atomic_rmw("add", array.data, arguments[1], "monotonic")

    return types.int64(counter, types.int64), generate


fetch_add = cast("Callable[[Any, int], int]", _fetch_add)


@intrinsic
def _popcount(_context: Any, bits: Any) -> Any:
    """Return how many bits of a uint64 are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


popcount = cast("Callable[[Any], int]", _popcount)
