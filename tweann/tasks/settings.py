"""The base of tasks' settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class TaskSettings(BaseModel):
    """The section [task] without ``name``: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoTaskSettings(TaskSettings):
    """Nothing to set."""
