"""The first run of an installation: a second process compiles what the run's own will need later.

A run compiles breeding first, for half a minute, and after that evaluation and selection. Both find in the cache on disk
what the other has compiled; so the second process has evaluation and selection ready by the time that they are due.
It evaluates and selects copies of the seed network, and its results go nowhere. The run neither waits for it nor needs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.random import Generator, Philox

from tweann import assembly
from tweann.config import Config, load
from tweann.evolution import Evolution
from tweann.pool import Brood
from tweann.registry import Registry, default_registry

#: Kinds of tasks that may be evaluated for nothing: those of compiled code, without effects elsewhere.
_KINDS = ("compiled", "table", "vector")
_END = b"\0"


@contextmanager
def rehearsing(config: Config, kind: str, registry: Registry) -> Iterator[None]:
    """Have a second process compile while the body runs, if there is a core for it.

    Args:
        config: of the run.
        kind: of its task.
        registry: where its plugins are; of one-file plugins nothing is run twice.
    """
    if assembly.count_workers(config) < 2 or kind not in _KINDS or registry.files:
        yield
        return
    command = [sys.executable, "-P", "-m", "tweann.rehearsal"]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere) as child:
        try:
            if child.stdin is not None:
                with suppress(OSError):  # it has died
                    child.stdin.write(config.to_toml().encode() + _END)
                    child.stdin.flush()
            yield
        finally:
            child.kill()


def rehearse(config: Config, registry: Registry) -> None:
    """Do all that a generation does but breeding: evaluate copies of the seed network, select, and plan the next."""
    tables = config.data() | {"observers": {}, "storage": {"url": "memory:"}}
    tables.pop("bridge", None)
    tables["evaluation"] |= {"backend": "serial"}
    with Evolution(tables, registry=registry) as evolution:
        pool, strategy, config = evolution.pool, evolution.strategy, evolution.config
        population: int = config.strategy.settings.population  # type: ignore[attr-defined] # checked on loading
        plan = strategy.ask(pool.view(), population, Generator(Philox(key=0)))
        rows = pool.make_rows(len(plan))
        seed = assembly.make_seed(config, evolution.task.info, evolution.layout)
        rows["block"][:] = pool.insert([seed] * len(plan))
        rows["id"][:] = np.arange(len(plan))
        for name, values in plan.columns.items():
            rows[name][:] = values
        if plan.tuned is not None:
            rows["tuned"][:] = plan.tuned
        if plan.group is not None:
            rows["group"][:] = plan.group
        evolution.run_unbred(Brood(rows))
        strategy.ask(pool.view(), population, Generator(Philox(key=0)))


def main() -> None:
    """Rehearse the configuration on standard input; end when the other end of that is closed."""
    text = b""
    while not text.endswith(_END):
        piece = os.read(0, 65536)
        if not piece:
            return
        text += piece
    threading.Thread(target=_end_with_parent, daemon=True).start()
    registry = default_registry()
    rehearse(load(tomllib.loads(text[:-1].decode()), registry=registry), registry)


def _end_with_parent() -> None:
    os.read(0, 1)  # not through sys.stdin, whose lock the end of this process needs
    os._exit(1)


if __name__ == "__main__":
    main()
