"""The registry: which plugins are installed, what they register, and what is wrong with them.

Built-ins come through the same door as a third party's: entry points of the group ``tweann``, each naming an
import-light module with registration hooks (`tweann.hookspecs`). What those name is imported only by
`Registry.resolve`, so that listing all plugins costs next to nothing, and a plugin that is broken hurts
only the run that selects it.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pluggy

from tweann import hookspecs
from tweann.errors import PluginError, TweannError
from tweann.hookspecs import OBSERVER_HOOKS, PROJECT, REGISTRATION_HOOKS

#: The kinds of things that plugins register.
KINDS: Final = tuple(REGISTRATION_HOOKS)

#: The kinds whose classes bring a section of the configuration with them.
KINDS_WITH_SETTINGS: Final = frozenset(
    {"strategy", "storage", "backend", "task", "exchange", "observer"}
)

OK: Final = "ok"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One thing that a plugin registers, or one entry point that could not be loaded.

    Attributes:
        kind: one of `KINDS`; empty for an entry point that could not be loaded.
        name: the name that a configuration selects it by; the entry point's where ``kind`` is empty.
        target: "module:attribute".
        distribution, version: what it was installed with; the version is empty where none is known.
        status: "ok", or what is wrong.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    status: str = OK

    @property
    def origin(self) -> str:
        """Return the distribution with its version, for messages."""
        return f"{self.distribution} {self.version}".rstrip()

    def data(self) -> dict[str, str]:
        """Return the values by name, for ``tweann plugins --json``."""
        return {name: getattr(self, name) for name in self.__slots__}


def attach(
    manager: pluggy.PluginManager, plugin: object, name: str, allowed: Sequence[str]
) -> None:
    """Register ``plugin`` with ``manager`` under ``name``, or raise and leave no trace.

    Args:
        manager: knows the specifications of `tweann.hookspecs`.
        plugin: a module or an object with hook implementations.
        name: unique in the manager.
        allowed: the hooks that may be implemented here.

    Raises:
        PluginError: a hook is misspelt, does not belong here, takes an argument that the specification
            lacks or gives one a default, is a wrapper, or there is no hook at all.
    """
    if manager.has_plugin(name):
        raise PluginError(f"a plugin {name!r} is registered already")
    try:
        try:
            manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            raise PluginError(" ".join(str(error).split())) from None
        try:
            manager.check_pending()
        except pluggy.PluginValidationError:
            raise PluginError(_unknown_hook(manager, plugin, allowed)) from None
        callers = manager.get_hookcallers(plugin) or []
        if not callers:
            raise PluginError(
                "implements no hook; mark its functions with @tweann.hookimpl, "
                f"expected one or more of {', '.join(allowed)}"
            )
        for caller in callers:
            if caller.name not in allowed:
                place = (
                    "an observer class"
                    if caller.name in OBSERVER_HOOKS
                    else "the registration module"
                )
                raise PluginError(
                    f"hook {caller.name} would never be called here: it goes into {place}"
                )
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin:
                    _check_implementation(caller.name, implementation)
    except PluginError:
        if manager.get_plugin(name) is plugin:
            # A registration that failed stays half done in pluggy 1.6.
            manager.unregister(name=name)
        raise


def _check_implementation(hook: str, implementation: pluggy.HookImpl) -> None:
    if implementation.wrapper or implementation.hookwrapper:
        raise PluginError(f"hook {hook} is a wrapper; tweann calls plain implementations only")
    if implementation.kwargnames:
        raise PluginError(
            f"hook {hook} gives a default to {', '.join(implementation.kwargnames)}; "
            "write the argument without one, pluggy 1.6 and 1.7 differ on it"
        )


def _unknown_hook(manager: pluggy.PluginManager, plugin: object, allowed: Sequence[str]) -> str:
    callers = manager.get_hookcallers(plugin) or []
    unknown = [caller.name for caller in callers if not caller.has_spec()]
    return "; ".join(f"there is no hook {name!r}{suggestion(name, allowed)}" for name in unknown)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" for a name that resembles a known one, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


class Registry:
    """All plugins of one process. Made once, then passed around; `load` finds what is installed."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._registered: dict[str, dict[str, list[Plugin]]] = {kind: {} for kind in KINDS}
        self._broken: list[Plugin] = []
        self._files: list[str] = []

    @property
    def files(self) -> tuple[str, ...]:
        """Return the one-file plugins, absolute paths, in the order in which they were registered."""
        return tuple(self._files)

    @classmethod
    def load(cls, found: Iterable[EntryPoint] | None = None) -> Registry:
        """Return a registry of the installed plugins; one that is broken is recorded, not raised.

        Args:
            found: entry points to load instead of the installed ones of the group ``tweann``.
        """
        registry = cls()
        by_name: dict[str, list[EntryPoint]] = {}
        for entry_point in entry_points(group=PROJECT) if found is None else found:
            by_name.setdefault(entry_point.name, []).append(entry_point)
        for name in sorted(by_name):
            registry._load_entry_points(by_name[name])
        return registry

    def _load_entry_points(self, group: list[EntryPoint]) -> None:
        """Load the entry points of one name: one alone is loaded, several are a clash."""
        plugins = [_entry_point_plugin(entry_point) for entry_point in group]
        if len(group) > 1:
            reason = f"the entry point {group[0].name!r} is {_taken_by(plugins)}"
            self._broken += [_with_status(plugin, reason) for plugin in plugins]
            return
        plugin = plugins[0]
        try:
            module = group[0].load()
            self._register(module, plugin)
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything
            reason = str(error) if isinstance(error, TweannError) else _what(error)
            self._broken.append(_with_status(plugin, reason))

    def register_module(
        self, module: object, *, name: str | None = None, distribution: str = "(this program)"
    ) -> None:
        """Register a module, or any object with registration hooks, of a script or a test.

        Args:
            module: has functions marked with `tweann.hookimpl`.
            name: unique in this registry; by default the module's.
            distribution: what errors and listings call its origin.

        Raises:
            PluginError: a hook is misspelt or returns no ``{name: "module:attribute"}``.
        """
        chosen = name or str(getattr(module, "__name__", type(module).__name__))
        self._register(module, Plugin("", chosen, chosen, distribution, ""))

    def register_file(self, path: str | Path) -> None:
        """Run a one-file plugin, a Python file with registration hooks, and register what they return.

        Its hooks name what stands in the file itself as ``f"{__name__}:Class"``.

        Raises:
            PluginError: there is no such file, it cannot be imported, a hook is wrong, or a name is taken;
                then nothing of it is registered.
        """
        file = os.path.abspath(path)
        if file in self._files:
            return
        try:
            module = _import_file(file)
            self._register(module, Plugin("", module.__name__, module.__name__, file, ""))
        except (Exception, SystemExit) as error:  # a stranger's file may raise anything
            reason = str(error) if isinstance(error, TweannError) else _what(error)
            raise PluginError(f"plugin {file}: {reason}") from error
        taken = [row for row in self._rows() if row.distribution == file and row.status != OK]
        if taken:
            for names in self._registered.values():
                for name, rows in list(names.items()):
                    names[name] = [row for row in rows if row.distribution != file]
                    if not names[name]:
                        del names[name]
            self._manager.unregister(name=module.__name__)
            raise PluginError(f"plugin {file}: {taken[0].status}")
        self._files.append(file)

    def _register(self, module: object, plugin: Plugin) -> None:
        """Take in all that ``module`` registers, or raise and take in nothing."""
        attach(self._manager, module, plugin.name, tuple(REGISTRATION_HOOKS.values()))
        try:
            rows = [
                Plugin(kind, name, target, plugin.distribution, plugin.version)
                for kind, hook in REGISTRATION_HOOKS.items()
                for name, target in _returned(self._manager, module, hook).items()
            ]
        except BaseException:
            self._manager.unregister(name=plugin.name)
            raise
        for row in rows:
            self._registered[row.kind].setdefault(row.name, []).append(row)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names that can be selected, sorted; clashing ones are left out."""
        return tuple(
            sorted(row.name for row in self._rows() if row.kind == kind and row.status == OK)
        )

    def plugins(self) -> list[Plugin]:
        """Return everything registered, by kind and name, then what could not be loaded."""
        rows = sorted(self._rows(), key=lambda row: (KINDS.index(row.kind), row.name))
        return rows + sorted(self._broken, key=lambda row: (row.distribution, row.name))

    def problems(self) -> list[Plugin]:
        """Return what could not be loaded or clashes: `plugins` whose status is not "ok"."""
        return [row for row in self.plugins() if row.status != OK]

    def find(self, kind: str, name: str) -> Plugin:
        """Return what is registered as ``name``; it is not imported.

        Raises:
            PluginError: nothing, or more than one thing, is registered under the name.
        """
        if kind not in KINDS:
            raise PluginError(f"unknown kind of plugin {kind!r}{suggestion(kind, KINDS)}")
        rows = [row for row in self._rows() if row.kind == kind and row.name == name]
        if not rows:
            raise PluginError(self._unknown(kind, name))
        if rows[0].status != OK:
            raise PluginError(rows[0].status)
        return rows[0]

    def resolve(self, kind: str, name: str) -> Any:
        """Import what is registered as ``name`` and return it.

        Raises:
            PluginError: nothing, or more than one thing, is registered under the name; or it cannot be
                imported; or it lacks the ``Settings`` that its kind must have.
            MissingExtraError: it needs an optional package that is not installed.
        """
        plugin = self.find(kind, name)
        module_name, _, path = plugin.target.partition(":")
        try:
            found: Any = import_module(module_name)
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except TweannError:
            raise
        except Exception as error:  # a stranger's module may raise anything
            raise PluginError(
                f"{kind} {name!r} of {plugin.origin} cannot be loaded from {plugin.target}: "
                f"{_what(error)}"
            ) from error
        if kind in KINDS_WITH_SETTINGS:
            _require_settings(plugin, found)
        return found

    def _rows(self) -> Iterable[Plugin]:
        for names in self._registered.values():
            for rows in names.values():
                clash = self._clash(rows)
                yield from (rows if clash is None else [_with_status(row, clash) for row in rows])

    def _clash(self, rows: list[Plugin]) -> str | None:
        first = rows[0]
        if len(rows) > 1:
            return f"{first.kind} {first.name!r} is {_taken_by(rows)}"
        if first.kind == "activation":
            from tweann.genes import (
                ACTIVATIONS,
            )  # late: it brings numpy, half of the cost of --help

            if first.name in ACTIVATIONS:
                return (
                    f"activation {first.name!r} of {first.origin} has the name of a built-in one; "
                    "it needs another"
                )
        return None

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        message = f"no {kind} {name!r} is registered{suggestion(name, known)}"
        message += (
            f" (known: {', '.join(known)})" if known else f" (no {kind} is registered at all)"
        )
        if not any(row.distribution == PROJECT for row in self.plugins()):
            message += (
                "; not even the built-in plugins are: tweann is not installed, only found on the "
                "path, so run `pip install -e .` in its folder"
            )
        elif self._broken:
            broken = "; ".join(f"{row.name} of {row.origin}: {row.status}" for row in self._broken)
            message += f"; it may come from a plugin that could not be loaded: {broken}"
        return message


@cache
def default_registry() -> Registry:
    """Return the registry of the installed plugins, loaded on the first call."""
    return Registry.load()


def _import_file(file: str) -> ModuleType:
    """Return the module that a Python file makes; run once in a process, also for several registries.

    Raises:
        PluginError: it is no file, or another of the same name was run before it.
    """
    stem, suffix = os.path.splitext(os.path.basename(file))
    if suffix != ".py" or not os.path.isfile(file):
        raise PluginError("expected a Python file with registration hooks, PATH.py; there is none")
    # A prefix, or `random.py` would take the place of the module that numpy imports.
    name = f"tweann_plugin_{re.sub(r'[^A-Za-z0-9_]', '_', stem)}"
    known = sys.modules.get(name)
    if known is not None:
        if known.__file__ != file:
            raise PluginError(f"{known.__file__} has the same name: rename one of the two files")
        return known
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError("Python cannot load it")
    module = module_from_spec(spec)
    sys.modules[name] = module  # before it runs, as `import` does: its classes are looked up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _entry_point_plugin(entry_point: EntryPoint) -> Plugin:
    distribution = entry_point.dist
    return Plugin(
        kind="",
        name=entry_point.name,
        target=entry_point.value,
        distribution="(unknown)" if distribution is None else distribution.name,
        version="" if distribution is None else distribution.version,
    )


def _returned(manager: pluggy.PluginManager, module: object, hook: str) -> dict[str, str]:
    """Return what ``module`` registers by ``hook``.

    Raises:
        PluginError: it raised, or returned no ``{name: "module:attribute"}``.
    """
    merged: dict[str, str] = {}
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin is not module:
            continue
        # Called directly, not through the manager: one plugin's exception is that plugin's alone.
        function: Callable[[], object] = implementation.function
        try:
            returned = function()
        except (Exception, SystemExit) as error:
            raise PluginError(f"{hook} raised {_what(error)}") from error
        if not isinstance(returned, Mapping):
            raise PluginError(
                f'{hook} must return {{name: "module:attribute"}}, came {type(returned).__name__}'
            )
        for name, target in returned.items():
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise PluginError(
                    f"{hook}: {name!r} is no name; expected letters, digits, '_', '.' and '-'"
                )
            if not (isinstance(target, str) and _TARGET.fullmatch(target)):
                raise PluginError(
                    f'{hook}: {name} must be given as "module:attribute", came {target!r}'
                )
            merged[name] = target
    return merged


def _require_settings(plugin: Plugin, found: object) -> None:
    from pydantic import BaseModel  # late: listing plugins must not cost its import

    settings = getattr(found, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise PluginError(
            f"{plugin.kind} {plugin.name!r} of {plugin.origin} must have a class attribute Settings, "
            f"a subclass of pydantic.BaseModel; came {settings!r}"
        )


def _taken_by(plugins: Sequence[Plugin]) -> str:
    owners = " and ".join(plugin.origin for plugin in plugins)
    return f"registered by {owners}; uninstall one of them, or rename it there"


def _with_status(plugin: Plugin, status: str) -> Plugin:
    return Plugin(
        plugin.kind, plugin.name, plugin.target, plugin.distribution, plugin.version, status
    )


def _what(error: BaseException) -> str:
    """Return an exception in one line, for messages."""
    return f"{type(error).__name__}: {error}".rstrip(": ")
