"""``tweann polish RUN``: a search on the weights of a stored champion."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tweann.cli.output import emit_json, emit_pairs, json_option, out_option


@click.command(epilog="RUN is a folder, the name of one in --out, or `latest`.")
@click.argument("run", metavar="RUN")
@click.option(
    "--evaluations",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="At most so many.",
)
@click.option(
    "--sigma",
    type=click.FloatRange(0, min_open=True),
    default=0.3,
    show_default=True,
    help="First step size of the search.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of the search."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; by default `polished.tweann` in the run's folder.",
)
@out_option
@json_option
def polish(
    run: str,
    evaluations: int,
    sigma: float,
    seed: int,
    output: Path | None,
    out: Path,
    as_json: bool,
) -> int:
    """Search the weights of a run's champion on, by CMA-ES, and write the best to a new file.

    The run itself stays as it is. Ctrl-C ends the search and keeps what it has found. A later run starts from
    the file with `genome.start`.
    """
    from tweann import polishing, runs
    from tweann.codec import encode
    from tweann.files import write_atomic

    stored = runs.open_run(run, out)

    def show(done: int, best: float) -> None:
        click.echo(f"\r{done} evaluations, best {best:.6g} ", nl=False, err=True)

    found = polishing.polish(
        stored,
        evaluations=evaluations,
        sigma=sigma,
        seed=seed,
        on_progress=show if sys.stderr.isatty() else None,
    )
    if sys.stderr.isatty():
        click.echo(err=True)
    path = output or stored.folder / "polished.tweann"
    write_atomic(path, encode(found.genome))
    data = {"file": str(path), **found.data()}
    if as_json:
        emit_json(data)
    else:
        emit_pairs(data)
    return 130 if found.interrupted else 0
