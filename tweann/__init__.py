"""tweann evolves neural networks: their topology and weights.

    import tweann
    result = tweann.evolve(fitness_function, n_inputs=2, n_outputs=1, seed=1)
    result = tweann.run("examples/xor.toml")
    result.champion.network().activate([0.0, 1.0])

Names are imported when they are first used, so that ``import tweann`` loads neither numba nor pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tweann.config import Config as Config
    from tweann.config import load as load_config
    from tweann.errors import ConfigError as ConfigError
    from tweann.errors import FormatError as FormatError
    from tweann.errors import GenomeError as GenomeError
    from tweann.errors import MissingExtraError as MissingExtraError
    from tweann.errors import PluginError as PluginError
    from tweann.errors import StorageError as StorageError
    from tweann.errors import TaskError as TaskError
    from tweann.errors import TweannError as TweannError
    from tweann.evolution import Evolution as Evolution
    from tweann.genome import Genome as Genome
    from tweann.hookspecs import hookimpl as hookimpl
    from tweann.learner import Learner as Learner
    from tweann.network import Network as Network
    from tweann.records import Champion as Champion
    from tweann.records import GenerationReport as GenerationReport
    from tweann.records import Result as Result
    from tweann.records import RunInfo as RunInfo
    from tweann.registry import Registry as Registry
    from tweann.running import evolve as evolve
    from tweann.running import run as run
    from tweann.tasks.base import Evaluation as Evaluation

    __version__: str

__all__ = [
    "Champion",
    "Config",
    "ConfigError",
    "Evaluation",
    "Evolution",
    "FormatError",
    "GenerationReport",
    "Genome",
    "GenomeError",
    "Learner",
    "MissingExtraError",
    "Network",
    "PluginError",
    "Registry",
    "Result",
    "RunInfo",
    "StorageError",
    "TaskError",
    "TweannError",
    "__version__",
    "evolve",
    "hookimpl",
    "load_config",
    "run",
]

#: Where each name comes from: the module, and the name there.
_HOMES: Final[dict[str, tuple[str, str]]] = {
    "Champion": ("tweann.records", "Champion"),
    "Config": ("tweann.config", "Config"),
    "ConfigError": ("tweann.errors", "ConfigError"),
    "Evaluation": ("tweann.tasks.base", "Evaluation"),
    "Evolution": ("tweann.evolution", "Evolution"),
    "FormatError": ("tweann.errors", "FormatError"),
    "GenerationReport": ("tweann.records", "GenerationReport"),
    "Genome": ("tweann.genome", "Genome"),
    "GenomeError": ("tweann.errors", "GenomeError"),
    "Learner": ("tweann.learner", "Learner"),
    "MissingExtraError": ("tweann.errors", "MissingExtraError"),
    "Network": ("tweann.network", "Network"),
    "PluginError": ("tweann.errors", "PluginError"),
    "Registry": ("tweann.registry", "Registry"),
    "Result": ("tweann.records", "Result"),
    "RunInfo": ("tweann.records", "RunInfo"),
    "StorageError": ("tweann.errors", "StorageError"),
    "TaskError": ("tweann.errors", "TaskError"),
    "TweannError": ("tweann.errors", "TweannError"),
    "evolve": ("tweann.running", "evolve"),
    "hookimpl": ("tweann.hookspecs", "hookimpl"),
    "load_config": ("tweann.config", "load"),
    "run": ("tweann.running", "run"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'tweann' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value  # so that the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tweann")
    except PackageNotFoundError:  # found on the path, not installed
        return "0+unknown"
