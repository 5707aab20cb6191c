"""What all genomes of a run have in common: sizes, caps, column groups and the names behind the codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tweann.errors import ConfigError
from tweann.genes import (
    ACTIVATIONS,
    COLUMN_GROUPS,
    MAX_CONNECTIONS,
    MAX_NODES,
    Float,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of a genome.

    Attributes:
        n_inputs, n_outputs: how many sensors and actuators there are.
        max_nodes: cap on a genome's nodes, inputs and outputs included.
        max_connections: cap on its connections.
        recurrent: whether it may have recurrent connections.
        groups: optional column groups in use, names of `COLUMN_GROUPS`.
        dt: the task's time step, > 0, for nodes with dynamics.
        weight_bound: plasticity keeps weights within ± this, > 0.
        activations: the name of each activation code: the built-in ones, then plugins'.
        custom: addresses of the plugins' activations, in order.
    """

    n_inputs: int
    n_outputs: int
    max_nodes: int = 1000
    max_connections: int = 10_000
    recurrent: bool = False
    groups: tuple[str, ...] = ()
    dt: float = 1.0
    weight_bound: float = math.inf
    activations: tuple[str, ...] = ACTIVATIONS
    custom: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __post_init__(self) -> None:
        if self.n_inputs < 0 or self.n_outputs < 1:
            raise ConfigError(
                f"a network needs at least one output, came {self.n_inputs} inputs and {self.n_outputs} outputs"
            )
        if not self.n_inputs + self.n_outputs <= self.max_nodes <= MAX_NODES:
            raise ConfigError(
                f"genome.max_nodes must lie between {self.n_inputs + self.n_outputs} (inputs and outputs) "
                f"and {MAX_NODES}, came {self.max_nodes}"
            )
        if not 0 <= self.max_connections <= MAX_CONNECTIONS:
            raise ConfigError(
                f"genome.max_connections must lie between 0 and {MAX_CONNECTIONS}, came {self.max_connections}"
            )
        if not 0.0 < self.dt < math.inf or not self.weight_bound > 0.0:
            raise ConfigError(
                f"expected a time step in (0, inf) and a weight bound > 0, came dt = {self.dt} and "
                f"weight_bound = {self.weight_bound}"
            )

    @property
    def activation_codes(self) -> Mapping[str, int]:
        """The code of each activation that genomes may have."""
        return _codes(self.activations)

    @property
    def node_columns(self) -> tuple[tuple[str, float], ...]:
        """Names and defaults of the optional node columns."""
        return tuple(c for group in self.groups for c in COLUMN_GROUPS[group].node)

    @property
    def connection_columns(self) -> tuple[tuple[str, float], ...]:
        """Names and defaults of the optional connection columns."""
        return tuple(c for group in self.groups for c in COLUMN_GROUPS[group].connection)

    @property
    def genome_columns(self) -> tuple[tuple[str, float], ...]:
        """Names and defaults of the optional values of a whole genome."""
        return tuple(c for group in self.groups for c in COLUMN_GROUPS[group].genome)

    @property
    def node_defaults(self) -> Float:
        """(n_extra,) values of the optional columns of a new node."""
        return np.array([default for _, default in self.node_columns], dtype=np.float64)

    @property
    def connection_defaults(self) -> Float:
        """(n_extra,) values of the optional columns of a new connection."""
        return np.array([default for _, default in self.connection_columns], dtype=np.float64)


@lru_cache(16)
def _codes(names: tuple[str, ...]) -> Mapping[str, int]:
    return {name: code for code, name in enumerate(names)}
