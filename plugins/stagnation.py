"""The controller ``stagnation``: more and stronger mutation while the champion stays the same.

Severity is in [0, 1]. What it should be is the share of ``patience`` that has passed without a better champion; it follows
that by exponential smoothing, fast up and slowly down, so that a lucky step does not end the search that led to it.

Source: rising mutation under stagnation, as in triggered hypermutation: Cobb, "An investigation into the use of
hypermutation as an adaptive operator in genetic algorithms having continuous, time-dependent nonstationary environments"
(1990). The asymmetric smoothing is ours.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from tweann.config import Section
from tweann.controls import Controls
from tweann.hookspecs import hookimpl
from tweann.records import GenerationReport, RunInfo


class StagnationSettings(Section):
    """Section [observers.stagnation]."""

    patience: int = Field(
        20, ge=1, description="Generations without a better champion that are full severity."
    )
    rise: float = Field(
        0.5, gt=0, le=1, description="Share of the way that severity goes up in a generation."
    )
    fall: float = Field(
        0.1, gt=0, le=1, description="Share of the way that it goes down in a generation."
    )
    factors: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: {
            "mutation.weight_power": 2.0,
            "mutation.add_connection_rate": 2.0,
            "mutation.add_node_rate": 2.0,
        },
        description="By what settings are multiplied at full severity. By default 2 for `mutation.weight_power`, "
        "`mutation.add_connection_rate` and `mutation.add_node_rate`.",
    )


class Stagnation:
    """Multiplies settings by factor^severity, within their bounds."""

    Settings: ClassVar[type[BaseModel]] = StagnationSettings

    def __init__(self, settings: StagnationSettings, run: RunInfo) -> None:
        del run
        self._settings = settings

    @hookimpl
    def tweann_settings_controlled(self, report: GenerationReport, controls: Controls) -> None:
        """Note whether the champion is better, and set what follows from that."""
        s, memory = self._settings, controls.memory
        best, idle = float(memory.get("best", -math.inf)), int(memory.get("idle", 0))
        if report.champion_fitness > best:  # false for NaN: all failed so far
            best, idle = report.champion_fitness, 0
        else:
            idle += 1
        severity = float(memory.get("severity", 0.0))
        goal = min(1.0, idle / s.patience)
        severity += (goal - severity) * (s.rise if goal > severity else s.fall)
        memory |= {"best": best, "idle": idle, "severity": severity}
        for name, factor in s.factors.items():
            controls.set(name, controls.bounds(name).initial * factor**severity, clip=True)
