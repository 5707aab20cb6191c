"""Contracts for plugins: classes of tests that a plugin's own tests subclass.

    from tweann.testing import StrategyContract

    class TestGreedy(StrategyContract):
        strategy = Greedy

Each test is a promise that the core, or the user, relies on; its docstring says which, and its message what to
change. The contracts need pytest, which comes with the extra ``test``; it is imported when one is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tweann.errors import MissingExtraError

if TYPE_CHECKING:
    from tweann.testing.backend import BackendContract as BackendContract
    from tweann.testing.storage import StorageContract as StorageContract
    from tweann.testing.strategy import StrategyContract as StrategyContract
    from tweann.testing.task import TaskContract as TaskContract

__all__ = ["BackendContract", "StorageContract", "StrategyContract", "TaskContract"]

#: The module that each contract stands in.
_HOMES: Final = {name: f"tweann.testing.{name[: -len('Contract')].lower()}" for name in __all__}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tweann.testing' has no attribute {name!r}")
    try:
        pytest = import_module("pytest")
    except ImportError as error:
        raise MissingExtraError(
            f"tweann.testing.{name} needs pytest: pip install 'tweann[test]'"
        ) from error
    if _HOMES[name] not in sys.modules:
        pytest.register_assert_rewrite(_HOMES[name])  # so that a bare assert shows its values
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # so that the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
