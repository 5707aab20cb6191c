"""Parity, and XOR, its case of two bits: the smallest tasks that need hidden nodes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from tweann.tasks.base import TaskInfo, names
from tweann.tasks.settings import TaskSettings
from tweann.tasks.table import TableTask

Score = Literal["paper", "squared"]

_SCORE = (
    "Fitness: `paper` is (rows − Σ|error|)², as in the NEAT paper; `squared` is rows − Σ error², as in "
    "neat-python."
)
_CONSTANT = "A last input, `bias`, that is always 1."


class _ParityTask(TableTask):
    """All rows of bits, in counting order (the first bit counts most), and whether the number of ones is odd."""

    def __init__(self, name: str, bits: int, constant: bool, score: Score, baseline: str) -> None:
        rows = np.arange(2**bits)
        columns = [rows >> (bits - 1 - bit) & 1 for bit in range(bits)]
        targets = np.bitwise_xor.reduce(columns)
        if constant:
            columns.append(np.ones_like(rows))
        info = TaskInfo(
            name=name,
            version=1,
            kind="table",
            inputs=names("x", bits) + (("bias",) if constant else ()),
            outputs=("odd",),
            input_ranges=((0.0, 1.0),) * bits + ((1.0, 1.0),) * constant,
            output_ranges=((0.0, 1.0),),
            output_activation="steep_sigmoid",
            solved=f"every output of the {2**bits} rows is on the right side of 0.5",
            baseline=baseline,
        )
        super().__init__(
            info, np.stack(columns, axis=1), targets[:, np.newaxis], loss=score, solved_share=1.0
        )


class Xor(_ParityTask):
    """XOR of two bits, as in the NEAT paper."""

    class Settings(TaskSettings):
        """Section [task]."""

        constant: bool = Field(default=True, description=_CONSTANT)
        score: Score = Field(default="paper", description=_SCORE)

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            "xor",
            2,
            settings.constant,
            settings.score,
            # Stanley & Miikkulainen (2002), section 4.1
            "NEAT, population 150: 4,755 evaluations on average, never more than 13,459",
        )


class Parity(_ParityTask):
    """Whether the number of ones among some bits is odd."""

    class Settings(TaskSettings):
        """Section [task]."""

        bits: int = Field(default=3, ge=2, le=10, description="How many bits.")
        constant: bool = Field(default=True, description=_CONSTANT)
        score: Score = Field(default="paper", description=_SCORE)

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            "parity",
            settings.bits,
            settings.constant,
            settings.score,
            "one and the same answer to all rows is right in half of them",
        )
