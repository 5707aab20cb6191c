"""Tasks: what networks are evolved for. The kinds that one can build on, and those that are built in.

Names are imported when they are first used, so that listing tasks loads no compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tweann.kernels.random import next_below as next_below
    from tweann.kernels.random import next_normal as next_normal
    from tweann.kernels.random import next_uniform as next_uniform
    from tweann.tasks.base import ChampionTest as ChampionTest
    from tweann.tasks.base import Evaluation as Evaluation
    from tweann.tasks.base import EvaluationKeys as EvaluationKeys
    from tweann.tasks.base import Evaluations as Evaluations
    from tweann.tasks.base import Opponents as Opponents
    from tweann.tasks.base import Task as Task
    from tweann.tasks.base import TaskInfo as TaskInfo
    from tweann.tasks.compiled import CompiledTask as CompiledTask
    from tweann.tasks.compiled import task_function as task_function
    from tweann.tasks.compiled import task_observe as task_observe
    from tweann.tasks.compiled import task_reset as task_reset
    from tweann.tasks.compiled import task_score as task_score
    from tweann.tasks.compiled import task_step as task_step
    from tweann.tasks.external import External as External
    from tweann.tasks.match import CompiledMatch as CompiledMatch
    from tweann.tasks.match import match_observe as match_observe
    from tweann.tasks.match import match_policy as match_policy
    from tweann.tasks.match import match_score as match_score
    from tweann.tasks.match import match_step as match_step
    from tweann.tasks.python import PythonTask as PythonTask
    from tweann.tasks.python_match import PythonMatch as PythonMatch
    from tweann.tasks.settings import TaskSettings as TaskSettings
    from tweann.tasks.table import Rows as Rows
    from tweann.tasks.table import TableTask as TableTask
    from tweann.tasks.vector import VectorTask as VectorTask
    from tweann.tasks.vector import task_vector as task_vector

__all__ = [
    "ChampionTest",
    "CompiledMatch",
    "CompiledTask",
    "Evaluation",
    "EvaluationKeys",
    "Evaluations",
    "External",
    "Opponents",
    "PythonMatch",
    "PythonTask",
    "Rows",
    "TableTask",
    "Task",
    "TaskInfo",
    "TaskSettings",
    "VectorTask",
    "match_observe",
    "match_policy",
    "match_score",
    "match_step",
    "next_below",
    "next_normal",
    "next_uniform",
    "task_function",
    "task_observe",
    "task_reset",
    "task_score",
    "task_step",
    "task_vector",
]

#: The module that each name comes from.
_HOMES: Final[dict[str, str]] = {
    "ChampionTest": "tweann.tasks.base",
    "CompiledMatch": "tweann.tasks.match",
    "CompiledTask": "tweann.tasks.compiled",
    "Evaluation": "tweann.tasks.base",
    "EvaluationKeys": "tweann.tasks.base",
    "Evaluations": "tweann.tasks.base",
    "External": "tweann.tasks.external",
    "Opponents": "tweann.tasks.base",
    "PythonMatch": "tweann.tasks.python_match",
    "PythonTask": "tweann.tasks.python",
    "Rows": "tweann.tasks.table",
    "TableTask": "tweann.tasks.table",
    "Task": "tweann.tasks.base",
    "TaskInfo": "tweann.tasks.base",
    "TaskSettings": "tweann.tasks.settings",
    "VectorTask": "tweann.tasks.vector",
    "match_observe": "tweann.tasks.match",
    "match_policy": "tweann.tasks.match",
    "match_score": "tweann.tasks.match",
    "match_step": "tweann.tasks.match",
    "next_below": "tweann.kernels.random",
    "next_normal": "tweann.kernels.random",
    "next_uniform": "tweann.kernels.random",
    "task_function": "tweann.tasks.compiled",
    "task_observe": "tweann.tasks.compiled",
    "task_reset": "tweann.tasks.compiled",
    "task_score": "tweann.tasks.compiled",
    "task_step": "tweann.tasks.compiled",
    "task_vector": "tweann.tasks.vector",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tweann.tasks' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # so that the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
