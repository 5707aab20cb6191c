"""``tweann list``, ``show``, ``export`` and ``evaluate``: what stored runs found."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tweann.cli.output import (
    emit_json,
    emit_pairs,
    emit_table,
    json_option,
    out_option,
    plugin_option,
    strict,
)
from tweann.registry import Registry

_run = click.argument("run", metavar="RUN")
RUN_HELP = "RUN is a folder, the name of one in --out, or `latest`."


@click.command("list")
@out_option
@json_option
def list_runs(out: Path, as_json: bool) -> None:
    """List the runs in a folder."""
    from tweann import runs

    rows = [summary.data() for summary in runs.list_runs(out)]
    if as_json:
        emit_json(rows)
        return
    if not rows:
        click.echo(f"no runs in {out}", err=True)
        return
    columns = ("run", "status", "solved", "generations", "n_evaluations", "champion_fitness")
    emit_table(columns, [[row.get(column) for column in columns] for row in rows])


@click.command(epilog=RUN_HELP)
@_run
@out_option
@json_option
def show(run: str, out: Path, as_json: bool) -> None:
    """Show how a run went: its end, its champion, its last generations."""
    from tweann import runs

    stored = runs.open_run(run, out)
    generations, summary = stored.generations(), stored.summary.data()
    genome = None
    if summary["champion_fitness"] is not None:
        genome = stored.champion().describe()
    if as_json:
        emit_json({**summary, "genome": genome, "generation_reports": generations})
        return
    emit_pairs(summary)
    if genome is not None:
        click.echo()
        counted = {name: _shown(value) for name, value in genome.items()}
        emit_pairs({f"champion's {name}": text for name, text in counted.items() if text})
    if generations:
        columns = ("generation", "best", "mean", "mean_nodes", "mean_connections")
        click.echo()
        emit_table(columns, [[row.get(column) for column in columns] for row in generations[-10:]])


def _shown(value: int | dict[str, int]) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n} {name}" for name, n in value.items())
    return str(value)


@click.command(epilog=RUN_HELP)
@_run
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "archive"]),
    default="json",
    show_default=True,
    help="`json`: the champion. `archive`: cell, descriptor, fitness and genome_id of each elite of a map-elites run, as "
    "JSON, or as CSV where --output ends in .csv.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; by default standard output.",
)
@click.option(
    "--population",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the last population to this file instead, for `tweann import`.",
)
@plugin_option
@out_option
def export(
    run: str,
    form: str,
    output: Path | None,
    population: Path | None,
    registry: Registry,
    out: Path,
) -> None:
    """Write a run's champion or archive in a readable form, or its last population to a file."""
    from tweann import runs
    from tweann.files import write_atomic

    stored = runs.open_run(run, out)
    if population is not None:
        from tweann.copying import last_population
        from tweann.populations import encode_population

        members = last_population(stored)
        write_atomic(population, encode_population(members))
        click.echo(f"{population}: {len(members)} genomes", err=True)
        return
    data: object
    if form == "archive":
        from tweann.archived import archive_rows, as_csv

        data = archive_rows(stored, registry)
        if output is not None and output.suffix == ".csv":
            write_atomic(output, as_csv(data).encode())
            return
    else:
        data = {**stored.champion_data(), "genome": stored.champion().to_dict()}
    text = json.dumps(strict(data), indent=2, allow_nan=False, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        write_atomic(output, f"{text}\n".encode())


@click.command(epilog=RUN_HELP)
@_run
@plugin_option
@out_option
@json_option
def evaluate(run: str, registry: Registry, out: Path, as_json: bool) -> None:
    """Evaluate a run's champion again, on its own task."""
    from tweann import running, runs

    found = running.evaluate(runs.open_run(run, out), registry)
    if as_json:
        emit_json(found)
    else:
        emit_pairs(found)
