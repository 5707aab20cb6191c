"""``tweann run FILE`` and ``tweann resume RUN``: a configuration, to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tweann.cli.output import (
    emit_json,
    emit_pairs,
    json_option,
    out_option,
    plugin_option,
    set_option,
)
from tweann.cli.stored import RUN_HELP
from tweann.registry import Registry

if TYPE_CHECKING:
    from tweann.records import Result

#: What the command ends with, by the result's status.
EXIT_STATUS: Final = {"finished": 0, "failed": 3, "interrupted": 130}


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@set_option
@plugin_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Short for --set run.seed=N.")
@click.option("--workers", type=click.IntRange(0), help="Short for --set evaluation.workers=N.")
@out_option
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option(
    "--resume",
    type=click.Choice(["latest"]),
    help="Go on with the newest run of this name and seed in --out, if there is one.",
)
def run(
    file: Path,
    overrides: tuple[str, ...],
    registry: Registry,
    seed: int | None,
    workers: int | None,
    out: Path,
    as_json: bool,
    quiet: bool,
    resume: str | None,
) -> int:
    """Run a configuration to its end.

    The first Ctrl-C ends the run cleanly, the second kills it. Progress goes to standard error, and with
    --json the last line of standard output is one JSON object.
    """
    from tweann import running

    _warn_of_problems(registry)
    all_overrides = list(overrides)
    if seed is not None:
        all_overrides.append(f"run.seed={seed}")
    if workers is not None:
        all_overrides.append(f"evaluation.workers={workers}")
    if quiet:
        all_overrides.append("observers.progress=false")
    if resume is None:
        result = running.run(file, overrides=all_overrides, out=out, registry=registry)
    else:
        result = running.run_or_resume(file, overrides=all_overrides, out=out, registry=registry)
    return _report(result, as_json)


@click.command("resume", epilog=RUN_HELP)
@click.argument("name", metavar="RUN")
@set_option
@plugin_option
@click.option("--workers", type=click.IntRange(0), help="Short for --set evaluation.workers=N.")
@out_option
@json_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def resume_run(
    name: str,
    overrides: tuple[str, ...],
    registry: Registry,
    workers: int | None,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> int:
    """Go on with a run from its last checkpoint, as if it had never stopped.

    With a later ending, e.g. --set run.generations=1000, also with one that is finished.
    """
    from tweann import running, runs

    _warn_of_problems(registry)
    all_overrides = list(overrides)
    if workers is not None:
        all_overrides.append(f"evaluation.workers={workers}")
    if quiet:
        all_overrides.append("observers.progress=false")
    stored = runs.open_run(name, out)
    return _report(running.resume(stored, overrides=all_overrides, registry=registry), as_json)


def _report(result: Result, as_json: bool) -> int:
    """Print how a run ended and return the exit status."""
    if as_json:
        emit_json(result.data())
    else:
        emit_pairs(_summary(result))
    return EXIT_STATUS[result.status]


def _warn_of_problems(registry: Registry) -> None:
    for row in registry.problems():
        click.echo(f"warning: plugin {row.name!r} of {row.origin}: {row.status}", err=True)


def _summary(result: Result) -> dict[str, Any]:
    champion = result.champion
    pairs: dict[str, Any] = {
        "run": result.run_dir,
        "status": f"{result.status} ({result.stop_reason})",
        "solved": result.solved,
        "generations": result.generations,
        "evaluations": result.n_evaluations,
        "failed evaluations": result.n_failed or None,
        "seconds": result.seconds,
    }
    if champion is not None:
        pairs["champion"] = (
            f"fitness {champion.fitness:.6g}, {champion.genome.n_nodes} nodes, "
            f"{champion.genome.n_connections} connections"
        )
    return {**pairs, **result.metrics}
