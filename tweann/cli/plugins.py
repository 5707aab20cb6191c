"""``tweann plugins`` and ``tweann tasks``: what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tweann.cli.output import emit_json, emit_table, json_option, plugin_option
from tweann.errors import ConfigError, PluginError, TweannError
from tweann.registry import Plugin, Registry, default_registry, suggestion

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tweann.tasks.base import TaskInfo
    from tweann.testing.checking import Verdict


@click.group(invoke_without_command=True)
@plugin_option
@json_option
@click.pass_context
def plugins(context: click.Context, registry: Registry, as_json: bool) -> None:
    """List the plugins, built-in and installed, and what is wrong with them."""
    context.obj = registry
    if context.invoked_subcommand is not None:
        return
    rows = registry.plugins()
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


@plugins.command
@click.argument("name")
@click.option("--kind", help="Of what is called so, where several kinds of plugins are.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the plugin: one that it needs, or a small cap; may come several times.",
)
@plugin_option
@json_option
@click.pass_obj
def check(
    outer: Registry,
    name: str,
    kind: str | None,
    settings: tuple[str, ...],
    registry: Registry,
    as_json: bool,
) -> int:
    """Test whether a plugin keeps what its kind promises; the exit status is 3 where it does not."""
    from tweann.testing import checking

    if not registry.files:
        registry = outer  # `tweann plugins --plugin FILE check NAME` says it before
    plugin = _find(registry, name, kind)
    if plugin.kind not in checking.CONTRACTS:
        raise ConfigError(
            f"there is no contract for the kind {plugin.kind!r}; there is one for each of "
            f"{', '.join(checking.CONTRACTS)}"
        )
    verdicts = checking.check(plugin.kind, name, registry, _values(settings))
    broken = [verdict for verdict in verdicts if verdict.outcome == checking.BROKEN]
    if as_json:
        emit_json({"ok": not broken, "verdicts": [verdict.data() for verdict in verdicts]})
    else:
        _emit_verdicts(plugin, verdicts)
    return 3 if broken else 0


def _find(registry: Registry, name: str, kind: str | None) -> Plugin:
    """Return the one plugin of that name.

    Raises:
        ConfigError: the name is that of several kinds of plugins.
        PluginError: there is none, or it clashes with another.
    """
    kinds = sorted({row.kind for row in registry.plugins() if row.name == name and row.kind})
    if kind is None and len(kinds) > 1:
        raise ConfigError(f"{name!r} is a {' and a '.join(kinds)}: say which with --kind")
    if kind is None and not kinds:
        known = [row.name for row in registry.plugins() if row.kind]
        raise PluginError(
            f"no plugin {name!r} is registered{suggestion(name, known)}; `tweann plugins` lists them, "
            "and --plugin FILE.py adds one of one file"
        )
    return registry.find(kind or kinds[0], name)


def _values(settings: tuple[str, ...]) -> dict[str, Any]:
    from tweann.config.loading import toml_value

    pairs = [text.partition("=") for text in settings]
    for key, equals, _ in pairs:
        if not equals:
            raise ConfigError(f'--set: expected "key=value", came {key!r}')
    return {key.strip(): toml_value(value.strip()) for key, _, value in pairs}


def _emit_verdicts(plugin: Plugin, verdicts: Sequence[Verdict]) -> None:
    from tweann.testing import checking

    counts = {
        outcome: sum(v.outcome == outcome for v in verdicts)
        for outcome in (checking.KEPT, checking.BROKEN, checking.NOT_APPLICABLE)
    }
    for verdict in verdicts:
        if verdict.outcome == checking.KEPT:
            continue
        click.echo(f"{verdict.outcome}: {verdict.promise}")
        click.echo(f"    {verdict.reason}")
        if verdict.place:
            click.echo(f"    at {verdict.place}")
    figures = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
    click.echo(f"{plugin.kind} {plugin.name} of {plugin.origin}: {figures}")


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
