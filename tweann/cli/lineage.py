"""``tweann lineage RUN``: where a genome comes from."""

from __future__ import annotations

from pathlib import Path

import click

from tweann.cli.output import emit_json, emit_pairs, emit_table, json_option, out_option
from tweann.cli.stored import RUN_HELP


@click.command("lineage", epilog=RUN_HELP)
@click.argument("run", metavar="RUN")
@click.option(
    "--genome",
    metavar="ID",
    help="A birth number, or the beginning of a genome's id; by default the champion.",
)
@out_option
@json_option
def show_lineage(run: str, genome: str | None, out: Path, as_json: bool) -> None:
    """Show the line of a run's champion: each birth back to the first, by dominant parents."""
    from tweann import ancestry, runs

    line = ancestry.line_of(runs.open_run(run, out), genome)
    if as_json:
        emit_json(line.data())
        return
    columns = ("generation", "birth", "operator", "parents", "mutations", "fitness", "died")
    rows = []
    for birth in line.births:
        row = birth.data()
        row["operator"] = f"immigrant from {birth.peer}" if birth.peer else birth.operator
        row["parents"] = " ".join(map(str, birth.parents))
        row["mutations"] = " ".join(birth.mutations)
        rows.append([row[column] for column in columns])
    emit_table(columns, rows)
    click.echo()
    emit_pairs({"births": len(line.births), **line.mutations})
    if not line.whole:
        click.echo("older births are not kept: see lineage.max_births, storage.max_ancestors")
