"""``tweann doctor``: whether tweann can run here."""

from __future__ import annotations

import click

from tweann.cli.output import emit_json, emit_table, json_option
from tweann.registry import default_registry


@click.command
@json_option
def doctor(as_json: bool) -> int:
    """Examine this machine and installation; the exit status is 3 where tweann cannot run."""
    from tweann import doctor as diagnosis

    checks = diagnosis.examine(default_registry())
    healthy = all(check.status != diagnosis.FAILED for check in checks)
    if as_json:
        emit_json({"ok": healthy, "checks": [check.data() for check in checks]})
    else:
        emit_table(
            ("check", "status", "found"),
            [
                (check.name, check.status, f"{check.value}{_advice(check.advice)}")
                for check in checks
            ],
        )
    return 0 if healthy else 3


def _advice(advice: str) -> str:
    return f" ({advice})" if advice else ""
