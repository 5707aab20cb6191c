"""What docs/tutorial.md says of its strategy is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from cli_process import tweann
from tutorial import PAGE, source

ROOT = Path(__file__).parent.parent

TEST = """
from comma import Comma
from tweann.testing import StrategyContract


class TestComma(StrategyContract):
    strategy = Comma
    settings = {"parents": 4}
"""


def test_it_has_at_most_fifty_lines() -> None:
    lines = [line for line in source().splitlines()[1:] if line.strip()]
    assert 30 <= len(lines) <= 50


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    (tmp_path / "comma.py").write_text(source())
    (tmp_path / "test_comma.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_check_says_of_the_first_version_what_the_page_says(tmp_path: Path) -> None:
    page = PAGE.read_text()
    (first, *_) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "comma.py").write_text(first)
    done = tweann("plugins", "check", "comma", "--plugin", "comma.py", folder=tmp_path)
    assert done.returncode == 3
    (said,) = re.findall(r"^```text\n(.*?)^```$", page, re.M | re.S)
    assert done.stdout.replace(f"{tmp_path}/", "") == said


def test_its_strengths_adapt_and_it_solves_the_task(tmp_path: Path) -> None:
    from tweann import Evolution, Registry

    file = tmp_path / "comma.py"
    file.write_text(source())
    registry = Registry.load()
    registry.register_file(file)
    sections = {
        "run": {"generations": 40, "stop_when_solved": False},
        "task": {"name": "single-pole"},
        "strategy": {"name": "comma", "parents": 20},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    try:
        with Evolution(sections, registry=registry) as run:
            assert run.run().solved
            strength = run.pool.view()["strength"]
    finally:
        del sys.modules["tweann_plugin_comma"]
    assert len(strength) == 20
    assert np.unique(strength).size > 1
    assert (strength > 0.0).all()


def test_its_speed_is_measured_against_the_built_in_strategys() -> None:
    # What it comes to is for a quiet machine to say: here only that both run.
    done = subprocess.run(
        [sys.executable, "bench/tutorial.py", "--repeats", "1", "--evaluations", "3000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    speeds = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()[1:]}
    assert speeds.keys() == {"50", "150", "1,000", "5,000"}
    assert all(speed > 0.0 for speed in speeds.values())
