"""Runs the contract of a plugin in a process of its own: ``tweann plugins check``.

The process writes a line of JSON for each promise that it takes up, and one for what came of it; so it is known which
promise was being tested when a plugin took the process down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from tweann.errors import MissingExtraError, PluginError
from tweann.registry import Registry

if TYPE_CHECKING:
    import pytest

#: The contract of each kind, and the attribute that it takes the class in.
CONTRACTS: Final = {
    "strategy": ("StrategyContract", "strategy"),
    "storage": ("StorageContract", "storage"),
    "backend": ("BackendContract", "backend_class"),
    "task": ("TaskContract", "task_class"),
}
KEPT: Final = "kept"
BROKEN: Final = "broken"
NOT_APPLICABLE: Final = "not applicable"

_MODULE = """\
from tweann.testing import {contract}
from tweann.testing.checking import subject


class TestPlugin({contract}):
    {attribute} = subject({kind!r}, {name!r}, {files!r})
    settings = {settings!r}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one promise of a contract."""

    test: str  #: name of the test, with its parameters
    promise: str  #: in words
    outcome: str  #: "kept", "broken" or "not applicable"
    reason: str = ""  #: why, where it is not kept
    place: str = ""  #: file and line of the plugin's where it was broken, if it raised

    def data(self) -> dict[str, str]:
        """Return the values by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def subject(kind: str, name: str, files: Sequence[str]) -> type[Any]:
    """Return the class that is registered as ``name``, here or by one-file plugins."""
    registry = Registry.load()
    for file in files:
        registry.register_file(file)
    found: type[Any] = registry.resolve(kind, name)
    return found


def check(
    kind: str, name: str, registry: Registry, settings: Mapping[str, Any] | None = None
) -> list[Verdict]:
    """Run the contract on a plugin and return what came of each promise, in the contract's order.

    Args:
        kind: of `CONTRACTS`.
        name: what it is registered as.
        registry: knows it; the process loads the installed plugins, and the one-file plugins of this.
        settings: of its section of the configuration; what it needs, or small caps.

    Raises:
        PluginError: there is no such plugin, or it cannot be loaded.
        MissingExtraError: pytest is not installed.
    """
    if find_spec("pytest") is None:
        raise MissingExtraError("to check a plugin needs pytest: pip install 'tweann[test]'")
    registry.resolve(kind, name)
    contract, attribute = CONTRACTS[kind]
    with TemporaryDirectory(prefix="tweann-check-") as folder:
        test, log = Path(folder, "test_plugin.py"), Path(folder, "verdicts.jsonl")
        test.write_text(
            _MODULE.format(
                contract=contract,
                attribute=attribute,
                kind=kind,
                name=name,
                files=list(registry.files),
                settings=dict(settings or {}),
            ),
            encoding="utf-8",
        )
        Path(folder, "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tweann.testing.checking", str(test), str(log)],
            # No pytest plugins of others: they may change what a test means.
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    verdicts, begun = _read(lines)
    if begun is not None:
        verdicts.append(
            Verdict(
                **begun,
                outcome=BROKEN,
                reason=f"the process ended here, with status {done.returncode}: {_end(done.stdout)}",
            )
        )
    if not verdicts:
        raise PluginError(f"{kind} {name!r} cannot be checked: {_end(done.stdout)}")
    return verdicts


def _read(lines: Sequence[str]) -> tuple[list[Verdict], dict[str, str] | None]:
    """Return the verdicts, and what was begun and not ended."""
    verdicts: list[Verdict] = []
    begun: dict[str, str] | None = None
    for line in lines:
        entry: dict[str, str] = json.loads(line)
        if "outcome" in entry:
            verdicts.append(Verdict(**entry))
            begun = None
        else:
            begun = entry
    return verdicts, begun


def _end(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return " | ".join(lines[-8:])


class Recorder:
    """A plugin of pytest that writes down what comes of each test."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Hear that a test begins; its words follow with the first phase."""
        self._nodeid = nodeid
        self._ended = False

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Write down that a test begins."""
        self._write(_description(item))

    def record(self, item: pytest.Item, report: pytest.TestReport, error: Any) -> None:
        """Write down what came of a phase of a test, if that ends it."""
        if self._ended or (report.passed and report.when != "call"):
            return
        self._ended = True
        entry = {**_description(item), "outcome": KEPT, "reason": "", "place": ""}
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"
            entry |= {"outcome": NOT_APPLICABLE, "reason": reason.removeprefix("Skipped: ")}
        elif report.failed:
            entry |= {"outcome": BROKEN, "reason": _reason(error), "place": _place(error)}
        self._write(entry)

    def _write(self, entry: Mapping[str, str]) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _description(item: pytest.Item) -> dict[str, str]:
    words = getattr(getattr(item, "function", None), "__doc__", None) or item.name
    return {"test": item.name, "promise": words.strip().split("\n")[0]}


def _reason(error: Any) -> str:
    """Return what was raised, without the values that pytest adds to an assertion with a message."""
    value = error.value
    text = str(value).split("\nassert ")[0].strip()
    if isinstance(value, AssertionError) and text:
        return text
    return f"{type(value).__name__}: {text}".rstrip(": ")


def _place(error: Any) -> str:
    """Return the last line that is the plugin's own, if an exception came from there."""
    ours = str(Path(__file__).parent.parent)
    for entry in reversed(error.traceback):
        path = str(entry.path)
        if not path.startswith(ours) and f"{os.sep}site-packages{os.sep}_pytest" not in path:
            if Path(path).name == "test_plugin.py" or f"{os.sep}pluggy{os.sep}" in path:
                continue
            return f"{path}:{entry.lineno + 1}"
    return ""


def main(test: str, log: str) -> int:
    """Run the tests of a file and write what comes of them to ``log``."""
    import pytest

    recorder = Recorder(Path(log))

    class Wrapper:
        """Hands each report on, with the exception behind it."""

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(
            self, item: pytest.Item, call: pytest.CallInfo[None]
        ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
            report = yield
            recorder.record(item, report, call.excinfo)
            return report

    arguments = [test, "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--tb=short"]
    return int(pytest.main(arguments, plugins=[recorder, Wrapper()]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
