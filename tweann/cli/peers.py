"""``tweann peers RUN``: what an island knows of the others."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import click

from tweann.cli.output import emit_json, emit_pairs, emit_table, json_option, out_option
from tweann.cli.stored import RUN_HELP
from tweann.errors import FormatError, StorageError

#: Written by the bridge into the run's folder.
STATUS_FILE: Final = "peers.json"
_COLUMNS: Final = ("age_seconds", "lag_seconds", "messages", "accepted", "lost", "banned")


@click.command(epilog=RUN_HELP)
@click.argument("run")
@out_option
@json_option
def peers(run: str, out: Path, as_json: bool) -> None:
    """Show an island's peers: when they were last heard, what came, what was refused and why."""
    from tweann import runs

    path = runs.open_run(run, out).folder / STATUS_FILE
    status = _read(path)
    status["seconds_ago"] = round(time.time() - float(status.get("written", 0.0)), 1)
    if as_json:
        emit_json(status)
        return
    emit_pairs(
        {
            "island": status.get("name"),
            "as of": f"{status['seconds_ago']} s ago",
            "problem": status.get("problem") or None,
            **{
                key: _words(status.get(key)) for key in ("sent", "received", "queues", "handshakes")
            },
        }
    )
    rows = [
        [name, *(peer.get(column) for column in _COLUMNS), _words(peer.get("refused"))]
        for name, peer in sorted(status.get("peers", {}).items())
    ]
    if rows:
        click.echo()
        emit_table(("peer", *_COLUMNS, "refused"), rows)
    for name, peer in sorted(status.get("peers", {}).items()):
        if peer.get("problem"):
            click.echo(f"{name}: {peer['problem']}")


def _words(figures: Any) -> str | None:
    """Return ``{"a": 1, "b": {"c": 2}}`` as ``a 1, b (c 2)``, without what is 0."""
    if not isinstance(figures, dict):
        return None
    parts = [
        f"{key} ({_words(value)})" if isinstance(value, dict) else f"{key} {value}"
        for key, value in figures.items()
        if value
    ]
    return ", ".join(parts) or None


def _read(path: Path) -> dict[str, Any]:
    try:
        status = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StorageError(
            f"{path.parent} has no {STATUS_FILE}: the run has no [bridge], or has just begun"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    if not isinstance(status, dict):
        raise FormatError(f"{path} is damaged: expected an object")
    return status
