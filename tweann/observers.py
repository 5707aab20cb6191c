"""The observers of one run: made from the configuration, called as it goes on, cut off when they fail."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pluggy

from tweann import hookspecs
from tweann.config import Config
from tweann.controls import Change, ControlDesk
from tweann.errors import PluginError, TweannError
from tweann.hookspecs import OBSERVER_HOOKS, PROJECT
from tweann.records import Champion, GenerationReport, Migrant, Result, RunInfo
from tweann.registry import Registry, attach


def _to_standard_error(message: str) -> None:
    with contextlib.suppress(OSError):  # it may be a file on a disk that is full
        print(message, file=sys.stderr, flush=True)


class Observers:
    """Tells the observers that a configuration names of what happens in a run.

    An observer that raises is reported once and hears no more; the others and the run go on.
    """

    def __init__(
        self,
        registry: Registry,
        config: Config,
        run: RunInfo,
        report: Callable[[str], None] = _to_standard_error,
    ) -> None:
        """Make the observers.

        Args:
            registry: where their classes are.
            config: names them, under ``[observers.NAME]``, and has their settings.
            run: handed to each.
            report: takes the message about one that failed; by default it goes to standard error.

        Raises:
            PluginError: an observer cannot be loaded or made, or has a hook that would never be called.
        """
        self._report = report
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._origins: dict[str, str] = {}
        self._disabled: dict[str, str] = {}
        # pluggy calls the last one first, so that the order of calls is the configuration's.
        for name, settings in reversed(list(config.observers.items())):
            origin = registry.find("observer", name).origin
            observer_class = registry.resolve("observer", name)
            try:
                observer = observer_class(settings, run)
                attach(self._manager, observer, name, OBSERVER_HOOKS)
            except PluginError as error:
                raise PluginError(f"observer {name!r} of {origin}: {error}") from error
            except TweannError:
                raise
            except Exception as error:  # a stranger's constructor may raise anything
                raise PluginError(
                    f"observer {name!r} of {origin} cannot be made: {type(error).__name__}: {error}"
                ) from error
            self._origins[name] = origin

    @property
    def disabled(self) -> Mapping[str, str]:
        """Return the observers that failed, with the reason."""
        return dict(self._disabled)

    def run_started(self, run: RunInfo) -> None:
        """Call ``tweann_run_started``."""
        self._call("tweann_run_started", run=run)

    def champion_found(self, champion: Champion) -> None:
        """Call ``tweann_champion_found``."""
        self._call("tweann_champion_found", champion=champion)

    def migrants_received(self, migrants: Sequence[Migrant]) -> None:
        """Call ``tweann_migrants_received``."""
        self._call("tweann_migrants_received", migrants=migrants)

    def generation_finished(self, report: GenerationReport) -> None:
        """Call ``tweann_generation_finished``."""
        self._call("tweann_generation_finished", report=report)

    def settings_controlled(self, report: GenerationReport, desk: ControlDesk) -> list[Change]:
        """Call ``tweann_settings_controlled``, let the run use what was set, and return what changed."""
        hook = "tweann_settings_controlled"
        for implementation in self._implementations(hook):
            name = implementation.plugin_name
            if name in desk.disabled:  # it failed before the checkpoint that the run goes on from
                continue
            values = {"report": report, "controls": desk.of(name)}
            try:
                implementation.function(*(values[key] for key in implementation.argnames))
            except Exception as error:  # a stranger's code may raise anything
                desk.disabled.append(name)
                self._disable(name, hook, error)
        return desk.settle()

    def checkpoint_written(self, path: Path) -> None:
        """Call ``tweann_checkpoint_written``."""
        self._call("tweann_checkpoint_written", path=path)

    def run_finished(self, result: Result) -> None:
        """Call ``tweann_run_finished``."""
        self._call("tweann_run_finished", result=result)

    def _call(self, hook: str, **values: object) -> None:
        # One by one, the last registered first, as pluggy does; its own multicall would end at the
        # first exception, and the others would not be called.
        for implementation in self._implementations(hook):
            try:
                implementation.function(*(values[name] for name in implementation.argnames))
            except Exception as error:  # a stranger's code may raise anything
                self._disable(implementation.plugin_name, hook, error)

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()[::-1]

    def _disable(self, name: str, hook: str, error: Exception) -> None:
        reason = f"{hook} raised {type(error).__name__}: {error}"
        self._disabled[name] = reason
        self._manager.unregister(name=name)
        self._report(
            f"observer {name!r} of {self._origins[name]} is disabled for the rest of the run: {reason}"
        )
