"""Four islands in four network namespaces, with keys, over veth links: where the system lets us make those."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tweann.bridge.security import new_keys, read_keys

NAMES = ("alpha", "beta", "gamma", "delta")
TAG = f"tw{os.getpid() % 10_000}"


def ip(*arguments: str) -> bool:
    """Run ``ip`` and return whether it worked."""
    if shutil.which("ip") is None:
        return False
    done = subprocess.run(["ip", *arguments], capture_output=True, check=False, timeout=20)
    return done.returncode == 0


@pytest.fixture
def spaces() -> Iterator[dict[str, str]]:
    """Names of islands with the addresses of their namespaces, joined by a bridge device."""
    made: list[str] = []
    if os.name != "posix" or os.geteuid() != 0 or not ip("link", "add", TAG, "type", "bridge"):
        pytest.skip("needs the right to make network namespaces")
    try:
        ok = ip("link", "set", TAG, "up")
        for k in range(len(NAMES)):
            space, outer, inner = f"{TAG}{k}", f"{TAG}o{k}", f"{TAG}i{k}"
            ok = ok and ip("netns", "add", space)
            made.append(space)
            ok = ok and ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            ok = ok and ip("link", "set", inner, "netns", space)
            ok = ok and ip("link", "set", outer, "master", TAG, "up")
            ok = ok and ip("-n", space, "addr", "add", f"10.231.7.{k + 1}/24", "dev", inner)
            ok = ok and ip("-n", space, "link", "set", inner, "up")
        if not ok:
            pytest.skip("network namespaces with veth links cannot be made here")
        yield {name: f"10.231.7.{k + 1}" for k, name in enumerate(NAMES)}
    finally:
        for k, space in enumerate(made):
            ip("link", "del", f"{TAG}o{k}")
            ip("netns", "del", space)
        ip("link", "del", TAG)


def test_four_islands_in_four_namespaces_all_get_the_champion(
    spaces: dict[str, str], tmp_path: Path
) -> None:
    public = {}
    for name in NAMES:
        secret, _ = new_keys(name, tmp_path)
        public[name] = read_keys(secret).public.decode()
    (tmp_path / "allow.toml").write_text(
        "\n".join(["[tweann]", *(f"{n} = {json.dumps(key)}" for n, key in public.items()), ""])
    )
    (tmp_path / "peers.toml").write_text(
        "".join(
            f'[[peers]]\nname = "{name}"\nendpoint = "tcp://{spaces[name]}:5700"\n'
            f"key = {json.dumps(public[name])}\n"
            for name in NAMES
        )
    )
    processes = []
    for k, name in enumerate(NAMES):
        file = tmp_path / f"{name}.toml"
        file.write_text(
            f"""
            [run]
            name = "{name}"
            seconds = 25
            stop_when_solved = false
            [task]
            name = "xor"
            [strategy]
            population = 20
            [evaluation]
            workers = 1
            [observers]
            [bridge]
            name = "{name}"
            bind = "tcp://*:5700"
            keys = "{name}.key_secret"
            allow = "allow.toml"
            peers_file = "peers.toml"
            topology = "ring"
            every = 1
            unit = "seconds"
            heartbeat_seconds = 0.2
            silence_seconds = 2.0
            """
        )
        processes.append(
            subprocess.Popen(
                ["ip", "netns", "exec", f"{TAG}{k}", sys.executable, "-m", "tweann", "run",
                 str(file), "--out", str(tmp_path / "runs"), "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    try:
        time.sleep(12.0)  # a link that is down for some seconds in the middle of it
        ip("link", "set", f"{TAG}o1", "down")
        time.sleep(4.0)
        ip("link", "set", f"{TAG}o1", "up")
        ended = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    results = [json.loads(output.splitlines()[-1]) for output, errors in ended]
    assert [result["status"] for result in results] == ["finished"] * 4
    best = max(result["champion"]["fitness"] for result in results)
    assert all(result["champion"]["fitness"] == best for result in results)
    for result in results:
        status = json.loads((Path(result["run_dir"]) / "peers.json").read_text())
        (heard,) = status["peers"].values()
        assert heard["accepted"] > 0
        assert heard["age_seconds"] < 5.0
        assert status["problem"] == ""
