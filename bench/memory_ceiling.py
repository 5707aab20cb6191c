"""The predicted memory ceiling of ten configurations against what they take once their caps are reached.

    python bench/memory_ceiling.py [--only TEXT] [--json FILE]

Each runs in a process of its own, whose peak resident memory is compared with what `tweann config check` says; of the
"processes" back-end, that of all its processes together. Runs begin with a genome at its caps (or grow to them at the
highest rates), fill archives and write a checkpoint. Ends with 1 unless all predictions lie between 1 and 1.5 times the
peak. Kernels must be in the cache, or their compiler counts: it runs each configuration once in small before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from networks import Size, random_genome
from timing import write_json

import tweann
from tweann.ceiling import predict, readable
from tweann.codec import encode
from tweann.config import load
from tweann.evolution import Evolution
from tweann.memory import peak
from tweann.registry import default_registry

HIGHEST: Final = 1.5
HIDDEN: Final = 250
_GROWS: Final = {"add_node_rate": 1.0, "add_connection_rate": 1.0}
_TIME: Final = {"dynamics": ["static", "ctrnn", "cfc"], "plasticity": ["none", "hebbian", "abcd"]}

#: Sections, and whether the run begins with a genome at its caps; otherwise it grows.
CONFIGURATIONS: Final[dict[str, tuple[dict[str, Any], bool]]] = {
    "generational, threads, sqlite": (
        {"task": {"name": "xor"}, "strategy": {"population": 6000}},
        True,
    ),
    "generational, grown, serial": (
        {
            "run": {"generations": 330},
            "task": {"name": "xor"},
            "genome": {"max_nodes": 120, "max_connections": 300},
            "mutation": _GROWS,
            "strategy": {"population": 6000},
            "evaluation": {"backend": "serial"},
        },
        False,
    ),
    "generational, in memory": (
        {
            "task": {"name": "xor"},
            "strategy": {"population": 5000},
            "storage": {"url": "memory:"},
        },
        True,
    ),
    "generational, time and learning": (
        {
            "task": {"name": "xor"},
            "genome": _TIME,
            "strategy": {"population": 2000},
        },
        True,
    ),
    "generational, tuning": (
        {
            "task": {"name": "parity"},
            "strategy": {"population": 4000},
            "tuning": {"attempts": 1},
        },
        True,
    ),
    "steady-state, window 16": (
        {"task": {"name": "xor"}, "strategy": {"name": "steady-state", "population": 6000}},
        True,
    ),
    "map-elites": (
        {
            "run": {"generations": 60},
            "task": {"name": "arm"},
            "strategy": {"name": "map-elites", "bins": 36, "population": 3000},
        },
        True,
    ),
    "novelty": (
        {"task": {"name": "maze"}, "strategy": {"name": "novelty", "population": 4000}},
        True,
    ),
    "racing": (
        {"task": {"name": "xor"}, "strategy": {"name": "racing", "population": 4000, "offspring": 3000}},
        True,
    ),
    "nsga2, processes": (
        {
            "task": {"name": "xor"},
            "strategy": {"name": "nsga2", "population": 4000},
            "evaluation": {"backend": "processes", "workers": 2},
        },
        True,
    ),
}  # fmt: skip


def complete(name: str, folder: Path) -> dict[str, Any]:
    """Return the sections of a configuration; its first genome is written to ``folder``."""
    given, at_caps = CONFIGURATIONS[name]
    sections = {key: dict(value) for key, value in given.items()}
    run = {"generations": 6, "stop_when_solved": False}
    sections["run"] = run | sections.get("run", {})
    sections["observers"] = {}
    if not at_caps:
        return sections
    task = Evolution(sections).task.info
    size = Size(HIDDEN, min(5, task.n_inputs), 5, task.n_inputs, task.n_outputs)
    genome = random_genome(np.random.default_rng(1), size, weight=0.3)
    (folder / "start.tweann").write_bytes(encode(genome))
    sections["genome"] = sections.get("genome", {}) | {
        "start": str(folder / "start.tweann"),
        "max_nodes": genome.n_nodes,
        "max_connections": genome.n_connections,
        "recurrent": genome.recurrent,
    }
    return sections


def peak_of(name: str, folder: str) -> tuple[int, int]:
    """Run a configuration, in a process of its own; return the predicted and the highest bytes."""
    import psutil

    sections = complete(name, Path(folder))
    predicted = predict(load(sections), default_registry()).n_bytes
    me, highest, over = psutil.Process(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.is_set():
            total = 0
            for process in me.children(recursive=True):
                try:
                    total += process.memory_full_info().uss
                except psutil.Error:
                    continue  # it has just ended
            highest = max(highest, total)
            time.sleep(0.05)

    watcher = threading.Thread(target=watch, daemon=True)
    if sections.get("evaluation", {}).get("backend") == "processes":
        watcher.start()
    tweann.run(sections, out=Path(folder))
    over.set()
    own = peak()
    if own is None:
        raise SystemExit("the peak is read from Linux's /proc")
    return predicted, own + highest


def warm(name: str, folder: str) -> None:
    """Let all kernels of a configuration be compiled."""
    sections = complete(name, Path(folder))
    sections["strategy"] = sections["strategy"] | {"population": 10}
    if sections["strategy"].get("name") == "racing":
        sections["strategy"]["offspring"] = 0
    sections["run"] = sections["run"] | {"generations": 3}
    tweann.run(sections, out=Path(folder))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="configurations whose name has this in it")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    found = {}
    for name in CONFIGURATIONS:
        if arguments.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for function in (warm, peak_of):
                with ProcessPoolExecutor(1, mp_context=fresh) as process:
                    result = process.submit(function, name, folder).result()
        assert result is not None
        predicted, peak = result
        found[name] = {"predicted": predicted, "peak": peak, "ratio": predicted / peak}
        print(
            f"{name:34} predicted {readable(predicted):>8}, peak {readable(peak):>8}, "
            f"ratio {predicted / peak:.2f}",
            flush=True,
        )
    if arguments.json is not None:
        write_json(arguments.json, configurations=found)
    met = all(1.0 <= each["ratio"] <= HIGHEST for each in found.values())
    print(f"all between 1 and {HIGHEST}: {'yes' if met else 'no'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
