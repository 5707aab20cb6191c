"""Where map-elites and novelty get their descriptors from: the task, or the sizes of genomes."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from pydantic import Field, field_validator

from tweann.config.sections import Section
from tweann.errors import ConfigError
from tweann.genes import Float
from tweann.interfaces import StrategyContext
from tweann.pool import RowsView

#: Tasks that come with tweann and describe behaviour, for the message.
TASKS_WITH_DESCRIPTOR: Final = ("arm", "maze", "sphere-projection")
#: Bounds for ``size``, where the configuration gives none: hidden nodes, connections.
_SIZES: Final = (("hidden_nodes", 0.0, 15.0), ("connections", 0.0, 60.0))


class DescriptorSettings(Section):
    """Settings that both strategies share."""

    descriptor: Literal["task", "size"] = Field(
        "task",
        description="What tells genomes apart: `task`: the behaviour that the task describes. `size`: "
        "the numbers of hidden nodes and of connections, for any task.",
    )
    bounds: tuple[tuple[float, float], ...] | None = Field(
        None,
        description="Lowest and highest value of each dimension of the descriptor; by default the "
        "task's, and for `size` 0 to 15 hidden nodes and 0 to 60 connections.",
    )

    @field_validator("bounds")
    @classmethod
    def _ordered(
        cls, bounds: tuple[tuple[float, float], ...] | None
    ) -> tuple[tuple[float, float], ...] | None:
        for low, high in bounds or ():
            if low >= high:
                raise ValueError(
                    f"expected a lower bound below the upper one, came {low} and {high}"
                )
        return bounds


class Descriptors:
    """The descriptors of rows, and their bounds.

    Attributes:
        names: of the dimensions.
        low, high: (d,) bounds.

    Args:
        settings: what to take.
        context: of the strategy.
        strategy: whom to name in an error.

    Raises:
        ConfigError: the task has no descriptor, its bounds are infinite, or other bounds are given for another
            number of dimensions.
    """

    def __init__(
        self, settings: DescriptorSettings, context: StrategyContext, strategy: str
    ) -> None:
        self._size, task = settings.descriptor == "size", context.task
        dimensions = _SIZES if self._size else task.descriptor
        if not dimensions:
            raise ConfigError(
                f"strategy {strategy} needs a behaviour descriptor, and task {task.name} has none (of the built-in "
                f"tasks {', '.join(TASKS_WITH_DESCRIPTOR)} have one): choose such a task, let yours give one, or "
                'set strategy.descriptor = "size"'
            )
        bounds = settings.bounds or tuple((low, high) for _, low, high in dimensions)
        if len(bounds) != len(dimensions):
            raise ConfigError(
                f"strategy.bounds: expected {len(dimensions)} pairs, one for each dimension of the descriptor "
                f"({', '.join(name for name, _, _ in dimensions)}), came {len(bounds)}"
            )
        self.names = tuple(name for name, _, _ in dimensions)
        self.low: Float = np.array([low for low, _ in bounds], dtype=np.float64)
        self.high: Float = np.array([high for _, high in bounds], dtype=np.float64)
        if not (np.isfinite(self.low) & np.isfinite(self.high) & (self.low < self.high)).all():
            raise ConfigError(
                f"strategy {strategy}: the descriptor of task {task.name} has bounds that are infinite or no range: "
                "set strategy.bounds"
            )
        self._outside = task.n_inputs + task.n_outputs

    def __len__(self) -> int:
        return len(self.names)

    def of(self, rows: RowsView) -> Float:
        """Return (n, d) descriptors, as they are."""
        if not self._size:
            return rows.descriptor
        return np.stack((rows.n_nodes - self._outside, rows.n_connections), axis=1).astype(float)

    def scaled(self, rows: RowsView) -> Float:
        """Return (n, d) descriptors, what lies within the bounds in [0, 1]."""
        scaled: Float = (self.of(rows) - self.low) / (self.high - self.low)
        return scaled
