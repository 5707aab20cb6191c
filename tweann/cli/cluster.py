"""``tweann cluster CONFIG``: several islands of one configuration on this machine."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import click

from tweann.cli.output import emit_json, emit_table, json_option, out_option, set_option

#: How long islands have to end in order, seconds.
_PATIENCE: Final = 20.0
_COLUMNS: Final = ("name", "status", "solved", "generations", "n_evaluations", "fitness")


@click.command
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-n", "--islands", type=click.IntRange(1, 256), default=4, show_default=True, help="How many."
)
@click.option("--first", is_flag=True, help="End all when one has solved its task.")
@set_option
@out_option
@json_option
def cluster(
    file: Path, islands: int, first: bool, overrides: tuple[str, ...], out: Path, as_json: bool
) -> int:
    """Start islands of one configuration on this machine, which exchange genomes, and wait for their end.

    Each is a process with a run folder of its own. The section [bridge] of the configuration says how they
    exchange; their addresses are chosen here.
    """
    from tweann.config import load
    from tweann.workers import usable_cores

    with ExitStack() as stack:
        endpoints = [_free_endpoint(stack) for _ in range(islands)]
    # An island's addresses stand in for those of the configuration, which need not have any.
    config = load(file, [*overrides, f"bridge.bind={json.dumps(endpoints[0])}"])
    names = [f"{config.run.name}-{k}" for k in range(islands)]
    listed = ", ".join(
        f"{{name = {json.dumps(name)}, endpoint = {json.dumps(endpoint)}}}"
        for name, endpoint in zip(names, endpoints, strict=True)
    )
    settings = list(overrides)
    if config.evaluation.workers == 0:
        settings.append(f"evaluation.workers={max(1, usable_cores() // islands)}")
    children: list[subprocess.Popen[str]] = []
    try:
        for name, endpoint in zip(names, endpoints, strict=True):
            own = [
                *settings,
                f"run.name={name}",
                f"bridge.name={json.dumps(name)}",
                f"bridge.bind={json.dumps(endpoint)}",
                f"bridge.peers=[{listed}]",
            ]
            children.append(_start(file, own, out))
        results = _wait(children, first)
    finally:
        _end(children, signal.SIGTERM)
    rows = [{"name": name, **result} for name, result in zip(names, results, strict=True)]
    if as_json:
        emit_json(rows)
    else:
        emit_table(_COLUMNS, [[row.get(column) for column in _COLUMNS] for row in rows])
    return 0 if all(row["status"] in ("finished", "interrupted") for row in rows) else 3


def _free_endpoint(stack: ExitStack) -> str:
    """Return an address of this machine that nobody uses; others get it only after ``stack`` has closed."""
    holder = stack.enter_context(socket.socket())
    holder.bind(("127.0.0.1", 0))
    return f"tcp://127.0.0.1:{holder.getsockname()[1]}"


def _start(file: Path, settings: list[str], out: Path) -> subprocess.Popen[str]:
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    ending = ("--out", str(out), "--json", "--quiet")
    return subprocess.Popen(
        [sys.executable, "-m", "tweann", "run", str(file), *arguments, *ending],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C comes to us, and we end them in order
    )


def _wait(children: list[subprocess.Popen[str]], first: bool) -> list[dict[str, Any]]:
    """Return the results of all islands; with ``first`` the others are ended when one has solved."""
    results: list[dict[str, Any]] = [{} for _ in children]
    waiting = set(range(len(children)))
    try:
        while waiting:
            for k in sorted(waiting):
                if children[k].poll() is not None:
                    results[k] = _result(children[k])
                    waiting.remove(k)
                    if first and results[k].get("solved"):
                        _end([children[j] for j in waiting], signal.SIGINT)
            time.sleep(0.05)
    except KeyboardInterrupt:
        _end(children, signal.SIGINT)
        for k in waiting:
            results[k] = _result(children[k])
    return results


def _result(child: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the JSON object that an island ended with."""
    output = "" if child.stdout is None else child.stdout.read()
    child.wait()
    with suppress(ValueError, IndexError):
        found = json.loads(output.splitlines()[-1])
        champion = found.get("champion") or {}
        return {**found, "fitness": champion.get("fitness")}
    return {"status": f"failed (exit status {child.returncode})"}


def _end(children: list[subprocess.Popen[str]], number: signal.Signals) -> None:
    """Ask the islands to end, and kill those that do not."""
    for child in children:
        if child.poll() is None:
            child.send_signal(number)
    deadline = time.monotonic() + _PATIENCE
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
