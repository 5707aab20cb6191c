"""Small plugins of every kind, for the tests of registry, configuration and observers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, Field

from tweann import hookimpl
from tweann.controls import Controls
from tweann.records import Champion, GenerationReport, Migrant, Result, RunInfo


class Still:
    """A strategy as far as the configuration is concerned."""

    class Settings(BaseModel):
        population: int = Field(10, ge=1, description="How many.")
        pressure: float = Field(2.0, gt=1)
        table: Path | None = None
        layers: tuple[int, ...] = (3, 4)


class Grow:
    """A task as far as the configuration is concerned."""

    class Settings(BaseModel):
        file: Path
        folds: int = 5


class Toy:
    """A task without needs."""

    class Settings(BaseModel):
        pass


class Greedy:
    """A task that wants a key for itself that is the section's."""

    class Settings(BaseModel):
        name: str = "mine"


class Lane:
    """A back-end as far as the configuration is concerned."""

    class Settings(BaseModel):
        chunk: int = 8


class Ledger:
    """A storage as far as the configuration is concerned."""

    class Settings(BaseModel):
        url: str
        pages: int = 1


class Ferry:
    """An exchange as far as the configuration is concerned."""

    class Settings(BaseModel):
        route: str = "north"


class Diary:
    """An observer that writes down what it hears; ``fail_in`` names the hook in which it raises."""

    heard: list[tuple[str, str, Any]]

    class Settings(BaseModel):
        name: str = "diary"
        fail_in: str = ""

    def __init__(self, settings: Settings, run: RunInfo) -> None:
        self.settings = settings
        if settings.fail_in == "__init__":
            raise RuntimeError("no paper")
        self.heard = HEARD

    def _note(self, hook: str, what: Any) -> None:
        if self.settings.fail_in == hook:
            raise RuntimeError(f"no ink in {hook}")
        self.heard.append((self.settings.name, hook, what))

    @hookimpl
    def tweann_run_started(self, run: RunInfo) -> None:
        self._note("run_started", run)

    @hookimpl
    def tweann_champion_found(self, champion: Champion) -> None:
        self._note("champion_found", champion)

    @hookimpl
    def tweann_migrants_received(self, migrants: Sequence[Migrant]) -> None:
        self._note("migrants_received", migrants)

    @hookimpl
    def tweann_generation_finished(self, report: GenerationReport) -> None:
        self._note("generation_finished", report)

    @hookimpl
    def tweann_settings_controlled(self, report: GenerationReport, controls: Controls) -> None:
        del report
        self._note("settings_controlled", dict(controls))

    @hookimpl
    def tweann_checkpoint_written(self, path: Path) -> None:
        self._note("checkpoint_written", path)

    @hookimpl
    def tweann_run_finished(self, result: Result) -> None:
        self._note("run_finished", result)


#: What all diaries have heard: (name, hook, what).
HEARD: list[tuple[str, str, Any]] = []


class OtherDiary(Diary):
    """A second one, since an observer stands under one name in a run."""


class Sleeper:
    """An observer that leaves out the argument, and hears two things only."""

    class Settings(BaseModel):
        pass

    def __init__(self, settings: Settings, run: RunInfo) -> None:
        del settings, run

    @hookimpl
    def tweann_run_started(self) -> None:
        HEARD.append(("sleeper", "run_started", None))

    @hookimpl(tryfirst=True)
    def tweann_run_finished(self) -> None:
        HEARD.append(("sleeper", "run_finished", None))


class Misspelt(Sleeper):
    @hookimpl
    def tweann_generation_finnished(self) -> None:
        raise AssertionError("nobody calls this")


class Misplaced(Sleeper):
    @hookimpl
    def tweann_tasks(self) -> None:
        raise AssertionError("nobody calls this")


class Deaf:
    """An observer without hooks."""

    class Settings(BaseModel):
        pass

    def __init__(self, settings: Settings, run: RunInfo) -> None:
        del settings, run


@click.command
def greet() -> None:
    """Say hello."""
    click.echo("hello")


def steep(s: float) -> float:
    return 3.0 * s


@hookimpl
def tweann_strategies() -> Mapping[str, str]:
    return {"still": "sample_plugins:Still"}


@hookimpl
def tweann_tasks() -> Mapping[str, str]:
    return {
        "greedy": "sample_plugins:Greedy",
        "grow": "sample_plugins:Grow",
        "toy": "sample_plugins:Toy",
    }


@hookimpl
def tweann_backends() -> Mapping[str, str]:
    return {"lane": "sample_plugins:Lane"}


@hookimpl
def tweann_storages() -> Mapping[str, str]:
    return {"ledger": "sample_plugins:Ledger"}


@hookimpl
def tweann_activations() -> Mapping[str, str]:
    return {"steep": "sample_plugins:steep"}


@hookimpl
def tweann_exchanges() -> Mapping[str, str]:
    return {"ferry": "sample_plugins:Ferry"}


@hookimpl
def tweann_observers() -> Mapping[str, str]:
    return {
        "deaf": "sample_plugins:Deaf",
        "diary": "sample_plugins:Diary",
        "misplaced": "sample_plugins:Misplaced",
        "misspelt": "sample_plugins:Misspelt",
        "other-diary": "sample_plugins:OtherDiary",
        "sleeper": "sample_plugins:Sleeper",
    }


@hookimpl
def tweann_commands() -> Mapping[str, str]:
    return {"greet": "sample_plugins:greet"}
