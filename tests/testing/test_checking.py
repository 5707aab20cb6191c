"""``tweann plugins check``: what it says of sound and of broken plugins, and with which status it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_process import tweann

STRATEGY = """
from pydantic import Field
import numpy as np
from tweann import hookimpl
from tweann.config import Section
from tweann.interfaces import BreedingPlan, Survivors


class Plain:
    class Settings(Section):
        population: int = Field(10, ge=1, description="How many.")
        generous: bool = Field(False, description="Promise too much.")

    columns = {}

    def __init__(self, settings, context):
        self.settings = settings

    def ask(self, pool, n, rng):
        return BreedingPlan.fresh(n)

    def tell(self, pool, brood):
        FLAW
        fitness = np.concatenate((pool.fitness, brood.fitness))
        return Survivors(np.argsort(-fitness, kind="stable")[: self.settings.population])

    def emigrants(self, pool, n, rng):
        return np.arange(len(pool) if self.settings.generous else min(n, len(pool)))

    def state(self):
        return {}

    def restore(self, state):
        pass

    def metrics(self):
        return {}


@hookimpl
def tweann_strategies():
    return {"plain": f"{__name__}:Plain"}
"""


def plugin(folder: Path, flaw: str = "") -> Path:
    file = folder / "plain.py"
    file.write_text(STRATEGY.replace("FLAW", flaw))
    return file


def test_a_sound_plugin_ends_with_status_0() -> None:
    done = tweann("plugins", "check", "serial")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("backend serial of tweann 0.1.0: 1")
    assert "broken" not in done.stdout


def test_a_broken_promise_is_told_in_words_with_the_place(tmp_path: Path) -> None:
    file = plugin(tmp_path, "brood.fitness[0]")  # an IndexError where the brood is empty
    done = tweann("plugins", "check", "plain", "--plugin", str(file))
    assert done.returncode == 3
    line = 1 + file.read_text().splitlines().index("        brood.fitness[0]")
    assert done.stdout.splitlines()[:3] == [
        "broken: A generation none of whose children came back does not stop it.",
        "    IndexError: index 0 is out of bounds for axis 0 with size 0",
        f"    at {file}:{line}",
    ]
    assert "1 broken" in done.stdout


def test_a_setting_can_be_given(tmp_path: Path) -> None:
    arguments = ["plugins", "check", "plain", "--plugin", str(plugin(tmp_path)), "--json"]
    done = tweann(*arguments, "--set", "generous=true")
    assert done.returncode == 3
    verdicts = json.loads(done.stdout)["verdicts"]
    broken = {v["test"]: v["reason"] for v in verdicts if v["outcome"] == "broken"}
    assert set(broken) == {
        "test_emigrants_are_rows_of_the_pool[0]",
        "test_emigrants_are_rows_of_the_pool[1]",
    }
    assert (
        "emigrants(pool, 1, rng) gave 12 rows" in broken["test_emigrants_are_rows_of_the_pool[1]"]
    )


def test_a_plugin_that_takes_the_process_down_is_told(tmp_path: Path) -> None:
    file = plugin(tmp_path, "if len(brood) == 0: import os; os._exit(7)")
    done = tweann("plugins", "check", "plain", "--plugin", str(file))
    assert done.returncode == 3
    assert "broken: A generation none of whose children came back" in done.stdout
    assert "the process ended here, with status 7" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["generationall"],
            "no plugin 'generationall' is registered; did you mean 'generational'?",
        ),
        (["progress"], "no contract for the kind 'observer'; there is one for each of strategy,"),
        (["generational", "--kind", "taks"], "unknown kind of plugin 'taks'; did you mean 'task'?"),
        (["xor", "--set", "bits"], "--set: expected \"key=value\", came 'bits'"),
    ],
)
def test_a_mistake_ends_with_status_2(arguments: list[str], message: str) -> None:
    done = tweann("plugins", "check", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_name_of_two_kinds_asks_for_the_kind(tmp_path: Path) -> None:
    file = plugin(tmp_path)
    file.write_text(
        file.read_text() + "\n\n@hookimpl\ndef tweann_tasks():\n"
        '    return {"plain": "tweann.tasks.parity:Xor"}\n'
    )
    done = tweann("plugins", "check", "plain", "--plugin", str(file))
    assert done.returncode == 2
    assert "'plain' is a strategy and a task: say which with --kind" in done.stderr
