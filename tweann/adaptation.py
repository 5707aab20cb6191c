"""Rates of mutation that are learned from success: adaptive operator selection by probability matching.

Once a generation each operator is credited with the share of its children that are better than their (first) parent.
Its rate is the configured one times its share of all credit, a share of 1/K leaving it as it is.

Source: Thierens, "An adaptive pursuit strategy for allocating operator probabilities" (GECCO 2005), eqs. 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np

from tweann.genes import Bool, Float, Int
from tweann.interfaces import State
from tweann.phases import Phases
from tweann.pool import Brood, GenomePool

#: How much of a credit is forgotten in a generation.
MEMORY: Final = 0.1
#: The least share of an operator, of what it would have if all were equal: none is given up for ever.
LEAST: Final = 0.2


class OperatorCredit:
    """What each mutation operator has been worth.

    Args:
        rates: (n_operators,) configured rates; those that are 0 stay 0.

    Attributes:
        quality: (n_operators,) moving average of success, in [0, 1]; 1 at first, so that all are tried.
    """

    def __init__(self, rates: Float) -> None:
        self._base = rates.copy()
        self.quality: Float = np.ones(rates.size)

    @property
    def rates(self) -> Float:
        """(n_operators,) in [0, 1]: the rates of the next breeding."""
        active = self._base > 0.0
        k = max(int(active.sum()), 1)
        quality = np.where(active, self.quality, 0.0)
        total = float(quality.sum())
        share = quality / total if total > 0.0 else np.full(quality.size, 1.0 / k)
        probability = LEAST / k + (1.0 - LEAST) * share
        return np.minimum(self._base * probability * k, 1.0)

    def learn(self, applied: Int, better: Bool) -> None:
        """Take the outcome of a generation.

        Args:
            applied: (n,) bits of the operators of each child.
            better: (n,) whether the child is better than its parent.
        """
        for operator in range(self.quality.size):
            its = (applied >> operator & 1).astype(np.bool_)
            n = int(its.sum())
            if n:
                success = int(better[its].sum()) / n
                self.quality[operator] += MEMORY * (success - self.quality[operator])

    def rebase(self, rates: Float) -> None:
        """Let ``rates`` count as the configured ones."""
        self._base = rates.copy()

    def state(self) -> State:
        """Return what is remembered."""
        return {"quality": self.quality.copy()}

    def restore(self, state: State) -> None:
        """Go on from ``state``.

        Raises:
            ValueError: it is none of as many operators.
        """
        quality = np.array(state["quality"], dtype=np.float64)
        if quality.shape != self.quality.shape or not ((quality >= 0.0) & (quality <= 1.0)).all():
            raise ValueError(f"expected {self.quality.size} shares, came {state['quality']!r:.60}")
        self.quality = quality


def outcomes(pool: GenomePool, brood: Brood) -> tuple[Bool, Bool]:
    """Return of which children the first parent is still in the pool, and which of them are better than it, (n,)."""
    ids, rows = pool.rows["id"].tolist(), brood.rows
    fitness = dict(zip(ids, pool.rows["fitness"].tolist(), strict=True))
    parents = np.array([fitness.get(parent, np.nan) for parent in rows["parent_a"].tolist()])
    known = ~np.isnan(parents)
    return known, rows["fitness"] > parents  # false where the child failed


class RateControl:
    """What changes the rates of mutation as a run goes on: success, phases, observers, or several of these.

    Args:
        rates: (n_operators,) configured rates.
        credit: learns from success, or None.
        phases: forbid some operators in turn, or None.
        counts: whether to count how many children are better than their parents.
    """

    def __init__(
        self,
        rates: Float,
        credit: OperatorCredit | None,
        phases: Phases | None,
        counts: bool = False,
    ) -> None:
        self._base, self.credit, self.phases = rates.copy(), credit, phases
        self._counts, self._n_compared, self._n_better = counts, 0, 0

    @property
    def rates(self) -> Float:
        """(n_operators,) in [0, 1]: the rates of the next breeding."""
        rates = self._base if self.credit is None else self.credit.rates
        return rates if self.phases is None else self.phases.allowed(rates)

    def rebase(self, rates: Float) -> None:
        """Let ``rates``, (n_operators,), count as the configured ones."""
        self._base = rates.copy()
        if self.credit is not None:
            self.credit.rebase(rates)

    def compare(self, pool: GenomePool, brood: Brood) -> None:
        """Learn from how the children of an evaluated brood compare with their first parents."""
        if self.credit is None and not self._counts:
            return
        known, better = outcomes(pool, brood)
        self._n_compared += int(known.sum())
        self._n_better += int(better[known].sum())
        if self.credit is not None:
            self.credit.learn(brood.applied[known], better[known])

    def take_success(self) -> float:
        """Return the share of children that were better since the last call; NaN: none could be compared."""
        n, better = self._n_compared, self._n_better
        self._n_compared = self._n_better = 0
        return better / n if n else np.nan

    def look(self, mean_connections: float) -> None:
        """Take the population's mean size after a generation."""
        if self.phases is not None:
            self.phases.look(mean_connections)

    def state(self) -> dict[str, State]:
        """Return what is remembered."""
        parts = {"credit": self.credit, "phases": self.phases}
        found = {name: part.state() for name, part in parts.items() if part is not None}
        return found | {"success": {"compared": self._n_compared, "better": self._n_better}}

    def restore(self, state: Mapping[str, State]) -> None:
        """Go on from ``state``.

        Raises:
            KeyError, ValueError: it is none of such a control.
        """
        if self.credit is not None:
            self.credit.restore(state["credit"])
        if self.phases is not None:
            self.phases.restore(state["phases"])
        success = state["success"]
        self._n_compared = cast(int, success["compared"])
        self._n_better = cast(int, success["better"])
