"""Registers the built-in commands. Imports nothing else, so that ``tweann --help`` is quick."""

from __future__ import annotations

from collections.abc import Mapping

from tweann.hookspecs import hookimpl


@hookimpl
def tweann_commands() -> Mapping[str, str]:
    return {
        "cluster": "tweann.cli.cluster:cluster",
        "config": "tweann.cli.configuration:config",
        "doctor": "tweann.cli.diagnosis:doctor",
        "evaluate": "tweann.cli.stored:evaluate",
        "export": "tweann.cli.stored:export",
        "import": "tweann.cli.copying:import_run",
        "lineage": "tweann.cli.lineage:show_lineage",
        "list": "tweann.cli.stored:list_runs",
        "new-plugin": "tweann.cli.new_plugin:new_plugin",
        "peers": "tweann.cli.peers:peers",
        "plugins": "tweann.cli.plugins:plugins",
        "polish": "tweann.cli.polish:polish",
        "replay": "tweann.cli.replay:replay",
        "resume": "tweann.cli.run:resume_run",
        "run": "tweann.cli.run:run",
        "show": "tweann.cli.stored:show",
        "tasks": "tweann.cli.plugins:tasks",
    }
