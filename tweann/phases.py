"""Phased searching: genomes grow for a while, then are pruned for a while, by turns.

While they grow, nothing is deleted; while they are pruned, nothing is added. Growth ends when the mean number of
connection genes is ``room`` above where it began; pruning ends when that mean has not fallen for ``patience``
generations, and what it was at its lowest is where growth begins again.

Source: Green, "Phased searching with NEAT: alternating between complexification and simplification" (2004).
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np

from tweann.genes import MUTATIONS, Float
from tweann.interfaces import State

_ADDS: Final = np.array([name.startswith("add_") for name in MUTATIONS])
_DELETES: Final = np.array([name.startswith("delete_") for name in MUTATIONS])


class Phases:
    """Which of the two phases a run is in.

    Args:
        room: connection genes, > 0.
        patience: generations, >= 1.

    Attributes:
        pruning: whether genomes are being pruned.
    """

    def __init__(self, room: float, patience: int) -> None:
        self._room, self._patience = room, patience
        self.pruning = False
        self._floor: float | None = None  # where growth began; None: nothing is known yet
        self._lowest, self._waited = np.inf, 0

    def allowed(self, rates: Float) -> Float:
        """Return rates, (n_operators,), without those that the phase forbids."""
        return np.where(_ADDS if self.pruning else _DELETES, 0.0, rates)

    def look(self, mean: float) -> None:
        """Take the mean number of connection genes of the population after a generation."""
        if self._floor is None:
            self._floor = mean
        if not self.pruning:
            if mean > self._floor + self._room:
                self.pruning, self._lowest, self._waited = True, mean, 0
        elif mean < self._lowest:
            self._lowest, self._waited = mean, 0
        else:
            self._waited += 1
            if self._waited >= self._patience:
                self.pruning, self._floor = False, self._lowest

    def state(self) -> State:
        """Return what is remembered."""
        return {
            "pruning": self.pruning,
            "floor": -1.0 if self._floor is None else self._floor,
            "lowest": float(self._lowest),
            "waited": self._waited,
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        floor = cast(float, state["floor"])
        self.pruning = bool(state["pruning"])
        self._floor = None if floor < 0.0 else floor
        self._lowest, self._waited = cast(float, state["lowest"]), cast(int, state["waited"])
