"""Run folders: made, filled, found and read, also while the run goes on."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_samples import champion, report, result, run_info

from tweann.errors import ConfigError, FormatError, StorageError, TweannError
from tweann.files import write_atomic
from tweann.interfaces import Event
from tweann.plugins import sqlite as sqlite_plugin
from tweann.plugins.metrics import MetricsFile, MetricsSettings
from tweann.plugins.sqlite import SqliteSettings, SqliteStorage
from tweann.records import Champion
from tweann.runs import create_run_folder, list_runs, open_run, write_champion, write_environment
from tweann.stored_run import SCHEMA_VERSION, StoredRun

CONFIG = '[run]\nname = "xor"\nseed = 7\n\n[storage]\nurl = "sqlite:///{run_dir}/run.db"\n'


def new_run(out: Path, name: str = "xor", config: str = CONFIG) -> Path:
    folder = create_run_folder(out, name, 7)
    write_environment(folder)
    (folder / "config.toml").write_text(config)
    return folder


def storage(folder: Path, run: str | None = None) -> SqliteStorage:
    settings = SqliteSettings(url=f"sqlite:///{folder}/run.db")
    return SqliteStorage(settings, run or folder.name)


def run_started(sequence: int = 0) -> Event:
    data = {
        "name": "xor",
        "seed": 7,
        "config": CONFIG,
        "version": "0.1.0",
        "started": "2026-01-02T03:04:05",
    }
    return Event(sequence, "run_started", 0, data)


def run_finished(sequence: int) -> Event:
    ended = result()
    keys = ("status", "stop_reason", "solved", "n_evaluations", "seconds")
    return Event(sequence, "run_finished", 33, {key: getattr(ended, key) for key in keys})


def generation(sequence: int, number: int, **changes: Any) -> Event:
    return Event(sequence, "generation", number, report(number, **changes).data())


def champion_event(sequence: int, found: Champion) -> Event:
    from tweann.codec import encode

    return Event(sequence, "champion", found.generation, found.data(), encode(found.genome))


class TestWriteAtomic:
    def test_the_content_is_there_and_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_atomic(path, b"old")
        write_atomic(path, b"\x00new")
        assert path.read_bytes() == b"\x00new"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_write_that_fails_leaves_the_old_file_and_no_litter(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_atomic(path, b"old")
        with pytest.raises(TypeError):
            write_atomic(path, "text")  # type: ignore[arg-type] # a writer that breaks midway
        assert path.read_bytes() == b"old"
        (tmp_path / "folder").mkdir()
        with pytest.raises(OSError, match="folder"):
            write_atomic(tmp_path / "folder", b"new")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]

    def test_a_reader_never_sees_a_part(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_atomic(path, b"a" * 100_000)
        with ThreadPoolExecutor(1) as executor:

            def write_all() -> None:
                for c in b"bcdefghij":
                    write_atomic(path, bytes([c]) * 100_000)

            done = executor.submit(write_all)
            seen = set()
            while not done.done():
                content = path.read_bytes()
                seen.add((len(content), len(set(content))))
        assert seen <= {(100_000, 1)}
        done.result()

    def test_the_file_is_as_readable_as_other_files(self, tmp_path: Path) -> None:
        write_atomic(tmp_path / "atomic", b"")
        (tmp_path / "plain").write_bytes(b"")
        assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


class TestFolders:
    def test_the_name_says_when_what_and_which_seed(self, tmp_path: Path) -> None:
        folder = create_run_folder(tmp_path / "deep" / "runs", "double pole/2", 11)
        assert folder.is_dir()
        assert folder.parent == tmp_path / "deep" / "runs"
        assert re.fullmatch(r"\d{8}-\d{6}_double-pole-2_s11", folder.name)

    def test_runs_of_one_second_have_folders_of_their_own(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(4) as executor:
            folders = list(executor.map(lambda _: create_run_folder(tmp_path, "xor", 1), range(12)))
        assert len(set(folders)) == 12
        assert any(folder.name.endswith("_s1-2") for folder in folders)

    def test_a_place_that_cannot_be_written_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match=r"cannot make a run folder: .*file.*--out"):
            create_run_folder(tmp_path / "file", "xor", 1)
        with pytest.raises(StorageError, match=r"cannot write .*environment\.json: No such file"):
            write_environment(tmp_path / "nowhere")

    def test_the_environment_names_software_and_processor_but_not_the_machine(
        self, tmp_path: Path
    ) -> None:
        write_environment(tmp_path)
        text = (tmp_path / "environment.json").read_text()
        environment = json.loads(text)
        assert environment["versions"].keys() == {"tweann", "numpy", "numba"}
        assert all(environment["versions"].values())
        assert environment["python"].startswith("3.")
        assert environment["cpu"]
        assert os.uname().nodename not in text

    def test_the_champion_is_written_to_load_and_to_read(self, tmp_path: Path) -> None:
        from tweann.codec import decode
        from tweann.genome import Genome

        found = replace(champion(), metrics={"generalisation": math.nan})
        write_champion(tmp_path, found)
        assert decode((tmp_path / "champion.tweann").read_bytes()) == found.genome
        readable = json.loads((tmp_path / "champion.json").read_text())
        assert readable["fitness"] == 3.75
        assert readable["generation"] == 3
        assert readable["metrics"] == {"generalisation": None}
        assert Genome.from_dict(readable["genome"]) == found.genome


class TestReading:
    def test_a_run_can_be_read_while_it_goes_on(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path)
        with_storage = storage(folder)
        with_storage.append([run_started()])
        run = StoredRun(folder)
        assert run.summary.status == "running"
        assert run.summary.generations is None
        assert run.generations() == []
        with_storage.append([generation(1, 0), generation(2, 1, best=math.nan)])
        with_storage.append([champion_event(3, champion())])
        with_storage.flush()
        assert run.summary.generations == 2
        assert run.summary.n_evaluations == 300
        assert run.summary.champion_fitness == 3.75
        assert run.generations()[0] == {"generation": 0, **report(0).data()}
        assert math.isnan(run.generations()[1]["best"])
        assert run.champion() == champion().genome
        assert run.champion_data() == {"generation": 3, **champion().data()}
        with_storage.append([generation(4, 2), run_finished(5)])
        assert run.summary.status == "finished"
        with_storage.close()
        summary = run.summary
        assert (summary.run, summary.name, summary.seed) == (folder.name, "xor", 7)
        assert (summary.stop_reason, summary.solved) == ("solved", True)
        assert (summary.generations, summary.n_evaluations) == (3, 5100)
        assert (summary.seconds, summary.started) == (0.75, "2026-01-02T03:04:05")
        assert run.config == CONFIG

    def test_reading_a_run_that_is_over_leaves_no_trace(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path)
        with_storage = storage(folder)
        with_storage.append([run_started(), generation(1, 0), run_finished(2)])
        with_storage.close()
        before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert "run.db" in before
        assert "run.db-wal" not in before
        run = StoredRun(folder)
        assert len(run.generations()) == 1
        assert run.summary.status == "finished"
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before

    def test_a_run_in_memory_is_read_from_its_other_files(self, tmp_path: Path) -> None:
        folder = new_run(
            tmp_path, config='[run]\nname = "x"\nseed = 9\n[storage]\nurl = "memory:"\n'
        )
        observer = MetricsFile(MetricsSettings(), run_info(folder))
        observer.tweann_run_started(run_info())
        for k in range(5):
            observer.tweann_generation_finished(report(k, best=math.nan if k == 0 else 1.0))
        observer.tweann_run_finished(result())
        write_champion(folder, champion())
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('{"generation": 5, "be')  # as while it goes on
        run = StoredRun(folder)
        rows = run.generations()
        assert [row["generation"] for row in rows] == [0, 1, 2, 3, 4]
        assert math.isnan(rows[0]["best"])
        assert rows[4] == {"generation": 4, **report(4, best=1.0).data()}
        summary = run.summary
        assert (summary.status, summary.name, summary.seed) == ("unknown", "x", 9)
        assert (summary.generations, summary.n_evaluations) == (5, 750)
        assert summary.champion_fitness == 3.75
        assert run.champion() == champion().genome
        assert run.champion_data() == {"generation": 3, **champion().data()}

    def test_a_run_that_has_just_begun_has_nothing_yet(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path)
        run = StoredRun(folder)
        assert run.generations() == []
        assert run.summary.status == "unknown"
        assert run.summary.started is not None
        for ask in (run.champion, run.champion_data):
            with pytest.raises(StorageError, match="has no champion yet"):
                ask()

    def test_the_newer_champion_of_file_and_database_counts(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path)
        first = replace(champion(), metrics={})
        with_storage = storage(folder)
        with_storage.append([run_started(), champion_event(1, first)])
        write_champion(folder, replace(first, metrics={"test_accuracy": 0.5}))
        run = StoredRun(folder)
        assert run.champion_data()["metrics"] == {"test_accuracy": 0.5}  # same one, more is known
        later = replace(first, n_evaluations=900, generation=5, fitness=4.0)
        with_storage.append([champion_event(2, later)])
        with_storage.flush()
        assert run.champion_data()["fitness"] == 4.0
        assert run.summary.champion_fitness == 4.0
        with_storage.close()

    def test_a_folder_that_was_moved_is_still_read(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path)
        with_storage = storage(folder)
        with_storage.append([run_started(), generation(1, 0)])
        with_storage.close()
        absolute = CONFIG.replace("{run_dir}", str(folder))
        (folder / "config.toml").write_text(absolute)
        moved = tmp_path / "elsewhere, with 100% odd & #?"
        shutil.move(folder, moved)
        run = StoredRun(moved)
        assert len(run.generations()) == 1
        assert run.summary.run == moved.name

    def test_a_database_for_many_runs_gives_each_its_own(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/all.db"
        folders = [new_run(tmp_path, name, f'[storage]\nurl = "{url}"\n') for name in ("a", "b")]
        for n, folder in enumerate(folders, start=1):
            shared = SqliteStorage(SqliteSettings(url=url), folder.name)
            shared.append([run_started(), *(generation(k + 1, k) for k in range(n))])
            shared.close()
        assert [len(StoredRun(folder).generations()) for folder in folders] == [1, 2]

    def test_a_database_of_a_newer_tweann_is_refused(self, tmp_path: Path) -> None:
        import sqlite3
        from contextlib import closing

        assert SCHEMA_VERSION == sqlite_plugin.SCHEMA_VERSION
        folder = new_run(tmp_path)
        storage(folder).close()
        with closing(sqlite3.connect(folder / "run.db")) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        with pytest.raises(
            StorageError, match=r"run\.db has schema version \d+, .* upgrade tweann"
        ):
            StoredRun(folder).generations()

    @pytest.mark.parametrize(
        ("name", "content", "error"),
        [
            ("run.db", b"no database at all", StorageError),
            ("champion.json", b"{", FormatError),
            ("champion.json", b"[1]", FormatError),
            ("config.toml", b"[run", FormatError),
            ("config.toml", b"\xff\xfe", FormatError),
        ],
    )
    def test_a_damaged_file_is_named(
        self, tmp_path: Path, name: str, content: bytes, error: type[TweannError]
    ) -> None:
        folder = new_run(tmp_path)
        (folder / name).write_bytes(content)
        with pytest.raises(error, match=re.escape(name)):
            _ = StoredRun(folder).summary

    def test_a_damaged_line_of_metrics_is_named(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path)
        (folder / "metrics.jsonl").write_bytes(b'{"generation": 0}\nrubbish\n')
        with pytest.raises(FormatError, match=r"metrics\.jsonl"):
            StoredRun(folder).generations()
        with pytest.raises(FormatError, match=r"metrics\.jsonl"):
            _ = StoredRun(folder).summary

    def test_a_summary_is_json(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path)
        with_storage = storage(folder)
        failed = replace(champion(), fitness=math.nan)
        with_storage.append([run_started(), champion_event(1, failed)])
        data = StoredRun(folder).summary.data()
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        assert data["run_dir"] == str(folder)
        assert data["champion_fitness"] is None
        with_storage.close()


class TestFinding:
    def test_runs_are_listed_by_their_time(self, tmp_path: Path) -> None:
        folders = [new_run(tmp_path, name) for name in ("b", "a", "a", "c")]
        older = tmp_path / "20200101-000000_z_s1"
        shutil.copytree(folders[0], older)
        (tmp_path / "notes").mkdir()
        (tmp_path / "file").write_text("")
        expected = [older.name, *(folder.name for folder in folders)]
        assert sorted(s.run for s in list_runs(tmp_path)) == sorted(expected)
        assert next(s.run for s in list_runs(tmp_path)) == older.name
        newest = max(
            folders, key=lambda f: (f.name[:15], (f / "environment.json").stat().st_mtime_ns)
        )
        assert open_run("latest", tmp_path).folder == newest

    def test_no_folder_means_no_runs(self, tmp_path: Path) -> None:
        assert list_runs(tmp_path / "nowhere") == []

    def test_a_run_is_found_by_folder_by_name_or_as_the_latest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = new_run(tmp_path / "runs")
        monkeypatch.chdir(tmp_path)
        out = Path("runs")
        for path in (folder, str(folder), f"runs/{folder.name}", folder.name, "latest"):
            assert open_run(path, out).folder.resolve() == folder

    def test_a_name_that_is_wrong_brings_up_those_that_are_like_it(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path, "double-pole")
        new_run(tmp_path, "xor")
        for wrong in ("double-pole", folder.name.replace("double", "duoble")):
            with pytest.raises(ConfigError, match=rf"no run .*did you mean '{folder.name}'\?"):
                open_run(wrong, tmp_path)
        with pytest.raises(ConfigError, match="there are 2 runs in"):
            open_run("?????", tmp_path)

    def test_where_there_are_no_runs_the_error_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="tweann run FILE"):
            open_run("latest", tmp_path / "runs")

    def test_a_folder_that_is_no_run_is_told_apart(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"is no run's folder: it has no config\.toml"):
            open_run(tmp_path, tmp_path)
