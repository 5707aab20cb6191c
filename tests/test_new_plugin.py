"""What ``tweann new-plugin`` writes installs in a clean environment, and passes its tests at once."""

from __future__ import annotations

import ast
import json
import site
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from cli_process import tweann

from tweann.cli import main
from tweann.cli.new_plugin import KINDS

RUN = """
[run]
generations = 5
stop_when_solved = false
[task]
name = "some-task"
[strategy]
name = "some-strategy"
population = 20
[evaluation]
backend = "some-backend"
[storage]
url = "some-storage:{run_dir}"
"""


def run(*command: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new plugin of each kind."""
    folder = tmp_path_factory.mktemp("new")
    for kind in KINDS:
        target = str(folder / f"some-{kind}")
        assert main(["new-plugin", f"some-{kind}", "--kind", kind, "--folder", target]) == 0
    return folder


@pytest.fixture(scope="module")
def python(folder: Path) -> Path:
    """The Python of a new environment in which they are installed, and all that is installed here is found.

    Nothing is fetched: pip builds and installs with what is there.
    """
    done = run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    assert done.returncode == 0, done.stderr
    scripts = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / Path(sys.executable).name
    python = python if python.exists() else scripts / "python"
    here = {sysconfig.get_path("purelib"), *site.getsitepackages()}
    inside = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder
    )
    # addsitedir, not a plain line: editable installations work by .pth files of their own.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(here)]
    Path(inside.stdout.strip(), "borrowed.pth").write_text("".join(lines))
    packages = [folder / f"some-{kind}" for kind in KINDS]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    done = run(python, "-m", "pip", "install", "--no-index", *options, *packages, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return python


def test_they_are_found_in_the_environment_and_only_there(python: Path, folder: Path) -> None:
    listed = json.loads(tweann("plugins", "--json", python=python, folder=folder).stdout)
    found = {(row["kind"], row["name"]): row for row in listed}
    for kind in KINDS:
        row = found[kind, f"some-{kind}"]
        assert (row["distribution"], row["version"], row["status"]) == (
            f"some-{kind}",
            "0.1.0",
            "ok",
        )
    here = json.loads(tweann("plugins", "--json", folder=folder).stdout)
    assert not any(row["name"].startswith("some-") for row in here)


def test_their_tests_pass_at_once(python: Path, folder: Path) -> None:
    done = run(python, "-m", "pytest", "-q", folder=folder / "some-strategy")
    assert done.returncode == 0, done.stdout
    others = [folder / f"some-{kind}" for kind in KINDS if kind != "strategy"]
    options = ["-q", "--import-mode=importlib", "-W", "error"]
    done = run(python, "-m", "pytest", *options, *others, folder=folder)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_run_uses_them_all(python: Path, folder: Path) -> None:
    (folder / "run.toml").write_text(RUN)
    options = ["--json", "--quiet", "--out", "runs"]
    done = tweann("run", "run.toml", *options, python=python, folder=folder)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["n_evaluations"] == 100
    assert 0.0 <= result["metrics"]["replaced"] <= 1.0
    files = [file for file in folder.glob("runs/*/*.jsonl") if file.name != "metrics.jsonl"]
    assert len(files) == 1
    assert '"run_finished"' in files[0].read_text()


def test_check_runs_the_contract_on_what_is_installed(python: Path, folder: Path) -> None:
    done = tweann("plugins", "check", "some-task", "--json", python=python, folder=folder)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"]
    assert {verdict["outcome"] for verdict in report["verdicts"]} == {"kept", "not applicable"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_has_no_gap_left(folder: Path, kind: str) -> None:
    files = [p for p in (folder / f"some-{kind}").rglob("*") if p.suffix in (".py", ".md", ".toml")]
    assert len(files) >= 6
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "$" not in text
        if path.suffix == ".py":
            ast.parse(text)
            assert max(map(len, text.splitlines()), default=0) <= 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Strategy", "expected a name of lower-case letters and digits"),
        ("my_strategy", "for example my-strategy"),
        ("../evil", "expected a name"),
        ("class", "a package cannot be called 'class'"),
        ("random", "a package cannot be called 'random'"),
        ("generational", "the strategy 'generational' of tweann 0.1.0 has this name already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    name: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["new-plugin", name, "--folder", str(tmp_path / "new")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_is_left_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["new-plugin", "my-strategy", "--folder", str(tmp_path)]) == 2
    assert "is there and not empty: choose another --folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
