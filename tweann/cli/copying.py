"""``tweann import FILE_OR_RUN --to URL``: runs and populations from one storage to another."""

from __future__ import annotations

from pathlib import Path

import click

from tweann.cli.output import emit_json, json_option, out_option, plugin_option
from tweann.cli.stored import RUN_HELP
from tweann.registry import Registry


@click.command("import", epilog=RUN_HELP)
@click.argument("source", metavar="FILE_OR_RUN")
@click.option(
    "--to", "url", required=True, metavar="URL", help="As storage.url of a configuration."
)
@plugin_option
@out_option
@json_option
def import_run(source: str, url: str, registry: Registry, out: Path, as_json: bool) -> None:
    """Copy a run, or the population file of `tweann export --population`, to a storage."""
    from tweann import copying, runs

    path = Path(source)
    if path.is_file():
        name, n = path.stem, copying.copy_population(path, url, registry)
        what = "genomes"
    else:
        stored = runs.open_run(source, out)
        name, n = stored.folder.name, copying.copy_run(stored, url, registry)
        what = "events"
    if as_json:
        emit_json({"run": name, "url": url, what: n})
    else:
        click.echo(f"{name}: {n} {what} to {url}")
