"""``tweann plugins`` and ``tweann tasks``: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tweann.cli.output import emit_json, emit_table, json_option
from tweann.errors import TweannError
from tweann.registry import default_registry

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tweann.tasks.base import TaskInfo


@click.command
@json_option
def plugins(as_json: bool) -> None:
    """List the plugins, built-in and installed, and what is wrong with them."""
    rows = default_registry().plugins()
    if as_json:
        emit_json([row.data() for row in rows])
        return
    emit_table(
        ("kind", "name", "distribution", "version", "status"),
        [
            (row.kind or "(broken)", row.name, row.distribution, row.version, row.status)
            for row in rows
        ],
    )


@click.command
@json_option
def tasks(as_json: bool) -> None:
    """List the tasks and what they ask of a network."""
    registry = default_registry()
    rows = [_task(name) for name in registry.names("task")]
    if as_json:
        emit_json(rows)
        return
    emit_table(
        ("task", "kind", "inputs", "outputs", "solved", "remarks"),
        [
            (
                row["name"],
                row.get("kind"),
                len(row["inputs"]) if "inputs" in row else None,
                len(row["outputs"]) if "outputs" in row else None,
                row.get("solved") or None,
                row.get("error") or _needs(row["needs"]),
            )
            for row in rows
        ],
    )


def _needs(keys: list[str]) -> str:
    return f"needs {', '.join(keys)}" if keys else ""


def _task(name: str) -> dict[str, Any]:
    """Return what is known of a task; one that needs settings cannot be made here, and says which."""
    registry = default_registry()
    row: dict[str, Any] = {"name": name, "distribution": registry.find("task", name).distribution}
    try:
        task_class = registry.resolve("task", name)
    except TweannError as error:
        return {**row, "needs": [], "error": str(error)}
    settings: type[BaseModel] = task_class.Settings
    row["description"] = (task_class.__doc__ or "").strip().split("\n")[0]
    row["needs"] = [key for key, field in settings.model_fields.items() if field.is_required()]
    if row["needs"]:
        return row
    try:
        info: TaskInfo = task_class(settings()).info
    except Exception as error:  # a stranger's constructor may raise anything
        return {**row, "error": f"{type(error).__name__}: {error}"}
    described = {key: getattr(info, key) for key in info.__slots__ if key != "name"}
    return {**row, **described}
