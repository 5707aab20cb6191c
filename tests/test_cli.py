"""The command line: what it prints where, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from distributions import install, registration

from tweann.cli import main, program
from tweann.registry import Registry

XOR = """
[run]
name = "small-xor"
generations = 3
stop_when_solved = false
[task]
name = "xor"
[strategy]
population = 20
"""
RESULT_KEYS = {
    "run_dir",
    "status",
    "stop_reason",
    "solved",
    "generations",
    "n_evaluations",
    "n_failed",
    "seconds",
    "champion",
    "metrics",
}


@pytest.fixture
def xor(tmp_path: Path) -> Path:
    file = tmp_path / "xor.toml"
    file.write_text(XOR)
    return file


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "xor.toml").write_text(XOR)
    assert main(["run", str(folder / "xor.toml"), "--quiet", "--out", str(folder / "runs")]) == 0
    return folder / "runs"


def tweann(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; ``path`` is put on ``sys.path``."""
    environment = os.environ | ({} if path is None else {"PYTHONPATH": str(path)})
    return subprocess.run(
        [sys.executable, "-m", "tweann", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def last_json(text: str) -> Any:
    return json.loads(text.strip().splitlines()[-1])


# --- usage ---


def test_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in (
        "config",
        "doctor",
        "evaluate",
        "export",
        "list",
        "plugins",
        "run",
        "show",
        "tasks",
    ):
        (line,) = [line for line in lines if line.split()[:1] == [command]]
        assert len(line.split()) > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "no such command 'rnu'; did you mean 'run'?"),
        (["run"], "Missing argument 'FILE'"),
        (["run", "x.toml", "--sed", "1"], "--sed"),
        (["run", "x.toml", "--seed", "-1"], "--seed"),
        (["run", "absent.toml"], "absent.toml: no such file"),
        (["config", "check", "absent.toml"], "absent.toml: no such file"),
        (["config", "schema", "--markdown", "--json"], "exclude each other"),
        (["show", "absent", "--out", "nowhere"], "nowhere"),
        (["export", "latest", "--format", "xml"], "xml"),
    ],
)
def test_a_mistake_ends_with_status_2_and_no_traceback(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_without_an_installation_the_program_says_how_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "default_registry", lambda: Registry.load([]))
    assert main(["run", "x.toml"]) == 2
    assert "pip install -e ." in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "pip install -e ." in capsys.readouterr().out


# --- run ---


def test_run_ends_with_one_json_object_and_progress_goes_to_standard_error(
    xor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(xor), "--json", "--out", str(xor.parent / "out")]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert set(result) == RESULT_KEYS
    assert (result["status"], result["stop_reason"]) == ("finished", "generations")
    assert (result["generations"], result["n_evaluations"]) == (3, 60)
    assert set(result["champion"]) == {"genome_id", "fitness", "n_nodes", "n_connections"}
    assert Path(result["run_dir"]).parent == xor.parent / "out"
    assert "small-xor" in captured.err


def test_run_without_json_prints_a_summary_and_quiet_no_progress(
    xor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(xor), "--quiet", "--out", str(xor.parent / "out")]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "finished (generations)" in captured.out
    assert "60" in captured.out


def test_seed_workers_and_set_override_the_file(
    xor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for options in (["--seed", "7", "--workers", "1"], ["--set", "run.seed=7"], ["--seed", "8"]):
        arguments = [
            "run",
            str(xor),
            *options,
            "--json",
            "--quiet",
            "--out",
            str(xor.parent / "out"),
        ]
        assert main(arguments) == 0
        found.append(json.loads(capsys.readouterr().out))
    first, second, other = (result["champion"]["genome_id"] for result in found)
    assert first == second != other
    resolved = tomllib.loads((Path(found[0]["run_dir"]) / "config.toml").read_text())
    assert (resolved["run"]["seed"], resolved["evaluation"]["workers"]) == (7, 1)
    assert list(resolved["observers"]) == ["metrics"]


def test_a_faulty_configuration_is_reported_whole_and_makes_no_folder(
    xor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xor.write_text(XOR.replace("population", "popluation"))
    assert main(["run", str(xor), "--set", "run.sed=1", "--out", str(xor.parent / "out")]) == 2
    captured = capsys.readouterr()
    assert "2 faults in the configuration" in captured.err
    assert f"{xor}:9: strategy.popluation: no such key; did you mean 'population'?" in captured.err
    assert "--set run.sed: no such key; did you mean 'seed'?" in captured.err
    assert captured.out == ""
    assert not (xor.parent / "out").exists()


def test_the_first_interrupt_ends_a_run_cleanly_with_status_130(xor: Path) -> None:
    runs = xor.parent / "out"
    arguments = [
        "run",
        str(xor),
        "--json",
        "--out",
        str(runs),
        "--set",
        "run.generations=100000000",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "tweann", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not any(file.stat().st_size for file in runs.glob("*/metrics.jsonl")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the run wrote nothing within a minute"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in error
    result = last_json(output)
    assert (result["status"], result["stop_reason"]) == ("interrupted", "interrupted")
    assert result["champion"] is not None
    assert (Path(result["run_dir"]) / "champion.tweann").exists()


# --- stored runs ---


def test_list_names_the_runs(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--out", str(out), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["status"], row["generations"]) == ("finished", 3)
    assert main(["list", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert row["run"] in text
    assert "finished" in text


def test_show_gives_the_summary_and_the_generations(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "latest", "--out", str(out), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [report["generation"] for report in shown["generation_reports"]] == [0, 1, 2]
    assert shown["genome"]["n_inputs"] == 3
    assert shown["genome"]["activations"]
    assert main(["show", shown["run"], "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "small-xor" in text
    assert "mean_connections" in text
    assert "champion's n_hidden" in text
    assert "steep_sigmoid" in text


def test_export_writes_the_champion_in_a_readable_form(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "latest", "--out", str(out)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert main(["export", "latest", "--out", str(out), "--output", str(tmp_path / "c.json")]) == 0
    assert json.loads((tmp_path / "c.json").read_text(encoding="utf-8")) == printed
    assert len(printed["genome"]["nodes"]) == printed["n_nodes"]
    assert capsys.readouterr().out == ""


def test_evaluate_finds_the_champions_fitness_again(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "latest", "--out", str(out)]) == 0
    champion = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "latest", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fitness"] == champion["fitness"]


# --- configurations ---


def test_config_check_reports_as_text_and_as_json(
    xor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", str(xor)]) == 0
    assert capsys.readouterr().out.startswith(f"{xor}: ok\nmemory, once all caps are reached")
    assert main(["config", "check", str(xor), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("memory")["bytes"] > 0
    assert found == {"ok": True, "faults": []}
    assert main(["config", "check", str(xor), "--json", "--set", "strategy.population=0"]) == 2
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault["key"] == "strategy.population"
    assert fault["source"] == "--set strategy.population"


def test_config_show_prints_a_file_that_says_the_same(
    xor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "show", str(xor), "--set", "run.seed=3"]) == 0
    shown = capsys.readouterr().out
    tables = tomllib.loads(shown)
    assert tables["run"]["seed"] == 3
    assert tables["strategy"]["population"] == 20
    xor.write_text(shown)
    assert main(["config", "show", str(xor)]) == 0
    assert capsys.readouterr().out == shown
    assert main(["config", "show", str(xor), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == tables


def test_config_schema_is_a_json_schema_or_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == ["task"]
    assert main(["config", "schema", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# Configuration\n")


# --- plugins ---


def test_plugins_and_tasks_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in rows} >= {"strategy", "task", "backend", "storage", "observer"}
    assert main(["tasks", "--json"]) == 0
    tasks = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert tasks["xor"]["outputs"]
    assert tasks["xor"]["solved"]
    assert tasks["table"]["needs"]
    assert [row for row in tasks.values() if "error" in row] == []


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed distributions: a rotten one, and one with commands and a task."""
    folder = tmp_path / "site"
    install(folder, "rotten", "0.3", entry_points={"rotten": "rotten"}, modules={"rotten": "1/0"})
    commands = (
        "import click\n"
        "from tweann.errors import TaskError\n"
        "from pydantic import BaseModel\n"
        "@click.command()\n"
        "def greet():\n"
        "    click.echo('hello')\n"
        "    return 5\n"
        "class Empty:\n"
        "    class Settings(BaseModel):\n"
        "        pass\n"
        "    def __init__(self, settings):\n"
        "        raise TaskError('there is no data')\n"
    )
    install(
        folder,
        "greeter",
        "1.2",
        entry_points={"greeter": "greeter_registration"},
        modules={
            "greeter_registration": registration(
                tweann_commands="{'greet': 'greeter:greet', 'odd': 'greeter:Empty', 'show': 'm:c'}",
                tweann_tasks="{'empty': 'greeter:Empty'}",
            ),
            "greeter": commands,
        },
    )
    return folder


def test_a_plugins_command_is_listed_unimported_and_run(site: Path) -> None:
    shown = tweann("--help", path=site)
    assert "(of greeter 1.2)" in shown.stdout
    greeted = tweann("greet", path=site)
    assert (greeted.stdout, greeted.stderr, greeted.returncode) == ("hello\n", "", 5)
    odd = tweann("odd", path=site)
    assert odd.returncode == 2
    assert "command 'odd' of greeter 1.2 must be a click.Command" in odd.stderr
    clash = tweann("show", "latest", path=site)
    assert clash.returncode == 2
    assert "greeter 1.2" in clash.stderr
    assert "tweann 0." in clash.stderr


def test_a_broken_plugin_is_reported_by_plugins_doctor_and_run(site: Path, xor: Path) -> None:
    listed = tweann("plugins", path=site)
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("(broken)")]
    assert line.split()[1:4] == ["rotten", "rotten", "0.3"]
    assert "ZeroDivisionError" in line
    ran = tweann("run", str(xor), "--quiet", "--out", str(xor.parent / "out"), path=site)
    assert ran.returncode == 0
    assert "warning: plugin 'rotten' of rotten 0.3: ZeroDivisionError" in ran.stderr
    examined = json.loads(tweann("doctor", "--json", path=site).stdout)
    assert examined["ok"]
    warnings = [check["name"] for check in examined["checks"] if check["status"] == "warning"]
    assert {"plugin rotten", "plugin show"} <= set(warnings)


def test_a_run_that_fails_ends_with_status_3(site: Path, xor: Path) -> None:
    failed = tweann("run", str(xor), "--set", "task.name=empty", path=site)
    assert failed.returncode == 3
    assert "tweann: there is no data" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert failed.stdout == ""


# --- terminals and pipes ---


def test_a_table_on_a_terminal_is_drawn_and_elsewhere_plain() -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tweann", "plugins"],
        stdout=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(follower)
    drawn = _read_all(leader)
    assert process.wait() == 0
    assert "generational" in drawn
    assert "─" in drawn
    plain = tweann("plugins").stdout
    assert plain.isascii()
    assert "\x1b" not in plain
    assert [line for line in plain.splitlines() if line != line.rstrip()] == []


def _read_all(descriptor: int) -> str:
    chunks = []
    with open(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                chunk = terminal.read(65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
    return b"".join(chunks).decode()


def test_numbers_that_json_lacks_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    from tweann.cli.output import emit_json

    data: Mapping[str, Any] = {"a": float("nan"), "b": [float("inf"), 1.5], "c": ({"d": -1e999},)}
    emit_json(data)
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": [{"d": None}]}
