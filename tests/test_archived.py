"""The archive of a stored run: what `tweann export --format archive` writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tweann.cli import main

RUN = """
[run]
name = "{name}"
generations = 3
stop_when_solved = false
[task]
name = "arm"
[strategy]
name = "{strategy}"
population = 40
{settings}
[observers]
"""


def stored(folder: Path, strategy: str, settings: str = "") -> Path:
    """Run a configuration and return where runs are."""
    path = folder / "run.toml"
    path.write_text(RUN.format(name="small", strategy=strategy, settings=settings))
    assert main(["run", str(path), "--quiet", "--out", str(folder / "runs")]) == 0
    return folder / "runs"


def export(out: Path, *options: str) -> int:
    return main(["export", "latest", "--out", str(out), "--format", "archive", *options])


def test_each_elite_is_a_row_with_its_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stored(tmp_path, "map-elites", "bins = [10, 5]\nbounds = [[-2.0, 2.0], [-2.0, 2.0]]")
    capsys.readouterr()  # the summary
    assert main(["show", "latest", "--out", str(out), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert export(out) == 0
    rows = json.loads(capsys.readouterr().out)
    last = shown["generation_reports"][-1]
    assert len(rows) == last["metrics"]["n_elites"]
    assert max(row["fitness"] for row in rows) == last["metrics"]["archive_best"]
    cells = [row["cell"] for row in rows]
    assert cells == sorted(cells)
    assert len({tuple(cell) for cell in cells}) == len(rows)
    assert len({row["genome_id"] for row in rows}) > 1
    for row in rows:
        for place, bins, centre, value in zip(
            row["cell"], (10, 5), row["centre"], row["descriptor"], strict=True
        ):
            # bounds of -2 and 2, beyond which a descriptor counts as on the bound
            width = 4.0 / bins
            assert centre == pytest.approx(-2.0 + (place + 0.5) * width)
            assert abs(min(max(value, -2.0), 2.0) - centre) <= 0.5 * width + 1e-9

    table = tmp_path / "archive.csv"
    assert export(out, "--output", str(table)) == 0
    with table.open(newline="") as lines:
        read = list(csv.DictReader(lines))
    assert [[int(row["cell_0"]), int(row["cell_1"])] for row in read] == cells
    assert [float(row["fitness"]) for row in read] == [row["fitness"] for row in rows]
    assert [row["genome_id"] for row in read] == [row["genome_id"] for row in rows]


def test_cells_of_a_tessellation_are_its_centroids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stored(tmp_path, "map-elites", 'archive = "cvt"\ncells = 50\ncvt_samples = 500')
    capsys.readouterr()  # the summary
    assert export(out) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(len(row["cell"]) == 1 and 0 <= row["cell"][0] < 50 for row in rows)
    assert all(len(row["centre"]) == 2 for row in rows)


def test_a_run_without_an_archive_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stored(tmp_path, "novelty")
    capsys.readouterr()  # the summary
    assert export(out) == 2
    assert "strategy novelty has no archive" in capsys.readouterr().err


def test_a_run_without_checkpoints_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stored(tmp_path, "map-elites", "bins = 5\n[checkpoint]\nenabled = false")
    capsys.readouterr()  # the summary
    assert export(out) == 2
    assert "no checkpoint to read the archive from" in capsys.readouterr().err
