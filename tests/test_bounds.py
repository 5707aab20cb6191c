"""The table of docs/bounds.md: each key is there with its default, and a run driven past the cap stays at it."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import QUIET

import tweann
from tweann.config import Config
from tweann.errors import ConfigError, FormatError, NotNowError
from tweann.evolution import Evolution
from tweann.plugins.memory import MemoryStorage
from tweann.plugins.sqlite import SqliteStorage
from tweann.registry import default_registry
from tweann.stored_run import StoredRun

ROOT = Path(__file__).parent.parent
_ROW = re.compile(r"^\| `([a-z]+)\.(\w+)` \|(?: ([\w-]+))? \| (\d+) \|", re.MULTILINE)
TABLE = [
    (section, key, plugin, int(default))
    for section, key, plugin, default in _ROW.findall((ROOT / "docs" / "bounds.md").read_text())
]
#: The kind of plugin whose settings a section has.
KINDS = {
    "strategy": "strategy",
    "task": "task",
    "evaluation": "backend",
    "storage": "storage",
    "observers": "observer",
    "bridge": "exchange",
}
BASE: dict[str, Any] = {
    "run": {"seed": 3, "generations": 60, "stop_when_solved": False},
    "task": {"name": "xor"},
    "strategy": {"population": 20},
    "observers": {},
}


def finished(**sections: Any) -> Evolution:
    """Return a run without files that has come to its end, its parts not closed."""
    evolution = Evolution(QUIET | BASE | sections)
    evolution._open()
    while not evolution.finished:
        evolution.step()
    return evolution


def stored(out: Path, **sections: Any) -> StoredRun:
    result = tweann.run(BASE | sections, out=out)
    assert result.run_dir is not None
    return StoredRun(result.run_dir)


def count(run: StoredRun, what: str) -> int:
    with closing(sqlite3.connect(run.folder / "run.db")) as connection:
        (n,) = connection.execute(f"SELECT count(*) FROM {what}").fetchone()
    return int(n)


def history(out: Path) -> None:
    run = {**BASE["run"], "history": 7}
    with finished(run=run) as evolution:
        assert len(evolution.history) == 7


def sizes(out: Path) -> None:
    mutation = {"mode": "all", "add_node_rate": 1.0, "add_connection_rate": 1.0}
    with finished(genome={"max_nodes": 7, "recurrent": True}, mutation=mutation) as evolution:
        assert evolution.pool.view().n_nodes.max() == 7
    with finished(genome={"max_connections": 9, "recurrent": True}, mutation=mutation) as evolution:
        assert evolution.pool.view().n_connections.max() == 9


def species(out: Path) -> None:
    sections = {"species": {"threshold": 0.01, "target": 0, "max_species": 4}}
    with finished(**sections) as evolution:
        assert np.unique(evolution.pool.view().species).size == 4


def population(out: Path) -> None:
    with finished() as evolution:
        assert len(evolution.pool.view()) == 20
        assert evolution.n_evaluations == 60 * 20


def cells(out: Path) -> None:
    maze = {"task": {"name": "maze", "max_steps": 30}}
    elites = {"name": "map-elites", "population": 20, "bins": 3}
    with pytest.raises(ConfigError, match="max_cells = 8"):
        Evolution(QUIET | BASE | maze | {"strategy": {**elites, "max_cells": 8}})
    with finished(**maze, strategy={**elites, "max_cells": 9}) as evolution:
        assert 1 < len(evolution.pool.view()) <= 9


def archive(out: Path) -> None:
    maze = {"task": {"name": "maze", "max_steps": 30}}
    novelty = {"name": "novelty", "population": 20, "archive_size": 15}
    with finished(**maze, strategy=novelty) as evolution:
        assert len(evolution.strategy.state()["archive_descriptor"]) == 15


def window(out: Path) -> None:
    steady = {"name": "steady-state", "population": 20, "batch": 2, "window": 3}
    with Evolution(QUIET | BASE | {"strategy": steady}) as evolution:
        most = 0
        tell = evolution._tell

        def watched(brood: Any) -> Any:
            nonlocal most
            most = max(most, len(evolution._pending))
            return tell(brood)

        evolution._tell = watched  # type: ignore[method-assign]
        for _ in range(5):
            evolution.step()
        assert most == 3


def table(out: Path) -> None:
    file = out / "data.csv"
    file.write_text("a,y\n" + "".join(f"t{k},{k % 2}\n" for k in range(40)))
    for cap, value in (("max_cells", 79), ("max_categories", 39)):
        task: dict[str, Any] = {
            "name": "table",
            cap: value,
            "file": str(file),
            "target": "y",
            "kind": "classification",
        }
        with pytest.raises((ConfigError, FormatError), match=f"{cap} = {value}"):
            Evolution(QUIET | BASE | {"task": task})


def rows(out: Path) -> None:
    caps = {"generations": 9, "champions": 1, "individuals": 8, "events": 5}
    steady = {"name": "steady-state", "population": 20, "order": "arrival"}
    storage = {f"max_{name}": cap for name, cap in caps.items()}
    run = stored(out, strategy=steady, storage=storage)
    assert count(run, "events WHERE kind NOT IN ('run_started', 'run_finished')") == 5
    for name in ("generations", "champions", "individuals"):
        assert count(run, name) == caps[name]


def waiting(out: Path) -> None:
    cap = 30_000
    storage = {"commit_rows": 1, "max_waiting_bytes": cap, "full_seconds": 0.3}
    with closing(Evolution(BASE | {"storage": storage}, run_dir=out)) as evolution:
        evolution._open()
        evolution.step()
        recorder = evolution._recorder
        assert isinstance(recorder.storage, SqliteStorage)
        assert recorder.storage._connection is not None
        pages = recorder.storage._connection.execute("PRAGMA max_page_count").fetchone()
        recorder.storage._connection.execute("PRAGMA max_page_count = 1")  # full, to SQLite
        began = time.monotonic()
        with pytest.raises(NotNowError, match="full"):
            deque(iter(evolution.step, None), maxlen=0)  # on and on
        assert time.monotonic() - began >= 0.3
        assert cap < recorder._waiting_bytes < cap + 3_000
        recorder.storage._connection.execute(f"PRAGMA max_page_count = {pages[0]}")
        recorder.flush()
        assert recorder._waiting_bytes == 0
        assert len(list(recorder.storage.events())) == recorder.sequence


def pieces(out: Path) -> None:
    lineage = {"batch": 20, "max_births": 400, "max_generations": 1000}
    run = stored(out, lineage=lineage, storage={"max_ancestors": 2})
    assert count(run, "ancestors") == 2
    assert 400 <= sum(row["n_births"] for row in run.pieces("lineage")) < 400 + 20
    lineage = {"batch": 20, "max_generations": 25}
    run = stored(out, lineage=lineage)
    generations = [row["generation"] for row in run.pieces("lineage")]
    assert 25 <= max(generations) - min(generations) <= 26


def batch(out: Path) -> None:
    with finished(lineage={"batch": 50}) as evolution:
        lineage = evolution._recorder.lineage
        assert lineage is not None
        assert lineage._births.n < 50


def memory(out: Path) -> None:
    caps = {"max_events": 6, "max_champions": 1, "max_lineage": 5, "max_ancestors": 2}
    sections = {"storage": {"url": "memory:", **caps}, "lineage": {"batch": 20}}
    with finished(**sections) as evolution:
        storage = evolution._recorder.storage
        assert isinstance(storage, MemoryStorage)
        assert len(list(storage.events("champion"))) == 1
        assert len(list(storage.events("lineage"))) == 5
        assert len(list(storage.events("ancestors"))) == 2
        assert len(list(storage.events())) == 6 + 1 + 5 + 2


def checkpoints(out: Path) -> None:
    run = stored(out, checkpoint={"keep": 2, "seconds": 0.0})
    assert len(list((run.folder / "checkpoints").iterdir())) == 2


def lines(out: Path) -> None:
    run = stored(out, observers={"metrics": {"max_lines": 10}})
    n = len((run.folder / "metrics.jsonl").read_text().splitlines())
    assert 5 <= n <= 10


#: What drives a run past each cap; a text is where else that is tested, since it takes a server, or other processes.
DRIVERS: dict[tuple[str, str], Callable[[Path], None] | str] = {
    ("run.history", ""): history,
    ("genome.max_nodes", ""): sizes,
    ("genome.max_connections", ""): sizes,
    ("species.max_species", ""): species,
    ("strategy.population", "generational"): population,
    ("strategy.max_cells", "map-elites"): cells,
    ("strategy.archive_size", "novelty"): archive,
    (
        "strategy.archive_size",
        "nsga2",
    ): "test_nsga2.py::test_novelty_is_an_objective_with_a_bounded_archive",
    (
        "strategy.archive",
        "coevolution",
    ): "test_coevolution.py::test_the_archive_is_bounded_and_keeps_the_titleholder",
    ("strategy.max_islands", "islands"): "test_islands.py::test_faults_are_named",
    ("strategy.window", "steady-state"): window,
    ("task.max_cells", "table"): table,
    ("task.max_categories", "table"): table,
    ("evaluation.max_jobs", "processes"): "test_processes.py::test_jobs_that_wait_are_capped",
    ("evaluation.max_jobs", "dask"): "test_chunks.py::test_too_many_jobs_are_refused",
    ("storage.max_waiting_bytes", ""): waiting,
    **{
        (f"storage.max_{name}", "sqlite"): rows
        for name in ("generations", "champions", "individuals", "events")
    },
    ("storage.max_ancestors", "sqlite"): pieces,
    **{
        (
            f"storage.max_{name}",
            "postgres",
        ): "test_storages_postgres.py::test_each_table_keeps_its_newest_rows"
        for name in ("generations", "champions", "individuals", "events", "ancestors")
    },
    **{
        (f"storage.max_{name}", "memory"): memory
        for name in ("events", "champions", "lineage", "ancestors")
    },
    ("checkpoint.keep", ""): checkpoints,
    ("lineage.batch", ""): batch,
    ("lineage.max_births", ""): pieces,
    ("lineage.max_generations", ""): pieces,
    ("observers.max_lines", "metrics"): lines,
    (
        "bridge.max_immigrants",
        "zmq",
    ): "bridge/test_bounded.py::test_a_full_queue_drops_the_oldest_and_counts_them",
    ("bridge.inbox", "zmq"): "bridge/test_customs.py::test_the_inbox_drops_the_oldest",
    (
        "bridge.outbox",
        "zmq",
    ): "bridge/test_peer.py::test_a_full_outbox_drops_the_oldest_and_says_so",
    (
        "bridge.max_peers",
        "zmq",
    ): "bridge/test_customs.py::test_there_is_room_for_so_many_peers_and_the_silent_make_way",
    (
        "bridge.max_message_bytes",
        "zmq",
    ): "bridge/test_peer.py::test_an_oversize_message_costs_the_connection_and_it_comes_back",
}


def test_the_table_has_every_driver_and_no_other() -> None:
    assert sorted((f"{section}.{key}", plugin) for section, key, plugin, _ in TABLE) == sorted(
        DRIVERS
    )


@pytest.mark.parametrize(("section", "key", "plugin", "default"), TABLE)
def test_a_key_has_the_default_that_the_table_says(
    section: str, key: str, plugin: str, default: int
) -> None:
    if plugin:
        model = default_registry().resolve(KINDS[section], plugin).Settings
    else:
        model = Config.model_fields[section].annotation
    assert model.model_fields[key].default == default


def test_caps_of_the_reference_are_in_the_table() -> None:
    """Whatever key is called a cap, or ``max_…`` of something kept, is in the table, or grows nothing."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    named = set(re.findall(r"^\| `(\w+)` \|[^\n]*(?:Cap on|kept)", text, re.MULTILINE))
    grows_nothing = {"worker_bytes", "enabled", "keep", "start", "out_of_bounds"}
    assert named - {key for _, key, _, _ in TABLE} <= grows_nothing


@pytest.mark.parametrize(
    "drive",
    [*dict.fromkeys(driver for driver in DRIVERS.values() if not isinstance(driver, str))],
    ids=lambda driver: driver.__name__,
)
def test_a_run_driven_past_a_cap_stays_at_it(drive: Callable[[Path], None], tmp_path: Path) -> None:
    drive(tmp_path)


@pytest.mark.parametrize("place", sorted({d for d in DRIVERS.values() if isinstance(d, str)}))
def test_what_is_tested_elsewhere_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text()
