"""The configuration of a run: its sections, how it is read, what is wrong with it."""

from __future__ import annotations

from tweann.config.errors import Fault, FaultyConfigError
from tweann.config.loading import load
from tweann.config.sections import (
    BridgeSection,
    ComplexitySettings,
    Config,
    EvaluationSection,
    GenomeSettings,
    MutationSettings,
    NoSettings,
    RunSettings,
    Section,
    SpeciesSettings,
    StorageSection,
    StrategySection,
    TaskSection,
    TuningSettings,
)

__all__ = [
    "BridgeSection",
    "ComplexitySettings",
    "Config",
    "EvaluationSection",
    "Fault",
    "FaultyConfigError",
    "GenomeSettings",
    "MutationSettings",
    "NoSettings",
    "RunSettings",
    "Section",
    "SpeciesSettings",
    "StorageSection",
    "StrategySection",
    "TaskSection",
    "TuningSettings",
    "load",
]
