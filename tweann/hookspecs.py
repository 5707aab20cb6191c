"""The hooks of tweann: all that a plugin can answer to.

There are two families. *Registration hooks* are implemented at the top level of an import-light module that
an entry point of the group ``tweann`` names; they return ``{name: "module:attribute"}``, and what stands
there is imported only when a run selects it. *Observer hooks* are methods of an observer class; they are
called as a run goes on, in runs whose configuration names the observer.

An implementation is marked with `hookimpl`. It may leave out arguments that it does not need; it must not
give them defaults (pluggy 1.6 does not pass an argument that has one, 1.7 does) and must not be a wrapper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from tweann.controls import Controls
    from tweann.records import Champion, GenerationReport, Migrant, Result, RunInfo

PROJECT: Final = "tweann"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

#: The registration hooks, by the kind of thing that they register.
REGISTRATION_HOOKS: Final[Mapping[str, str]] = {
    "strategy": "tweann_strategies",
    "storage": "tweann_storages",
    "backend": "tweann_backends",
    "task": "tweann_tasks",
    "activation": "tweann_activations",
    "exchange": "tweann_exchanges",
    "observer": "tweann_observers",
    "command": "tweann_commands",
}

#: The observer hooks, in the order in which a run first calls them.
OBSERVER_HOOKS: Final = (
    "tweann_run_started",
    "tweann_champion_found",
    "tweann_migrants_received",
    "tweann_generation_finished",
    "tweann_settings_controlled",
    "tweann_checkpoint_written",
    "tweann_run_finished",
)


@hookspec
def tweann_strategies() -> Mapping[str, str]:  # type: ignore[empty-body] # specifications have no body
    """Register strategies: classes that satisfy `tweann.interfaces.Strategy`.

    Called once, when the registry is loaded. A strategy's name goes to ``strategy.name`` in a
    configuration, its ``Settings`` are the rest of that section.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_storages() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register storages: classes that satisfy `tweann.interfaces.Storage`.

    Called once, when the registry is loaded. A storage's name is the scheme of ``storage.url``.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_backends() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register evaluation back-ends: classes that satisfy `tweann.interfaces.Backend`.

    Called once, when the registry is loaded. A back-end's name goes to ``evaluation.backend``.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_tasks() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register tasks: subclasses of `tweann.tasks.base.Task`, made as ``Class(settings)``.

    Called once, when the registry is loaded. A task's name goes to ``task.name``, its ``Settings``
    are the rest of that section.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_activations() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register activations: compiled functions made by ``tweann.kernels._jit.callback(ACTIVATION)``.

    Called once, when the registry is loaded. An activation's name may stand in
    ``genome.activations`` and ``genome.output_activation``; genomes store the name.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_exchanges() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register exchanges: classes that satisfy `tweann.interfaces.Exchange`.

    Called once, when the registry is loaded. An exchange's name goes to ``bridge.exchange``, its
    ``Settings`` are the rest of that section.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_observers() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register observers: classes with ``Settings``, made as ``Class(settings, run)`` for each run.

    Called once, when the registry is loaded. An observer acts in runs whose configuration has a
    table ``[observers.NAME]``; its methods marked with `hookimpl` are the observer hooks below.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_commands() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Register commands of the command line: `click.Command` objects.

    Called once, when the registry is loaded. ``tweann NAME`` imports the command and runs it.
    An exception disables the plugin; it is reported with its distribution's name.
    """


@hookspec
def tweann_run_started(run: RunInfo) -> None:
    """Hear that a run begins.

    Called once, before the first genome is made, with what is known of the run.
    An exception is reported once and disables the observer for the rest of the run; the run goes on.
    """


@hookspec
def tweann_champion_found(champion: Champion) -> None:
    """Hear of a genome that is better than all before it.

    Called after the evaluation that found it and before the report of its generation; at most once
    a generation.
    An exception is reported once and disables the observer for the rest of the run; the run goes on.
    """


@hookspec
def tweann_migrants_received(migrants: Sequence[Migrant]) -> None:
    """Hear of genomes that came from other islands, with the fitness that they were found to have here.

    Called after their evaluation and before the report of their generation, where there were any.
    An exception is reported once and disables the observer for the rest of the run; the run goes on.
    """


@hookspec
def tweann_generation_finished(report: GenerationReport) -> None:
    """Hear what a generation brought.

    Called after each ``population`` evaluations, when the survivors stand.
    An exception is reported once and disables the observer for the rest of the run; the run goes on.
    """


@hookspec
def tweann_settings_controlled(report: GenerationReport, controls: Controls) -> None:
    """Change settings of the run within their bounds, for the next breeding.

    Called after each generation, when all have heard `tweann_generation_finished`. What is set is recorded as an event
    of kind ``control`` and kept in checkpoints, as is ``controls.memory``; nothing else may decide, or a resumed run
    is another one.
    An exception is reported once and disables the observer for the rest of the run; what it had set stays, and the run
    goes on.
    """


@hookspec
def tweann_checkpoint_written(path: Path) -> None:
    """Hear that the whole state of the run has been written to ``path``, durably.

    Called after each checkpoint: every few seconds, and at the end before `tweann_run_finished`.
    An exception is reported once and disables the observer for the rest of the run; the run goes on.
    """


@hookspec
def tweann_run_finished(result: Result) -> None:
    """Hear how a run ended: also when it was interrupted or failed.

    Called once, last, when all results are written. The place to close files.
    An exception is reported once; the run's result stands.
    """
