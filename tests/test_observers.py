"""Observers of a run: called in order, cut off when they fail, refused when they could never be called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sample_plugins
from sample_plugins import HEARD

from tweann.config import Config, load
from tweann.errors import PluginError
from tweann.observers import Observers
from tweann.records import GenerationReport, Result, RunInfo
from tweann.registry import Registry
from tweann.tasks.base import TaskInfo

REPORT = GenerationReport(0, 10, 0, 1.0, 0.5, 0.1, 0.0, 1.0, 3.0, 2.0, 0.1)
RESULT = Result(None, "finished", "generations", False, 1, 10, 0.1, None)


@pytest.fixture
def registry() -> Registry:
    registry = Registry.load()
    registry.register_module(sample_plugins, distribution="samples")
    return registry


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    HEARD.clear()
    yield
    HEARD.clear()


def configured(registry: Registry, **observers: Any) -> tuple[Config, RunInfo]:
    source = {
        "task": {"name": "toy"},
        "strategy": {"name": "still"},
        "storage": {"url": "ledger:"},
        "observers": observers,
    }
    config = load(source, registry=registry)
    return config, RunInfo("run", 1, None, config, TaskInfo("toy", 1, "python", ("a",), ("b",)))


def test_every_hook_reaches_the_observers_in_the_configurations_order(registry: Registry) -> None:
    config, run = configured(registry, **{"other-diary": {"name": "b"}, "diary": {"name": "a"}})
    observers = Observers(registry, config, run)
    champion: Any = object()
    observers.run_started(run)
    observers.champion_found(champion)
    observers.migrants_received([])
    observers.generation_finished(REPORT)
    observers.checkpoint_written(Path("here"))
    observers.run_finished(RESULT)
    assert [
        (name, hook, what)
        for hook, what in (
            ("run_started", run),
            ("champion_found", champion),
            ("migrants_received", []),
            ("generation_finished", REPORT),
            ("checkpoint_written", Path("here")),
            ("run_finished", RESULT),
        )
        for name in "ba"
    ] == HEARD


def test_an_observer_may_leave_out_arguments_and_ask_to_be_first(registry: Registry) -> None:
    config, run = configured(registry, diary={}, sleeper={})
    observers = Observers(registry, config, run)
    observers.run_started(run)
    observers.run_finished(RESULT)
    assert [(name, hook) for name, hook, _ in HEARD] == [
        ("diary", "run_started"),
        ("sleeper", "run_started"),
        ("sleeper", "run_finished"),
        ("diary", "run_finished"),
    ]


@pytest.mark.parametrize(
    "hook",
    [
        "run_started",
        "champion_found",
        "migrants_received",
        "generation_finished",
        "checkpoint_written",
        "run_finished",
    ],
)
def test_an_observer_that_raises_is_reported_once_and_hears_no_more(
    registry: Registry, hook: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run = configured(registry, **{"diary": {"fail_in": hook}, "other-diary": {"name": "b"}})
    observers = Observers(registry, config, run)
    calls: dict[str, Any] = {
        "run_started": run,
        "champion_found": object(),
        "migrants_received": [],
        "generation_finished": REPORT,
        "checkpoint_written": Path("here"),
        "run_finished": RESULT,
    }
    for name in (*calls, hook):
        getattr(observers, name)(calls[name])
    position = list(calls).index(hook)
    assert [name for who, name, _ in HEARD if who == "diary"] == list(calls)[:position]
    assert [name for who, name, _ in HEARD if who == "b"] == [*calls, hook]
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert (
        "observer 'diary' of samples is disabled for the rest of the run: "
        f"tweann_{hook} raised RuntimeError: no ink in {hook}"
    ) in error
    assert list(observers.disabled) == ["diary"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("misspelt", {}, "no hook 'tweann_generation_finnished'; did you mean"),
        ("misplaced", {}, "tweann_tasks would never be called here: it goes into the registration"),
        ("deaf", {}, "implements no hook"),
        ("diary", {"fail_in": "__init__"}, "cannot be made: RuntimeError: no paper"),
    ],
)
def test_an_observer_that_cannot_work_is_refused_before_the_run(
    registry: Registry, name: str, settings: dict[str, str], message: str
) -> None:
    config, run = configured(registry, **{name: settings})
    with pytest.raises(PluginError, match=message) as caught:
        Observers(registry, config, run)
    assert f"observer {name!r} of samples" in str(caught.value)


def test_an_observer_that_no_configuration_names_hears_nothing(registry: Registry) -> None:
    config, run = configured(registry)
    Observers(registry, config, run).run_started(run)
    assert HEARD == []
