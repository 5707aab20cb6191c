"""Lineage: births and deaths as they happened, and lines that are whole whatever is dropped."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_lineage import deaths, on_lines
from small_runs import QUIET

import tweann
from tweann.ancestry import Line, line_of
from tweann.cli import main
from tweann.errors import ConfigError, FormatError
from tweann.evolution import Evolution
from tweann.genes import MUTATIONS, Operator
from tweann.interfaces import Immigrant
from tweann.kernels.lines import mark_lines, record_selection
from tweann.lineage import BIRTH, DEATH, SETTLED, lines, unpack, unpack_deaths
from tweann.plugins.sqlite import SqliteSettings, SqliteStorage
from tweann.replay import Recorded
from tweann.stored_run import StoredRun

BASE: dict[str, Any] = {
    "run": {"name": "xor", "seed": 4, "generations": 60, "stop_when_solved": False},
    "task": {"name": "xor"},
    "strategy": {"population": 20},
    "observers": {},
}
#: As little as can be is kept: pieces of one generation, and the least number of pieces.
LEAST: dict[str, Any] = {"batch": 20, "max_births": 1, "max_generations": 1}
STRATEGIES = pytest.mark.parametrize(
    "strategy",
    [
        {},
        {"name": "steady-state", "batch": 3, "window": 4},
        {"name": "map-elites", "iso_line_rate": 0.3},
        {"name": "novelty"},
        {"name": "nsga2"},
    ],
    ids=lambda strategy: strategy.get("name", "generational"),
)


def config(**sections: Any) -> dict[str, Any]:
    strategy = {**BASE["strategy"], **sections.pop("strategy", {})}
    if strategy.get("name") in ("map-elites", "novelty"):
        sections["task"] = {"name": "maze", "max_steps": 30}
    return BASE | {"strategy": strategy} | sections


def run(out: Path, **sections: Any) -> StoredRun:
    result = tweann.run(config(**sections), out=out)
    assert result.run_dir is not None
    return StoredRun(result.run_dir)


@settings(deadline=None)
@given(st.data())
def test_births_and_deaths_are_those_of_the_reference(data: st.DataObject) -> None:
    n, m = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 12))
    whole = st.integers(-1, 2**63 - 1)
    before = data.draw(st.lists(st.integers(0, 99), min_size=m, max_size=m, unique=True))
    # children have numbers one behind the other, and not all of them need to have been told
    first = data.draw(st.integers(100, 2**40))
    ids = [first + k for k in range(n)]
    told = data.draw(st.lists(st.sampled_from(ids), unique=True))
    index = (
        data.draw(st.lists(st.integers(0, m + len(told) - 1), unique=True)) if m + len(told) else []
    )
    species = data.draw(st.lists(whole, min_size=len(index), max_size=len(index)))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(values, min_size=n, max_size=n))

    born, mutations = column(st.integers(0, 2**31 - 1)), column(st.integers(0, 2**32 - 1))
    parents, others, fitness = column(whole), column(whole), column(st.floats())
    operators, origins = column(st.integers(0, 255)), column(st.integers(0, 255))
    births, died = np.empty((n, BIRTH.itemsize), np.uint8), np.empty(0, np.uint8)
    died.resize((m + n) * DEATH.itemsize)
    n_died = record_selection(
        tuple(np.array(values, np.int64) for values in (ids, parents, others, born)),  # type: ignore[arg-type] # four
        np.array(mutations, np.int64),
        np.array(operators, np.uint8),
        np.array(origins, np.uint8),
        np.array(fitness).view(np.int64),
        np.array(before, np.int64),
        np.array(told, np.int64),
        np.array(index, np.int64),
        np.array(species, np.int64),
        77,
        np.empty(m + n, np.bool_),
        births.reshape(-1),
        died,
    )
    stayed = dict(zip(([*before, *told][k] for k in index), species, strict=True))
    of_children = [stayed.get(birth, -1) for birth in ids]
    expected = np.empty(n, BIRTH)
    columns = ids, parents, others, of_children, born, mutations, operators, origins, fitness
    for name, values in zip(BIRTH.names or (), columns, strict=True):
        expected[name] = values
    assert births.tobytes() == expected.tobytes()
    records = died[: n_died * DEATH.itemsize].view(DEATH)
    assert records["birth"].tolist() == deaths(before, ids, stayed)
    assert set(records["generation"].tolist()) <= {77}


@settings(deadline=None)
@given(st.data())
def test_lines_are_those_of_the_reference(data: st.DataObject) -> None:
    numbers = sorted(data.draw(st.sets(st.integers(0, 60), max_size=30)))
    parents = {k: data.draw(st.integers(-1, k - 1)) for k in numbers}
    alive = data.draw(st.lists(st.integers(0, 60), max_size=5))
    records = np.zeros(len(numbers), BIRTH)
    records["birth"], records["parent_a"] = numbers, list(parents.values())
    order = data.draw(st.permutations(range(len(numbers))))
    found = lines(records[list(order)], [np.array(alive, np.int64)])
    assert found["birth"].tolist() == sorted(on_lines(parents, alive))
    if numbers:
        marked = np.isin(numbers, alive)
        mark_lines(np.array(numbers), np.array(list(parents.values())), marked)
        assert set(np.array(numbers)[marked].tolist()) == on_lines(parents, alive)


class Watched(Evolution):
    """Remembers births and deaths, by looking at the pool and at broods."""

    def watch(self, generations: int) -> None:
        self.births: dict[int, tuple[Any, ...]] = {}
        self.died: dict[int, int] = {}
        self._open()
        alive: set[int] = set()
        tell = self._tell

        def watched_tell(brood: Any) -> Any:
            nonlocal alive
            rows = brood.rows
            names = ("parent_a", "parent_b", "operator", "origin", "generation", "fitness")
            columns = [rows[name].tolist() for name in names]
            for birth, bits, *values in zip(
                rows["id"].tolist(), brood.applied.tolist(), *columns, strict=True
            ):
                self.births[birth] = (bits, *values)
            everybody = alive | set(rows["id"].tolist())
            generation = self.generation
            report = tell(brood)
            alive = set(self.pool.rows["id"].tolist())
            self.died |= dict.fromkeys(everybody - alive, generation)
            return report

        self._tell = watched_tell  # type: ignore[method-assign]
        for _ in range(generations):
            self.step()


@STRATEGIES
def test_births_and_deaths_are_kept_as_they_happened(
    strategy: dict[str, Any], tmp_path: Path
) -> None:
    with Watched(config(strategy=strategy, lineage={"batch": 50}), run_dir=tmp_path) as evolution:
        evolution.watch(12)
        evolution.interrupt()
        assert evolution._run().status == "interrupted"
        births, died = evolution.births, evolution.died
        species = dict(
            zip(
                evolution.pool.rows["id"].tolist(),
                evolution.pool.rows["species"].tolist(),
                strict=True,
            )
        )
    stored, found, dead = StoredRun(tmp_path), {}, {}
    for row in stored.pieces("lineage"):
        for r in unpack(row["genome"], row["n_births"]).tolist():
            values = dict(zip(BIRTH.names or (), r, strict=True))
            names = (
                "mutations",
                "parent_a",
                "parent_b",
                "operator",
                "origin",
                "generation",
                "fitness",
            )
            found[values["birth"]] = tuple(values[name] for name in names)
            if values["birth"] in species and strategy == {}:
                assert values["species"] == species[values["birth"]]
        dead |= dict(unpack_deaths(row["genome"], row["n_births"]).tolist())
    assert found == births
    assert dead == died
    assert {row["n_deaths"] for row in stored.pieces("lineage")} != {0}


@STRATEGIES
def test_the_line_is_whole_whatever_the_caps_drop(strategy: dict[str, Any], tmp_path: Path) -> None:
    everything = line_of(run(tmp_path / "all", strategy=strategy))
    least = run(tmp_path / "least", strategy=strategy, lineage=LEAST)
    line = line_of(least)
    assert everything.whole
    assert line.whole
    assert without_deaths(line) == without_deaths(everything)
    assert line.births[0].birth == least.champion_data()["birth"]
    assert line.births[-1].operator == "fresh"
    pieces = least.pieces("lineage")
    assert len(pieces) == 2 * SETTLED
    kept = sum(row["n_births"] for row in pieces)
    assert kept <= 60 * 20 / 2
    for older, younger in zip(line.births[1:], line.births, strict=False):
        assert older.birth == younger.parents[0]
        assert older.generation <= younger.generation
    # also of everybody who lives, since a champion may descend from anybody
    for row in least.genome_rows()[-20:]:
        assert line_of(least, str(row["birth"])).whole


def without_deaths(line: Line) -> list[dict[str, Any]]:
    """Return the births without when they died, which goes with the piece that says so."""
    return [{**birth.data(), "died": None} for birth in line.births]


def test_memory_does_not_grow_with_the_run(tmp_path: Path) -> None:
    with Evolution(config(lineage=LEAST), run_dir=tmp_path) as evolution:
        evolution._open()
        sizes = []
        for _ in range(150):
            evolution.step()
            lineage = evolution._recorder.lineage
            assert lineage is not None
            state = lineage.state()
            sizes.append(len(state["line"]) // BIRTH.itemsize)
            assert len(state["births"]) < 20 * BIRTH.itemsize
            assert len(state["pieces"]) <= 2 * SETTLED
    assert max(sizes) <= 2 * SETTLED * 20
    assert max(sizes[100:]) <= 1.5 * max(sizes[30:100])


def test_mutations_and_operators_have_names(tmp_path: Path) -> None:
    line = line_of(run(tmp_path))
    assert {birth.operator for birth in line.births} <= {o.name.lower() for o in Operator}
    assert line.mutations["weights"] >= 1
    assert set(line.mutations) <= set(MUTATIONS)
    assert line.births[-1].mutations == ()
    assert all(birth.mutations for birth in line.births if birth.operator == "mutate")


def test_a_genome_is_found_by_number_and_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    stored = run(tmp_path)
    champion = stored.champion_data()
    whole = line_of(stored)
    assert line_of(stored, str(champion["birth"])) == whole
    assert line_of(stored, champion["genome_id"][:20]).births[0].birth == champion["birth"]
    with pytest.raises(ConfigError, match="no genome 'xyz' among the champions"):
        line_of(stored, "xyz")
    with pytest.raises(ConfigError, match="birth 999999 is not in what"):
        line_of(stored, "999999")


def test_a_run_without_lineage_says_so(tmp_path: Path) -> None:
    stored = run(tmp_path, lineage={"enabled": False})
    assert stored.pieces("lineage") == []
    with pytest.raises(ConfigError, match=r"lineage\.enabled is false"):
        line_of(stored)


def test_the_command_shows_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = line_of(run(tmp_path))
    assert main(["lineage", "latest", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(line.data()))
    assert main(["lineage", "latest", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "crossover" in shown or "mutate" in shown
    assert str(line.births[-1].birth) in shown
    assert main(["lineage", "latest", "--genome", "xyz", "--out", str(tmp_path)]) == 2
    assert "no genome 'xyz'" in capsys.readouterr().err


def test_ancestry_ends_at_an_immigrant_and_names_its_peer(tmp_path: Path) -> None:
    with Evolution(
        QUIET | config(run={**BASE["run"], "stop_when_solved": True, "generations": 300})
    ) as solver:
        champion = solver.run().champion
    assert champion is not None
    exchange = Recorded({5: [Immigrant(champion.genome, "island-7")]})
    folder = tmp_path / "20260101-000000_guest_s4"
    folder.mkdir()
    with Evolution(
        config(run={**BASE["run"], "seed": 5, "generations": 8}), run_dir=folder, exchange=exchange
    ) as evolution:
        (folder / "config.toml").write_text(evolution.config.to_toml())
        evolution.run()
    stored = StoredRun(folder)
    (data, _), *_ = stored.immigrants()
    line = line_of(stored, str(data["birth"]))
    assert [(b.operator, b.peer, b.parents) for b in line.births] == [("immigrant", "island-7", ())]
    assert line.whole
    lines_of_all = [
        line_of(stored, str(row["birth"])) for row in stored.genome_rows() if "position" in row
    ]
    from_guest = [line for line in lines_of_all if line.births[-1].peer == "island-7"]
    assert from_guest, "nobody descends from the solver's champion"
    assert all(line.births[-1].birth == data["birth"] for line in from_guest)


def test_plain_sql_reads_births_and_deaths(tmp_path: Path) -> None:
    stored = run(tmp_path, lineage=LEAST)
    expected, dead = {}, []
    for table in ("ancestors", "lineage"):
        for row in stored.pieces(table):
            for record in unpack(row["genome"], row["n_births"]):
                expected[int(record["birth"])] = tuple(record.tolist())[:-1]
            if table == "lineage":
                dead += unpack_deaths(row["genome"], row["n_births"]).tolist()
    with closing(sqlite3.connect(stored.folder / "run.db")) as connection:
        births = connection.execute("SELECT * FROM births ORDER BY birth").fetchall()
        found = connection.execute("SELECT * FROM deaths").fetchall()
    assert [row[1:] for row in births] == [expected[key] for key in sorted(expected)]
    assert sorted(row[1:] for row in found) == sorted(dead)
    assert any(row[2] == -1 for row in births)
    assert any(row[2] > 0 for row in births)


def test_a_database_of_schema_1_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    settings = SqliteSettings(url=f"sqlite:///{path}")
    SqliteStorage(settings, "r").close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in ("VIEW births", "VIEW deaths", "TABLE lineage", "TABLE ancestors"):
            connection.execute(f"DROP {name}")
        connection.execute("PRAGMA user_version = 1")
    assert StoredRun(tmp_path).pieces("lineage") == []
    with closing(SqliteStorage(settings, "r")) as storage:
        assert list(storage.events("lineage")) == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM births").fetchone() == (0,)


@pytest.mark.parametrize("n_births", [2, -1, None])
def test_records_that_are_cut_are_refused(n_births: int | None) -> None:
    with pytest.raises(FormatError, match="lineage"):
        unpack(bytes(BIRTH.itemsize + 3), n_births)
    with pytest.raises(FormatError, match="lineage"):
        unpack_deaths(bytes(BIRTH.itemsize + 3), 5 if n_births is None else n_births)
    assert unpack_deaths(bytes(BIRTH.itemsize + DEATH.itemsize), 1).size == 1
