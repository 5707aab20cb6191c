"""What islands over the bridge are worth, and whether many of them get along.

    python bench/bridge_islands.py quality [--seeds 10] [--json FILE]
    python bench/bridge_islands.py crowd [--islands 64] [--seconds 600] [--json FILE]

``quality``: evaluations until one of 1, 2, 4 or 8 islands has solved its task, those of all islands together, with the
bridge and, for comparison, without: the same islands, none of which hears the others. Sockets are real, on loopback; islands
take turns, generation by generation, in one process. Each is a whole run of the configuration, so more islands are a
larger population in all; the most evaluations of one island say how long that many machines would have taken.
``crowd``: `tweann cluster` with many islands; memory on the way, and at the end who has lost whom. Ends with 1 if
an island is lost, a link is silent while all run, or memory in the last quarter is over 1.05 of the second quarter's.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from loopback import free_endpoints
from rich.console import Console
from rich.table import Table
from timing import write_json

from tweann.evolution import Evolution

COUNTS = (1, 2, 4, 8)
FIRST_SEED = 5001
QUIET: dict[str, Any] = {
    "storage": {"url": "memory:"},
    "observers": {},
    "evaluation": {"workers": 1},
}
#: What is solved, and the cap on evaluations of all islands together.
TASKS: dict[str, tuple[dict[str, Any], int]] = {
    "double-pole-no-velocities, generational": (
        {
            "task": {"name": "double-pole-no-velocities"},
            "genome": {
                "recurrent": True,
                "bias": False,
                "unconnected_inputs": ["bias"],
                "init_distribution": "uniform",
            },
            "mutation": {"weight_power": 2.5, "weight_distribution": "uniform"},
            "strategy": {"name": "generational", "population": 100},
        },
        100_000,
    ),
    "maze, novelty": ({"task": {"name": "maze"}, "strategy": {"name": "novelty"}}, 250_000),
}
#: Often, and without regard to the clock: these runs last seconds.
OFTEN = {"topology": "ring", "every": 5, "least_seconds": 0.0}
DEAF = {"n_emigrants": 0, "max_immigrants": 0}


def solve(sections: dict[str, Any], cap: int, n: int, seed: int, linked: bool) -> dict[str, Any]:
    """Let ``n`` islands run by turns until one has solved the task."""
    endpoints = free_endpoints(n)
    listed = [{"name": f"isle-{k}", "endpoint": endpoint} for k, endpoint in enumerate(endpoints)]
    with ExitStack() as stack:
        islands = [
            stack.enter_context(
                Evolution(
                    QUIET
                    | sections
                    | {
                        "run": {"seed": seed},
                        "bridge": {
                            "name": entry["name"],
                            "bind": entry["endpoint"],
                            "peers": listed,
                        }
                        | OFTEN
                        | ({} if linked else DEAF),
                    }
                )
            )
            for entry in listed
        ]
        while sum(island.n_evaluations for island in islands) < cap:
            for island in islands:
                island.step()
            if any(island.finished for island in islands):
                break
        total = [island.n_evaluations for island in islands]
        return {
            "solved": any(island.finished for island in islands),
            "evaluations": sum(total),
            "most": max(total),
            "immigrants": sum(island.n_immigrants for island in islands),
        }


def quality(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Print the table of islands, and return all figures."""
    content: dict[str, Any] = {}
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    for name, (sections, cap) in TASKS.items():
        table = Table(title=f"{name}: at most {cap:,} evaluations in all", title_justify="left")
        for heading in ("islands", "solved", "mean", "median", "worst", "of one, mean", "migrants"):
            table.add_column(heading, justify="left" if heading == "islands" else "right")
        for n in COUNTS:
            for linked in (False, True)[: 1 if n == 1 else 2]:
                found = [solve(sections, cap, n, seed, linked) for seed in seeds]
                title = f"{n}{'' if n == 1 else ', bridge' if linked else ', each alone'}"
                solved = [each for each in found if each["solved"]]
                figures = ["-"] * 4
                if solved:
                    spent = [each["evaluations"] for each in solved]
                    most = statistics.fmean(each["most"] for each in solved)
                    values = (statistics.fmean(spent), statistics.median(spent), max(spent), most)
                    figures = [f"{value:,.0f}" for value in values]
                migrants = statistics.fmean(each["immigrants"] for each in found)
                share = f"{len(solved)} of {len(found)}"
                table.add_row(title, share, *figures, f"{migrants:,.0f}")
                content[f"{name}, {title}"] = found
        console.print(table)
    return content


CROWD = """
[run]
name = "crowd"
seconds = {seconds}
stop_when_solved = false
[task]
name = "xor"
[strategy]
population = 50
[evaluation]
workers = 1
[bridge]
topology = "random"
degree = 4
every = 1
unit = "seconds"
max_peers = 256
"""


def crowd(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Run many islands, and return what they say of each other at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, out = folder / "crowd.toml", folder / "runs"
        file.write_text(CROWD.format(seconds=arguments.seconds))
        command = [sys.executable, "-m", "tweann", "cluster", str(file)]
        command += ["-n", str(arguments.islands), "--out", str(out), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        memory = list[tuple[float, float]]()
        silent = list[tuple[str, str]]()
        began, stopped = time.monotonic(), False
        try:
            while process.poll() is None:
                if not stopped and time.monotonic() - began > 2 * arguments.seconds + 600:
                    process.send_signal(signal.SIGINT)
                    stopped = True
                quiet, megabytes = silent_links(out), resident(process.pid)
                # Islands end one after the other: what counts is what was while all were there.
                if n_children(process.pid) == arguments.islands:
                    silent = quiet
                    memory.append((time.monotonic() - began, megabytes))
                time.sleep(min(10.0, arguments.seconds / 20))
        finally:
            process.terminate()
        rows = json.loads(process.communicate()[0])
        states = read_states(out)
    heard = [sum(p["accepted"] > 0 for p in state["peers"].values()) for state in states]
    running = [megabytes for _, megabytes in memory]
    quarter = len(running) // 4
    second, last = (
        statistics.fmean(part or [0.0])
        for part in (running[quarter : 2 * quarter], running[-quarter:])
    )
    content = {
        "islands": len(rows),
        "finished": sum(row["status"] == "finished" for row in rows),
        "states": len(states),
        "heard_by_each": [min(heard, default=0), statistics.fmean(heard or [0]), max(heard or [0])],
        "silent_links_at_the_end": silent,
        "problems": [state["problem"] for state in states if state["problem"]],
        "migrants_accepted": sum(state["received"]["accepted"] for state in states),
        "generations": sum(row.get("generations", 0) for row in rows),
        "mebibytes_second_and_last_quarter": [round(second), round(last)],
        "memory": memory,
    }
    faults = {
        "an island did not finish": content["finished"] != arguments.islands,
        "an island left no peers.json": len(states) != arguments.islands,
        "an island heard fewer than 4": min(heard, default=0) < 4,
        "a link was silent while all were there": bool(silent),
        "a bridge had a problem": bool(content["problems"]),
        "memory grew, or the run was too short to tell": not 0.0 < last <= 1.05 * second,
    }
    content["faults"] = [what for what, found in faults.items() if found]
    console.print({key: value for key, value in content.items() if key != "memory"})
    return content


def read_states(out: Path) -> list[dict[str, Any]]:
    """Return what the islands say of their bridges."""
    return [json.loads(path.read_text()) for path in sorted(out.glob("*/peers.json"))]


def silent_links(out: Path) -> list[tuple[str, str]]:
    """Return who hears nothing from whom."""
    return [
        (state["name"], link["name"])
        for state in read_states(out)
        for link in state["links"]
        if link["silent_seconds"] > 10.0
    ]


def n_children(pid: int) -> int:
    """Return how many islands of a cluster are alive."""
    try:
        return sum(
            child.status() != psutil.STATUS_ZOMBIE for child in psutil.Process(pid).children()
        )
    except psutil.Error:  # ended meanwhile
        return 0


def resident(pid: int) -> float:
    """Return the resident memory of a process tree in MiB."""
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:  # ended meanwhile
        return 0.0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it has ended meanwhile
            continue
    return total / 2**20


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("quality")
    one.add_argument("--seeds", type=int, default=10)
    one.set_defaults(function=quality)
    one = commands.add_parser("crowd")
    one.add_argument("--islands", type=int, default=64)
    one.add_argument("--seconds", type=float, default=600.0)
    one.set_defaults(function=crowd)
    for each in commands.choices.values():
        each.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    content = arguments.function(arguments, Console(width=None if os.isatty(1) else 120))
    if arguments.json:
        write_json(arguments.json, **content)
    sys.exit(1 if content.get("faults") else 0)


if __name__ == "__main__":
    main()
