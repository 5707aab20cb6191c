"""How long a command takes to start: whole processes, with everything compiled before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = ["run", "xor.toml", "--out", "runs"]
COMMANDS = {
    "import": ["-c", "import tweann"],
    "help": ["-m", "tweann", "--help"],
    "run": ["-m", "tweann", *RUN],
}
XOR = '[run]\ngenerations = 100\n[task]\nname = "xor"\n'


@pytest.mark.parametrize("command", list(COMMANDS))
def test_process(benchmark: Any, tmp_path: Path, command: str) -> None:
    (tmp_path / "xor.toml").write_text(XOR)

    def start() -> None:
        subprocess.run(
            [sys.executable, *COMMANDS[command]], cwd=tmp_path, check=True, capture_output=True
        )

    start()
    benchmark.pedantic(start, rounds=5)
