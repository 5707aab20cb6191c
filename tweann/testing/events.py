"""Events of a run, made up: one of each kind, as a storage is given them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tweann.interfaces import Event
from tweann.records import GenerationReport


def report(generation: int, best: float = 2.5, **metrics: float) -> GenerationReport:
    return GenerationReport(
        generation=generation,
        n_evaluations=150 * (generation + 1),
        n_failed=3,
        best=best,
        mean=0.1 + 0.2,
        std=1e-300,
        worst=-math.inf,
        champion_fitness=best,
        mean_nodes=5.5,
        mean_connections=7.25,
        seconds=0.125,
        metrics=metrics,
    )


def generation(sequence: int, number: int | None = None, **metrics: float) -> Event:
    number = sequence if number is None else number
    return Event(sequence, "generation", number, report(number, **metrics).data())


def champion(sequence: int, fitness: float = 3.5) -> Event:
    data = {
        "genome_id": "ab" * 32,
        "fitness": fitness,
        "birth": 2**40,
        "n_nodes": 5,
        "n_connections": 8,
        "n_evaluations": 150 * sequence,
        "solved": True,
        "metrics": {"generalisation": 0.5},
    }
    return Event(sequence, "champion", sequence, data, b"\x00genome\xff")


def lineage(sequence: int, keep_from: int = 0) -> Event:
    data = {"n_births": 2, "n_deaths": 1, "keep_from": keep_from}
    return Event(sequence, "lineage", sequence, data, bytes(range(112)))


def ancestors(sequence: int) -> Event:
    data = {"n_births": 1, "last_birth": 2**40}
    return Event(sequence, "ancestors", sequence, data, bytes(range(50)))


def individual(sequence: int) -> Event:
    data = {
        "position": 0,
        "birth": 17,
        "species": 2,
        "fitness": 1.5,
        "genome_id": "cd" * 32,
        "n_nodes": 5,
        "n_connections": 8,
    }
    return Event(sequence, "individual", 9, data, b"bytes")


def started(sequence: int) -> Event:
    data = {
        "name": "xor",
        "seed": 2**63 - 1,
        "config": "[run]\nname = 'xor' # é\n",
        "version": "0.1.0",
        "started": "2026-01-02T03:04:05+00:00",
    }
    return Event(sequence, "run_started", 0, data)


def finished(sequence: int) -> Event:
    data = {
        "status": "finished",
        "stop_reason": "solved",
        "solved": True,
        "n_evaluations": 5100,
        "seconds": 0.75,
    }
    return Event(sequence, "run_finished", 33, data)


def whole_run() -> list[Event]:
    """Return a run with every kind of event in it, a plugin's own included."""
    return [
        started(0),
        champion(1),
        generation(2, 0, n_species=4.0),
        Event(3, "plugin.note", 0, {"text": "héllo", "list": [1, None, True], "deep": {"x": 0.1}}),
        Event(4, "plugin.genome", 1, {}, b"\x01\x02"),
        generation(5, 1),
        individual(6),
        finished(7),
    ]


def close_to(left: Any, right: Any) -> bool:
    """Compare JSON values; a NaN equals a NaN or a null."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(close_to(left[k], right[k]) for k in left)
    missing = [value is None or value != value for value in (left, right)]
    return all(missing) or (type(left) is type(right) and left == right)
