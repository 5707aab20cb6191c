"""The controller ``one-fifth``: the power of weight mutation follows the share of children that are better.

Source: Rechenberg, "Evolutionsstrategie" (1973): where more than a fifth of the mutants are successful, steps are too small,
where fewer are, too large. The factor 0.85 is Schwefel's (1981).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field

from tweann.config import Section
from tweann.controls import Controls
from tweann.hookspecs import hookimpl
from tweann.records import GenerationReport, RunInfo


class OneFifthSettings(Section):
    """Section [observers.one-fifth]."""

    target: float = Field(
        0.2, gt=0, lt=1, description="Share of successful children that leaves the power as it is."
    )
    factor: float = Field(
        0.85,
        gt=0,
        lt=1,
        description="The power is multiplied by it where fewer are successful, and divided where more are.",
    )
    least: float = Field(0.1, gt=0, le=1, description="Least power, in units of the configured.")
    most: float = Field(10.0, ge=1, description="Most power, likewise.")


class OneFifth:
    """Sets ``mutation.weight_power`` once a generation."""

    Settings: ClassVar[type[BaseModel]] = OneFifthSettings

    def __init__(self, settings: OneFifthSettings, run: RunInfo) -> None:
        del run
        self._settings = settings

    @hookimpl
    def tweann_settings_controlled(self, report: GenerationReport, controls: Controls) -> None:
        """Compare the success of the generation with the target."""
        del report
        s, name = self._settings, "mutation.weight_power"
        initial, power = controls.bounds(name).initial, controls[name]
        if controls.success_rate > s.target:  # both false for NaN: nothing could be compared
            power /= s.factor
        elif controls.success_rate < s.target:
            power *= s.factor
        controls.set(name, min(max(power, s.least * initial), s.most * initial), clip=True)
