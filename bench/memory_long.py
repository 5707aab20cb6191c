"""Memory and files of a run that is as long as runs get, and of one that grows.

    python bench/memory_long.py [long] [seed] [--generations N] [--quick] [--json FILE]

``long``: 100,000 generations of a small population with every optional column of genes, every observer and controller,
lineage, checkpoints every second, twice: the second keeps four times as much in its files, which are full later. Resident memory
of the first may grow by less than 1 % after the first 2 % of the run; files that are full may grow no more, and those that keep
more have to be larger. ``seed``:
100 genomes, 1,000 generations, networks that grow to 200 nodes: at the peak less than 200 MB more than an interpreter that
has imported numba and done nothing. Each in a process of its own. Ends with 1 if one is not met.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil  # type: ignore[import-untyped] # ships no types
from timing import write_json

from tweann.checkpoints import FOLDER
from tweann.evolution import Evolution
from tweann.memory import peak

GENERATIONS: Final = 100_000
#: Parts of a run whose median is one figure: a single reading depends on what is under way.
PARTS: Final = 50
MAX_GROWTH: Final = 0.01
MAX_FILE_GROWTH: Final = 0.05
#: Megabytes that the growing run may take beside a bare interpreter with numba.
MAX_MEGABYTES: Final = 200
MAX_NODES: Final = 200


def long_config(generations: int, keep: int) -> dict[str, Any]:
    """Return the sections of the long run, which keeps ``keep`` times as much as the shortest."""
    return {
        "run": {"generations": generations, "stop_when_solved": False},
        "task": {"name": "t-maze"},
        "genome": {
            "recurrent": True,
            "max_nodes": 20,
            "max_connections": 60,
            "initial_inputs": 2,
            "dynamics": ["static", "delay", "leaky", "ctrnn", "cfc", "ltc", "izhikevich"],
            "plasticity": ["none", "hebbian", "oja", "abcd", "trace", "stdp"],
            "modulatory": True,
            "column_groups": ["births"],
        },
        "mutation": {"adapt": "genes"},
        "strategy": {"population": 20},
        "evaluation": {"backend": "threads", "workers": 2},
        "storage": {
            "max_generations": 2_000 * keep,
            "max_champions": 20,
            "max_events": 1_000 * keep,
            "max_ancestors": 20,
        },
        "lineage": {"batch": 1_000, "max_births": 20_000 * keep},
        "checkpoint": {"seconds": 1.0},
        "observers": {
            "progress": {},
            "metrics": {"max_lines": 2_000 * keep},
            "prometheus": {"port": 0},
            "one-fifth": {},
            "stagnation": {},
            "resources": {},
        },
    }


def sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of the files of a run, by what they are."""
    found = {"kept": 0, "write-ahead log": 0, "checkpoints": 0}
    for path in folder.rglob("*"):
        what = "checkpoints" if path.parent.name == FOLDER else "kept"
        what = "write-ahead log" if path.name.startswith("run.db-") else what
        with suppress(FileNotFoundError):  # a checkpoint that has just gone
            found[what] += path.stat().st_size if path.is_file() else 0
    return found


def long_run(generations: int, keep: int) -> dict[str, Any]:
    """Do the long run; return memory and size of files in each of `PARTS`, in bytes."""
    memory: list[list[int]] = [[] for _ in range(PARTS)]
    files: list[dict[str, int]] = []
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        evolution = Evolution(long_config(generations, keep), run_dir=Path(folder))
        step = evolution.step

        def watched() -> Any:
            report = step()
            if evolution.generation % (generations // PARTS // 20) == 0:
                part = min((evolution.generation - 1) * PARTS // generations, PARTS - 1)
                memory[part].append(process.memory_info().rss)
                if len(memory[part]) == 20:
                    files.append(sizes(Path(folder)))
            return report

        evolution.step = watched  # type: ignore[method-assign]
        began = time.perf_counter()
        evolution.run()
        seconds = time.perf_counter() - began
    return {"memory": [median(part) for part in memory], "files": files, "seconds": seconds}


def seed_run(generations: int, keep: int) -> dict[str, Any]:
    """Do the run that grows; return its peak, and the largest genome."""
    del keep
    sections = {
        "run": {"generations": generations, "stop_when_solved": False},
        "task": {"name": "xor"},
        "genome": {"max_nodes": MAX_NODES, "recurrent": True},
        "mutation": {"add_node_rate": 0.9, "add_connection_rate": 1.0},
        # anybody may breed, with nobody: XOR's best are small
        "strategy": {"population": 100, "crossover_rate": 0.0, "survival": 1.0, "elitism": 0},
    }
    with tempfile.TemporaryDirectory() as folder:
        evolution = Evolution(sections, run_dir=Path(folder))
        evolution.run()
        view = evolution.pool.view()
        nodes, connections = int(view.n_nodes.max()), int(view.n_connections.max())
    return {"peak": peak(), "nodes": nodes, "connections": connections}


def bare(generations: int, keep: int) -> dict[str, Any]:
    """Import numba, as this file does by way of tweann; return the peak."""
    del generations, keep
    code = "import numba; from tweann.memory import peak; print(peak())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {"peak": int(done.stdout)}


WORK = {"long": long_run, "seed": seed_run, "bare": bare}


def apart(work: str, generations: int, keep: int = 1) -> dict[str, Any]:
    """Do ``work`` in a process of its own."""
    command = [
        sys.executable,
        __file__,
        work,
        "--child",
        str(keep),
        "--generations",
        str(generations),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def silence() -> Iterator[None]:
    """Let nobody see what runs say."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield


def judge_long(generations: int) -> tuple[dict[str, Any], list[str]]:
    """Do the long runs and print what came of it; return figures and what is not met."""
    unmet, found = [], {}
    for keep in (1, 4):
        figures = found[f"keeps {keep}"] = apart("long", generations, keep)
        memory, settled, half = figures["memory"], 1 if keep == 1 else 5, PARTS // 2
        files = [sum(parts.values()) for parts in figures["files"]]
        growth = max(memory[settled:]) / memory[settled] - 1.0
        file_growth = max(files[half:]) / files[half] - 1.0
        last = ", ".join(f"{what} {n / 1e6:.1f} MB" for what, n in figures["files"][-1].items())
        print(
            f"{generations:,} generations, {figures['seconds']:.0f} s, keeping {keep} times as much: memory "
            f"{memory[settled] / 1e6:.2f} MB in the {settled + 1}. fiftieth, {memory[-1] / 1e6:.2f} MB at the end, at most "
            f"{growth:+.2%} (less than {MAX_GROWTH:.0%}); files {files[half] / 1e6:.2f} MB at half time, "
            f"{files[-1] / 1e6:.2f} MB at the end ({last}), at most {file_growth:+.2%} (at most {MAX_FILE_GROWTH:.0%})",
            flush=True,
        )
        if keep == 1 and growth >= MAX_GROWTH:
            unmet.append(f"memory grew by {growth:.2%}")
        if file_growth > MAX_FILE_GROWTH:
            unmet.append(f"full files grew by {file_growth:.2%}")
    kept = [found[f"keeps {keep}"]["files"][-1]["kept"] for keep in (1, 4)]
    if kept[1] < 2 * kept[0]:
        unmet.append("files that keep four times as much are not larger")
    return found, unmet


def judge_seed(generations: int) -> tuple[dict[str, Any], list[str]]:
    """Do the run that grows and print what came of it; return figures and what is not met."""
    least, grown = apart("bare", generations), apart("seed", generations)
    more = (grown["peak"] - least["peak"]) / 1e6
    print(
        f"100 genomes, {generations:,} generations, up to {grown['nodes']} nodes and {grown['connections']} connections: "
        f"{grown['peak'] / 1e6:.0f} MB at the peak, {more:.0f} MB more than an interpreter with numba (less than "
        f"{MAX_MEGABYTES})"
    )
    unmet = [] if more < MAX_MEGABYTES else [f"{more:.0f} MB"]
    if grown["nodes"] < MAX_NODES:
        unmet.append(f"networks grew to {grown['nodes']} nodes only")
    return {"bare": least, "grown": grown}, unmet


def main() -> int:
    """Measure, print, and say whether all is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=("long", "seed", "bare", []), default=[])
    parser.add_argument("--generations", type=int, help="of the long run; 100,000")
    parser.add_argument("--quick", action="store_true", help="short, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        with silence():
            found = WORK[arguments.parts[0]](arguments.generations, arguments.child)
        print(json.dumps(found))
        return 0
    generations = arguments.generations or (2_000 if arguments.quick else GENERATIONS)
    content, unmet = {}, []
    for part in arguments.parts or ["long", "seed"]:
        judge = judge_long if part == "long" else judge_seed
        content[part], missing = judge(generations if part == "long" else 1_000)
        unmet += missing
    if arguments.json is not None:
        write_json(arguments.json, **content)
    if unmet and not arguments.quick:
        print(f"not met: {'; '.join(unmet)}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
