"""The controller ``resources``: fewer workers while the machine is short of memory or of processors.

It changes when results come, not which.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import ClassVar

from pydantic import BaseModel, Field

from tweann.config import Section
from tweann.config.sections import Rate
from tweann.controls import Controls
from tweann.hookspecs import hookimpl
from tweann.memory import Memory, available
from tweann.records import GenerationReport, RunInfo
from tweann.workers import usable_cores


class ResourcesSettings(Section):
    """Section [observers.resources]."""

    free_memory: Rate = Field(
        0.1, description="Share of the memory that should be free: below it half of the workers go."
    )
    load: float = Field(
        1.5,
        ge=0,
        description="Load average a core up to which a worker comes back; above it one goes.",
    )
    seconds: float = Field(5.0, ge=0, description="Time between two looks, at least.")


class Resources:
    """Sets ``evaluation.workers``."""

    Settings: ClassVar[type[BaseModel]] = ResourcesSettings

    def __init__(self, settings: ResourcesSettings, run: RunInfo) -> None:
        del run
        self._settings, self._next = settings, 0.0

    @hookimpl
    def tweann_settings_controlled(self, report: GenerationReport, controls: Controls) -> None:
        """Look at memory and load."""
        del report
        if monotonic() < self._next:
            return
        self._next = monotonic() + self._settings.seconds
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        name = "evaluation.workers"
        wanted = workers_wanted(
            int(controls[name]), available(), load / usable_cores(), self._settings
        )
        controls.set(name, wanted, clip=True)


def workers_wanted(now: int, memory: Memory, load: float, settings: ResourcesSettings) -> int:
    """Return how many workers there should be.

    Args:
        now: how many there are.
        memory: of the machine.
        load: load average of a core.
        settings: what counts as short.
    """
    if (
        memory.free is not None
        and memory.limit
        and memory.free < settings.free_memory * memory.limit
    ):
        return now // 2
    return now - 1 if load > settings.load else now + 1
