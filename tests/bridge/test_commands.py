"""The bridge's commands, as people call them."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bridge_parts import arrive, endpoint, island, wait_until
from click.testing import CliRunner

from tweann.bridge.commands import hub, keys
from tweann.config import load

ROOT = Path(__file__).parent.parent.parent


def tweann(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tweann", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_keys_are_made_and_the_public_one_is_shown(tmp_path: Path) -> None:
    result = CliRunner().invoke(keys, ["new", "alpha", "--dir", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert stat.S_IMODE(Path(found["secret"]).stat().st_mode) == 0o600
    secret = Path(found["secret"]).read_text().split('secret-key = "')[1][:40]
    assert secret not in result.output
    shown = CliRunner().invoke(keys, ["new", "beta", "--dir", str(tmp_path)]).output
    table = "[tweann]" + shown.partition("[tweann]")[2]
    import tomllib

    (name,) = tomllib.loads(table)["tweann"]
    assert name == "beta"


def test_a_hub_serves_until_it_is_told_to_stop() -> None:
    at = {"publish": endpoint(), "subscribe": endpoint()}
    process = tweann("hub", "--publish", at["publish"], "--subscribe", at["subscribe"])
    a, b = island("a", hub=at), island("b", hub=at)
    try:
        arrive(a, b, 1.0, seconds=60.0)
    finally:
        a.close()
        b.close()
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "messages forwarded" in errors
    assert output == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--publish", "nowhere"], "--publish"),
        (["--rate", "-1"], "--rate"),
    ],
)
def test_a_wrong_option_of_the_hub_is_named(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(hub, arguments)
    assert result.exit_code == 2
    assert message in result.output


CONFIG = """
[run]
name = "isle"
generations = 5000
stop_when_solved = {stop}

[task]
name = "xor"

[strategy]
population = 30

[bridge]
topology = "full"
every = 1
least_seconds = 0
heartbeat_seconds = 0.1
silence_seconds = 2.0
"""


def test_a_cluster_runs_islands_that_hear_each_other(tmp_path: Path) -> None:
    file = tmp_path / "isle.toml"
    file.write_text(CONFIG.format(stop="true"))
    out = tmp_path / "runs"
    process = tweann(
        "cluster", str(file), "-n", "3", "--out", str(out), "--json",
        "--set", "run.stop_when_solved=false", "--set", "run.generations=400",
    )  # fmt: skip
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    rows = json.loads(output)
    assert [row["name"] for row in rows] == ["isle-0", "isle-1", "isle-2"]
    assert all(row["status"] == "finished" for row in rows)
    assert all(row["generations"] == 400 for row in rows)
    assert (
        len({row["champion"]["genome_id"] for row in rows} | {row["n_evaluations"] for row in rows})
        > 1
    )
    folders = sorted(out.iterdir())
    assert len(folders) == 3
    heard = [json.loads((folder / "peers.json").read_text()) for folder in folders]
    assert any(status["received"]["accepted"] for status in heard)
    assert {status["name"] for status in heard} == {"isle-0", "isle-1", "isle-2"}
    for folder in folders:
        name = folder.name.split("_")[1]
        peers = load(folder / "config.toml").data()["bridge"]["peers"]
        assert {peer["name"] for peer in peers} == {"isle-0", "isle-1", "isle-2"}
        assert load(folder / "config.toml").data()["bridge"]["name"] == name


def test_a_cluster_that_is_interrupted_ends_all_islands_in_order(tmp_path: Path) -> None:
    file = tmp_path / "isle.toml"
    file.write_text(CONFIG.format(stop="false").replace("5000", "500000"))
    out = tmp_path / "runs"
    process = tweann("cluster", str(file), "-n", "2", "--out", str(out), "--json")
    wait_until(
        lambda: (
            out.exists() and len(list(out.glob("*/peers.json"))) == 2 and process.poll() is None
        ),
        120.0,
    )
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert [row["status"] for row in json.loads(output)] == ["interrupted"] * 2
    assert len(list(out.glob("*/champion.json"))) == 2


@pytest.mark.parametrize("file", sorted((ROOT / "examples/cluster").glob("*.toml")), ids=str)
def test_examples_of_clusters_are_valid(file: Path) -> None:
    if file.stem in ("allow", "peers"):
        return
    # `tweann cluster` chooses the addresses
    config = load(file, {"bridge.bind": "tcp://127.0.0.1:5700"} if file.stem == "local" else ())
    assert config.bridge is not None
    assert config.bridge.settings.model_dump()["topology"] == "ring"


def test_the_cluster_examples_fit_each_other() -> None:
    from tweann.bridge.security import AllowList
    from tweann.bridge.settings import read_peers

    folder = ROOT / "examples/cluster"
    peers = read_peers(folder / "peers.toml")
    allow = AllowList(folder / "allow.toml", "tweann")
    names = {file.stem for file in folder.glob("*.toml")} - {"allow", "peers", "local"}
    assert {peer.name for peer in peers} == names
    assert {allow.name_of(str(peer.key)) for peer in peers} == names
    for name in names:
        bridge = load(folder / f"{name}.toml").bridge
        assert bridge is not None
        assert bridge.name == name
