"""``tweann config check | show | schema``: what a configuration says and may say."""

from __future__ import annotations

from pathlib import Path

import click

from tweann.cli.output import emit_json, json_option, plugin_option, set_option
from tweann.registry import Registry, default_registry

_file = click.argument("file", type=click.Path(path_type=Path))


@click.group
def config() -> None:
    """Check, show or describe configurations."""


@config.command
@_file
@set_option
@plugin_option
@json_option
def check(file: Path, overrides: tuple[str, ...], registry: Registry, as_json: bool) -> int:
    """Report every fault of a configuration at once, and how much memory it may take; nothing is run."""
    from tweann.ceiling import predict, readable
    from tweann.config import FaultyConfigError, load

    try:
        most = predict(load(file, overrides, registry), registry)
    except FaultyConfigError as error:
        if not as_json:
            raise
        emit_json({"ok": False, "faults": [fault.data() for fault in error.faults]})
        return error.exit_status
    if as_json:
        emit_json({"ok": True, "faults": [], "memory": most.data()})
        return 0
    click.echo(f"{file}: ok")
    click.echo(f"memory, once all caps are reached: at most {readable(most.n_bytes)}")
    for part in sorted(most.parts, key=lambda part: -part.n_bytes):
        if part.n_bytes >= 0.01 * most.n_bytes:
            keys = f"  ({part.keys})" if part.keys else ""
            click.echo(f"  {readable(part.n_bytes):>8}  {part.name}{keys}")
    for name in most.unknown:
        click.echo(f"  not counted: {name}")
    return 0


@config.command
@_file
@set_option
@plugin_option
@json_option
def show(file: Path, overrides: tuple[str, ...], registry: Registry, as_json: bool) -> None:
    """Print a configuration with all defaults filled in."""
    from tweann.config import load

    resolved = load(file, overrides, registry)
    if as_json:
        emit_json(resolved.data())
    else:
        click.echo(resolved.to_toml(), nl=False)


@config.command
@click.option("--markdown", is_flag=True, help="Print a reference page instead of a JSON schema.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON schema; that is the default.")
def schema(markdown: bool, as_json: bool) -> None:
    """Print what may stand in a configuration, the plugins' keys included."""
    from tweann.config import reference

    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    if markdown:
        click.echo(reference.markdown(default_registry()), nl=False)
    else:
        emit_json(reference.json_schema(default_registry()))
