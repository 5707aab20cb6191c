"""The base of all sections, and the sections that say what a run keeps of itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys, no silent conversions, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CheckpointSettings(Section):
    """When the whole state of the run is written to its folder, for `tweann resume`."""

    enabled: bool = Field(True, description="Write checkpoints, where the run has a folder.")
    seconds: float = Field(
        10.0,
        ge=0,
        description="Time between two, at least; longer where writing would cost over 5 %. One more is "
        "written at the end.",
    )
    keep: int = Field(
        3, ge=1, le=1000, description="How many are kept, in case the newest is damaged."
    )


class LineageSettings(Section):
    """What is kept of births and deaths, for `tweann lineage`."""

    enabled: bool = Field(True, description="Keep who was born of whom and how, and who died when.")
    batch: int = Field(
        4096,
        ge=1,
        le=1_000_000,
        description="Births that are written together; until then they wait in memory, and in checkpoints.",
    )
    max_births: int = Field(
        1_000_000,
        ge=1,
        description="Births kept in the storage, the newest, and at least the last 16 times `batch`. The champion's "
        "line is kept beyond.",
    )
    max_generations: int = Field(
        100_000, ge=1, description="Generations of which births are kept, likewise."
    )
