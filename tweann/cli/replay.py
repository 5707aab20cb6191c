"""``tweann replay RUN``: a recorded run again, without a network."""

from __future__ import annotations

from pathlib import Path

import click

from tweann.cli.output import emit_json, emit_pairs, json_option, out_option
from tweann.cli.stored import RUN_HELP

#: What the command ends with when the champions differ.
DIFFERS = 3


@click.command(epilog=RUN_HELP)
@click.argument("run")
@out_option
@json_option
def replay(run: str, out: Path, as_json: bool) -> int:
    """Run a recorded run again with its recorded immigrants, and compare the champions bit for bit."""
    from tweann import runs
    from tweann.replay import replay as replay_run

    found = replay_run(runs.open_run(run, out))
    (emit_json if as_json else emit_pairs)(found.data())
    return 0 if found.same else DIFFERS
