"""The observers that come with tweann: progress on standard error, metrics in the run's folder."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_samples import report, result, run_info
from small_disks import fill, make_room, small_disk

from tweann.plugins.metrics import MetricsFile, MetricsSettings
from tweann.plugins.progress import Progress, ProgressSettings


def metrics_file(run_dir: Path | None, generation: int = 0, **settings: Any) -> MetricsFile:
    run = replace(run_info(run_dir), generation=generation)
    observer = MetricsFile(MetricsSettings(**settings), run)
    observer.tweann_run_started(run)
    return observer


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


class TestMetricsFile:
    def test_each_generation_is_a_line(self, tmp_path: Path) -> None:
        observer = metrics_file(tmp_path)
        for k in range(3):
            observer.tweann_generation_finished(report(k))
        observer.tweann_run_finished(result())
        assert lines(tmp_path) == [{"generation": k, **report(k).data()} for k in range(3)]

    def test_what_is_no_number_is_null(self, tmp_path: Path) -> None:
        observer = metrics_file(tmp_path)
        numbers = {"a": np.float64(0.5), "b": math.inf, "c": np.int64(3), "d": True}
        observer.tweann_generation_finished(report(0, best=math.nan, metrics=numbers))
        observer.tweann_run_finished(result())
        (line,) = lines(tmp_path)
        assert line["best"] is None
        assert line["metrics"] == {"a": 0.5, "b": None, "c": 3, "d": 1}

    def test_lines_are_there_within_the_time_set(self, tmp_path: Path) -> None:
        observer = metrics_file(tmp_path, flush_seconds=0.05)
        observer.tweann_generation_finished(report(0))
        assert not (tmp_path / "metrics.jsonl").exists()
        time.sleep(0.06)
        observer.tweann_generation_finished(report(1))
        assert len(lines(tmp_path)) == 2

    @pytest.mark.parametrize(
        ("n", "stride"), [(9, 1), (10, 2), (18, 2), (19, 4), (100, 16), (1000, 128)]
    )
    def test_a_long_run_is_thinned_out_evenly_and_ends_with_its_end(
        self, tmp_path: Path, n: int, stride: int
    ) -> None:
        observer = metrics_file(tmp_path, max_lines=10, flush_seconds=0.0)
        for k in range(n):
            observer.tweann_generation_finished(report(k))
            assert len(lines(tmp_path)) <= 10
        observer.tweann_run_finished(result())
        generations = [line["generation"] for line in lines(tmp_path)]
        assert generations == sorted({*range(0, n, stride), n - 1})
        assert len(generations) <= 10

    def test_a_line_that_a_kill_tore_is_dropped_and_the_file_goes_on(self, tmp_path: Path) -> None:
        whole = json.dumps({"generation": 0}) + "\n"
        (tmp_path / "metrics.jsonl").write_text(whole + '{"generation": 1, "be')
        observer = metrics_file(tmp_path, generation=1)
        observer.tweann_generation_finished(report(1))
        observer.tweann_run_finished(result())
        assert [line["generation"] for line in lines(tmp_path)] == [0, 1]

    def test_what_a_checkpoint_knows_of_is_written(self, tmp_path: Path) -> None:
        observer = metrics_file(tmp_path, flush_seconds=1e6)
        observer.tweann_generation_finished(report(0))
        assert not (tmp_path / "metrics.jsonl").exists()
        observer.tweann_checkpoint_written()
        assert [line["generation"] for line in lines(tmp_path)] == [0]

    def test_generations_that_happen_again_are_written_once(self, tmp_path: Path) -> None:
        for start in (0, 2, 1):
            observer = metrics_file(tmp_path, generation=start)
            for k in range(start, 5):
                observer.tweann_generation_finished(report(k))
            observer.tweann_run_finished(result())
        assert [line["generation"] for line in lines(tmp_path)] == [0, 1, 2, 3, 4]

    def test_lines_wait_for_a_disk_that_is_full(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with small_disk(tmp_path) as disk:
            observer = metrics_file(disk, flush_seconds=0.0)
            observer.tweann_generation_finished(report(0))
            fill(disk / "ballast")
            for k in range(1, 100):
                observer.tweann_generation_finished(report(k))
            kept = len(lines(disk))  # none of them torn
            assert kept < 99
            make_room(disk, disk / "ballast")
            observer.tweann_checkpoint_written()
            assert [line["generation"] for line in lines(disk)] == list(range(100))
            fill(disk / "ballast")
            for k in range(100, 12_000):
                observer.tweann_generation_finished(report(k))
            assert len(observer._buffer) <= 10_000
            make_room(disk, disk / "ballast")
            observer.tweann_run_finished(result())
            generations = [line["generation"] for line in lines(disk)]
        assert generations[:100] == list(range(100))
        assert generations == sorted(set(generations))
        assert generations[-1] == 11_999
        assert 5_000 < len(generations) < 11_000
        said = capsys.readouterr().err.splitlines()
        told = ("No space left", "again", "No space left", "pauses", "again")
        assert len(said) == len(told)
        assert all(word in line for word, line in zip(told, said, strict=True))

    def test_without_a_folder_it_does_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        observer = metrics_file(None)
        observer.tweann_generation_finished(report(0))
        observer.tweann_run_finished(result())
        assert list(tmp_path.iterdir()) == []


class TestProgressInAFile:
    """Standard error is no terminal here: pytest captures it."""

    def test_it_says_what_begins_how_it_goes_and_how_it_ended(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = run_info(tmp_path)
        observer = Progress(ProgressSettings(seconds=0.0), run)
        observer.tweann_run_started(run)
        observer.tweann_generation_finished(report(3, n_evaluations=1600, seconds=0.4))
        observer.tweann_generation_finished(report(4, n_evaluations=2600, seconds=0.5, n_failed=2))
        observer.tweann_run_finished(result(tmp_path))
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.splitlines() == [
            f"double-pole task double-pole seed 7 in {tmp_path}",
            "generation 3/500 evaluations 1,600 best 3.25 mean 1.5 champion 3.75 species 12 "
            "size 5.5+7.2 4,000/s 0.4 s",
            "generation 4/500 evaluations 2,600 best 3.25 mean 1.5 champion 3.75 species 12 "
            "size 5.5+7.2 failed 2 10,000/s 0.5 s",
            "finished (solved) after 34 generations, 5,100 evaluations, 0.8 s 6,800/s",
            "champion: solved fitness 3.75 nodes 2 connections 1 generalisation 0.875 "
            "test_accuracy 0.96875",
        ]

    def test_lines_come_no_faster_than_set(self, capsys: pytest.CaptureFixture[str]) -> None:
        run = run_info()
        observer = Progress(ProgressSettings(seconds=0.1), run)
        observer.tweann_run_started(run)
        end = time.monotonic() + 0.35
        k = 0
        while time.monotonic() < end:
            observer.tweann_generation_finished(report(k))
            k += 1
        shown = [s for s in capsys.readouterr().err.splitlines() if s.startswith("generation")]
        assert k > 10
        assert 1 <= len(shown) <= 3

    def test_a_run_without_a_champion_or_a_limit_is_no_trouble(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = run_info()
        observer = Progress(ProgressSettings(seconds=0.0), run)
        observer.tweann_run_started(run)
        observer.tweann_generation_finished(report(0, best=math.nan, seconds=0.0, metrics={}))
        observer.tweann_run_finished(
            result(champion=None, status="interrupted", stop_reason="", seconds=3725.0, n_failed=9)
        )
        _, first, last = capsys.readouterr().err.splitlines()
        assert "best nan" in first
        assert "species" not in first
        assert last == (
            "interrupted after 34 generations, 5,100 evaluations, 9 failed, 1:02:05 1/s"
        )

    def test_no_terminal_means_no_rich(self) -> None:
        done = in_a_process("print('rich' in sys.modules)")
        assert done.stdout == "False\n"


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from run_samples import report, result, run_info
from tweann.plugins.progress import Progress, ProgressSettings
observer = Progress(ProgressSettings(refresh_seconds=0.02), run_info())
observer.tweann_run_started(run_info())
for k in range(20):
    observer.tweann_generation_finished(report(k))
    time.sleep(0.005)
{end}
"""
FINISH = "observer.tweann_run_finished(result())"


def in_a_process(end: str, **options: Any) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(tests=str(Path(__file__).parent), end=end)
    return subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
        **({"stderr": subprocess.PIPE} | options),
    )


def on_a_terminal(end: str, **environment: str) -> tuple[str, str]:
    """Run the script with standard error on a terminal; return standard output and what it showed."""
    main, terminal = os.openpty()
    try:
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", **environment}
        done = in_a_process(end, stderr=terminal, env=env)
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # Linux says so when the other end is closed
            while select.select([main], [], [], 10.0)[0] and (more := os.read(main, 65536)):
                shown += more
    finally:
        os.close(main)
    return done.stdout, shown.decode()


HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class TestProgressOnATerminal:
    def test_one_line_is_redrawn_and_then_gives_way_to_the_result(self) -> None:
        _, shown = on_a_terminal(FINISH)
        before, _, after = shown.rpartition(SHOW_CURSOR)
        assert before.count(HIDE_CURSOR) == 1
        assert 2 <= before.count("evaluations") < 20
        assert "\x1b[2K" in before  # it erases the line that it redraws
        assert "finished (solved) after 34 generations" in after
        assert "champion: solved" in after
        assert "\x1b" not in after.split("finished")[1]

    @pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "observer = None"])
    def test_the_cursor_comes_back_even_if_nobody_says_that_it_is_over(self, end: str) -> None:
        _, shown = on_a_terminal(end)
        assert HIDE_CURSOR in shown
        assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR)

    def test_what_user_code_prints_still_goes_to_standard_output(self) -> None:
        output, shown = on_a_terminal(f"print('mine')\n{FINISH}")
        assert output == "mine\n"
        assert "mine" not in shown

    def test_a_dumb_terminal_gets_plain_lines(self) -> None:
        _, shown = on_a_terminal(FINISH, TERM="dumb")
        assert "\x1b" not in shown
        assert "finished (solved)" in shown
