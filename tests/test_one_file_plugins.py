"""Plugins of one file: ``--plugin FILE.py``."""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import tweann

from tweann.config import load
from tweann.errors import ConfigError, PluginError
from tweann.registry import Registry

GREEDY = """
from tweann import hookimpl
from tweann.strategies.generational import Generational


class Greedy(Generational):
    def metrics(self):
        return {**super().metrics(), "greed": 1.0}


@hookimpl
def tweann_strategies():
    return {"NAME": f"{__name__}:Greedy"}
"""
CONFIG = """
[run]
generations = 2
stop_when_solved = false
[task]
name = "xor"
[strategy]
name = "greedy"
population = 10
"""


@pytest.fixture(autouse=True)
def _forget_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("tweann_plugin_"):
            del sys.modules[name]


def plugin(folder: Path, name: str = "greedy", file: str = "greedy.py", text: str = GREEDY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    path.write_text(text.replace("NAME", name))
    return path


def test_its_classes_are_registered_with_the_file_as_their_origin(tmp_path: Path) -> None:
    registry = Registry.load()
    file = plugin(tmp_path)
    registry.register_file(file)
    registry.register_file(str(file))  # twice is once
    row = registry.find("strategy", "greedy")
    assert (row.origin, row.status) == (str(file), "ok")
    assert registry.resolve("strategy", "greedy").__name__ == "Greedy"
    assert registry.files == (str(file),)


def test_two_registries_share_its_classes(tmp_path: Path) -> None:
    file = plugin(tmp_path)
    one, other = Registry.load(), Registry.load()
    one.register_file(file)
    other.register_file(file)
    assert one.resolve("strategy", "greedy") is other.resolve("strategy", "greedy")


def test_a_name_that_is_taken_is_an_error_that_names_both(tmp_path: Path) -> None:
    registry = Registry.load()
    file = plugin(tmp_path, "generational")
    with pytest.raises(PluginError, match=rf"tweann 0\.1\.0 and {file}"):
        registry.register_file(file)
    assert (
        registry.resolve("strategy", "generational").__module__ == "tweann.strategies.generational"
    )
    assert registry.files == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1/0", "ZeroDivisionError: division by zero"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("x = 1", "implements no hook"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    registry = Registry.load()
    with pytest.raises(PluginError, match=message):
        registry.register_file(plugin(tmp_path, text=text))
    assert registry.files == ()


@pytest.mark.parametrize("name", ["absent.py", "greedy.txt", "."])
def test_what_is_no_python_file_is_refused(tmp_path: Path, name: str) -> None:
    plugin(tmp_path, file="greedy.txt")
    with pytest.raises(PluginError, match=r"expected a Python file with registration hooks"):
        Registry.load().register_file(tmp_path / name)


def test_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    registry = Registry.load()
    registry.register_file(plugin(tmp_path / "a"))
    with pytest.raises(PluginError, match="has the same name: rename one of the two files"):
        registry.register_file(plugin(tmp_path / "b", "other"))


def test_a_file_takes_no_modules_place(tmp_path: Path) -> None:
    import random

    Registry.load().register_file(plugin(tmp_path, file="random.py"))
    assert sys.modules["random"] is random


def test_a_run_records_it_and_can_be_evaluated_again_with_it(tmp_path: Path) -> None:
    file = plugin(tmp_path / "elsewhere")
    (tmp_path / "run.toml").write_text(CONFIG)
    done = tweann("run", "run.toml", "--plugin", str(file), "--json", "--quiet", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["metrics"]["greed"] == 1.0
    folder = Path(tmp_path, result["run_dir"])
    assert tomllib.loads((folder / "config.toml").read_text())["run"]["plugins"] == [str(file)]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert json.loads((folder / "environment.json").read_text())["plugins"] == {"greedy.py": digest}
    assert tweann("show", "latest", folder=tmp_path).returncode == 0
    refused = tweann("evaluate", "latest", folder=tmp_path)
    assert refused.returncode == 2
    assert f"if you trust it, add `--plugin {file}`" in refused.stderr
    done = tweann("evaluate", "latest", "--plugin", str(file), "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fitness"] == result["champion"]["fitness"]


def test_a_configuration_does_not_make_code_run(tmp_path: Path) -> None:
    trap = plugin(tmp_path, text="open('sprung', 'w').close()\n" + GREEDY)
    file = tmp_path / "run.toml"
    file.write_text(CONFIG.replace("[run]", '[run]\nplugins = ["greedy.py"]'))
    with pytest.raises(ConfigError, match=r"run\.plugins.*is Python code") as error:
        load(file, (), Registry.load())
    assert f"--plugin {trap}" in str(error.value)
    done = tweann("config", "check", "run.toml", folder=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "sprung").exists()
    done = tweann("config", "check", "run.toml", "--plugin", "greedy.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sprung").exists()


def test_a_file_that_was_moved_is_known_by_its_name(tmp_path: Path) -> None:
    registry = Registry.load()
    new = plugin(tmp_path / "new")
    registry.register_file(new)
    file = tmp_path / "run.toml"
    file.write_text(CONFIG.replace("[run]", '[run]\nplugins = ["/old/place/greedy.py"]'))
    assert load(file, (), registry).run.plugins == (str(new),)


def test_commands_show_it(tmp_path: Path) -> None:
    file = str(plugin(tmp_path))
    rows = json.loads(tweann("plugins", "--plugin", file, "--json").stdout)
    assert any(row["name"] == "greedy" and row["distribution"] == file for row in rows)
    (tmp_path / "run.toml").write_text(CONFIG)
    shown = tweann("config", "show", "run.toml", "--plugin", file, "--json", folder=tmp_path)
    assert json.loads(shown.stdout)["strategy"]["name"] == "greedy"
    absent = tweann("run", "run.toml", "--plugin", "absent.py", folder=tmp_path)
    assert absent.returncode == 2
    assert "expected a Python file" in absent.stderr
