"""Population files: read as they were written, and nothing else is read."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from small_runs import members_of_size

import tweann
from tweann.cli import main
from tweann.errors import FormatError
from tweann.plugins.sqlite import SqliteSettings, SqliteStorage
from tweann.populations import Member, decode_population, encode_population

MAGIC = b"tweann population\n"


@pytest.fixture(scope="module")
def members() -> list[Member]:
    return [Member(g, 0.5 * k, k % 3) for k, g in enumerate(members_of_size(2, 1))]


def test_a_population_comes_back_as_it_was(members: list[Member]) -> None:
    assert decode_population(encode_population(members)) == members
    assert decode_population(encode_population([])) == []
    (failed,) = decode_population(encode_population([Member(members[0].genome, np.nan, -1)]))
    assert np.isnan(failed.fitness)


def message(members: list[Member]) -> dict[str, Any]:
    unpacked: dict[str, Any] = msgpack.unpackb(encode_population(members)[len(MAGIC) :])
    return unpacked


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "format 2"),
        ({"format": True}, "format True"),
        ({"fitness": b"x" * 79}, "expected fitness as 80 bytes"),
        ({"species": 3}, "expected species as 80 bytes"),
        ({"fitness": [1.0]}, "max_array_len"),
        ({"genomes": [b"rubbish"] * 10}, "genome 0: "),
        ({"genomes": ["text"] * 10}, "genome 0 is no bytes|max_str_len"),
        ({"genomes": [{}] * 10}, "genome 0 is no bytes"),
        ({"genomes": 3}, "."),
    ],
)
def test_what_is_wrong_is_refused(
    members: list[Member], change: dict[str, Any], reason: str
) -> None:
    data = MAGIC + msgpack.packb(message(members) | change)
    with pytest.raises(FormatError, match=reason):
        decode_population(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"tweann checkpoint\n",
        MAGIC,
        MAGIC + b"\x84",
        MAGIC + b"\xdf\xff\xff\xff\xff",
        MAGIC + msgpack.packb({"format": 1}) + b"x",
        MAGIC
        + b"\x84\xa6format\x01\xa7fitness\xc4\x00\xa7species\xc4\x00\xa7genomes\xdd\xff\xff\xff\xff",
        MAGIC + b"\x84\xa6format" + b"\x91" * 100_000,
    ],
)
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_population(data)


def test_every_cut_is_refused(members: list[Member]) -> None:
    data = encode_population(members[:2])
    for length in range(len(data)):
        with pytest.raises(FormatError):
            decode_population(data[:length])
    with pytest.raises(FormatError, match="1 bytes behind its end"):
        decode_population(data + b"x")


def test_the_last_population_of_a_run_goes_to_a_file_and_into_a_storage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "run": {"generations": 3},
        "task": {"name": "xor"},
        "strategy": {"population": 12},
        "observers": {},
    }
    assert tweann.run(config, out=tmp_path).run_dir is not None
    file, database = tmp_path / "mine.twpop", tmp_path / "other.db"
    command = ["export", "latest", "--out", str(tmp_path), "--population", str(file)]
    assert main(command) == 0
    members = decode_population(file.read_bytes())
    assert len(members) == 12
    assert main(["import", str(file), "--to", f"sqlite:///{database}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["genomes"] == 12
    settings = SqliteSettings(url=f"sqlite:///{database}")
    with closing(SqliteStorage(settings, "mine")) as storage:
        found = list(storage.events("individual"))
    assert [event.data["genome_id"] for event in found] == [m.genome.genome_id for m in members]
    assert [event.data["fitness"] for event in found] == [m.fitness for m in members]
    file.write_bytes(b"rubbish")
    assert main(["import", str(file), "--to", f"sqlite:///{tmp_path}/x.db"]) == 3
    assert "not a population file" in capsys.readouterr().err
    assert main(["import", "latest", "--out", str(tmp_path), "--to", "memory:"]) == 2
    assert "storage that lasts" in capsys.readouterr().err


def test_a_run_that_has_not_ended_has_no_population_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "20260101-000000_x_s1"
    folder.mkdir()
    (folder / "config.toml").write_text("")
    assert main(["export", str(folder), "--population", str(tmp_path / "p")]) == 2
    assert "it is written when a run ends" in capsys.readouterr().err
