"""Strategies that share one pool: each sees the rows of its own, as if there were no others.

What `tweann.strategies.portfolio` and `tweann.strategies.islands` have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from tweann.errors import ConfigError, PluginError
from tweann.genes import Int, Role
from tweann.interfaces import BreedingPlan, SaysSize, State, Strategy, Survivors
from tweann.pool import BroodView, PoolView

#: Groups of children of one tenant, at most; so a child's group says whose it is and which.
_GROUPS: Final = 1 << 20
_MEMBER: Final = np.uint8(Role.MEMBER)


class Tenants:
    """The strategies, numbered; a column of the pool says whose each row is.

    Args:
        column: its name.
        strategies: by the names that their state and metrics go by; no name with "_" is the beginning of another.

    Attributes:
        columns: that column and all columns of the strategies.

    Raises:
        ConfigError: two strategies have a column of one name and of different types.
    """

    def __init__(self, column: str, strategies: Mapping[str, Strategy]) -> None:
        self._column = column
        self._names, self._strategies = tuple(strategies), tuple(strategies.values())
        self.columns: dict[str, DTypeLike] = {column: np.int64}
        for name, strategy in strategies.items():
            for own, dtype in strategy.columns.items():
                if np.dtype(self.columns.setdefault(own, dtype)) != np.dtype(dtype):
                    raise ConfigError(
                        f"{name} cannot share a pool with the others: its column {own!r} is of {np.dtype(dtype)}, "
                        f"another strategy's of {np.dtype(self.columns[own])}"
                    )

    def __len__(self) -> int:
        return len(self._strategies)

    def rows(self, pool: PoolView, tenant: int) -> Int:
        """Return the rows of one, in its order."""
        return np.flatnonzero(pool[self._column] == tenant)

    def ask(self, pool: PoolView, tenant: int, n: int, rng: Generator) -> BreedingPlan:
        """Return one's plan, its parents as rows of the whole pool."""
        rows = self.rows(pool, tenant)
        plan = self._strategies[tenant].ask(pool.part(rows), n, rng)
        plan.check(rows.size, self._names[tenant], self._strategies[tenant].columns)
        if not 1 <= len(plan) <= n:
            raise PluginError(
                f"{self._names[tenant]}: expected a plan for 1 to {n} children, came one for {len(plan)}"
            )
        homes = np.append(rows, -1)  # -1, no parent, indexes the -1 at the end
        return BreedingPlan(
            plan.operator,
            homes[plan.parent_a],
            homes[plan.parent_b],
            plan.strength,
            plan.values,
            plan.group,
            plan.tuned,
            {**plan.columns, self._column: np.full(len(plan), tenant)},
        )

    def tell(self, pool: PoolView, brood: BroodView, told: Sequence[int], home: Int) -> Survivors:
        """Let some select among their own; the rows of all others stay as they are.

        Args:
            pool: all rows.
            brood: all children.
            told: who was asked, and is told now, though it may be of nobody.
            home: (n_brood,) whose each child is.
        """
        index: list[Int] = []
        parts: dict[str, list[Any]] = {name: [] for name in (*self.columns, "species", "role")}
        for tenant in range(len(self)):
            rows, at = self.rows(pool, tenant), np.flatnonzero(home == tenant)
            own = np.concatenate((rows, len(pool) + at))
            found = Survivors(np.arange(rows.size), pool.role[rows])
            if tenant in told and own.size:
                found = self._told(tenant, pool.part(rows), self._part(brood, at))
            chosen = np.asarray(found.index)
            if chosen.size and not (chosen.min() >= 0 and chosen.max() < own.size):
                raise PluginError(
                    f"{self._names[tenant]}: survivors must be rows 0 to {own.size - 1}, came {chosen.tolist()[:10]}"
                )
            stay = own[chosen]
            index.append(stay)
            for name, values in parts.items():
                if name == self._column:
                    values.append(np.full(stay.size, tenant))
                elif name == "role":
                    role = found.role
                    values.append(np.full(stay.size, _MEMBER) if role is None else role)
                elif name in found.columns:
                    values.append(np.asarray(found.columns[name]))
                else:
                    values.append(np.concatenate((pool[name], brood[name]))[stay])
        joined = {name: np.concatenate(values) for name, values in parts.items()}
        role = joined.pop("role")
        return Survivors(np.concatenate(index), role, joined)

    def _told(self, tenant: int, pool: PoolView, brood: BroodView) -> Survivors:
        strategy = self._strategies[tenant]
        found = strategy.tell(pool, brood)
        for name in found.columns:
            if name not in strategy.columns and name != "species":
                raise PluginError(f"{self._names[tenant]}: {name!r} is not a column of its own")
        return found

    @staticmethod
    def _part(brood: BroodView, at: Int) -> BroodView:
        """Return a tenant's children, in the groups that it knows them by."""
        part = brood.part(at)
        if part.group.max(initial=0) >= _GROUPS:
            part._rows["group"][:] %= _GROUPS  # the part's own copy
        return part

    def state(self) -> dict[str, Any]:
        """Return what all remember."""
        return {
            f"{name}_{key}": value
            for name, strategy in zip(self._names, self._strategies, strict=True)
            for key, value in strategy.state().items()
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``; what is not the tenants' in it is passed over."""
        for name, strategy in zip(self._names, self._strategies, strict=True):
            prefix = f"{name}_"
            strategy.restore(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )

    def max_bytes(self, n_values: int) -> int:
        """Return what those that say so hold."""
        sizes = (s.max_bytes(n_values) for s in self._strategies if isinstance(s, SaysSize))
        return sum(sizes)

    def metrics(self) -> dict[str, float]:
        """Return the metrics of all, by name."""
        return {
            f"{name}_{key}": value
            for name, strategy in zip(self._names, self._strategies, strict=True)
            for key, value in strategy.metrics().items()
        }


def joined(plans: Sequence[BreedingPlan], groups: int = _GROUPS) -> BreedingPlan:
    """Return plans, at least one, of one pool as one plan, in their order.

    Args:
        plans: of one tenant each.
        groups: by how much their groups are set apart; 0: they are parts of one tenant's plan.
    """
    if len(plans) == 1:
        return plans[0]
    sizes = [len(plan) for plan in plans]
    pairs = list(zip(plans, sizes, strict=True))
    strength = values = group = tuned = None
    if any(plan.strength is not None for plan in plans):
        strength = np.concatenate(
            [np.ones(n) if p.strength is None else p.strength for p, n in pairs]
        )
    if any(plan.tuned is not None for plan in plans):
        tuned = np.concatenate(
            [np.ones(n, np.bool_) if p.tuned is None else p.tuned for p, n in pairs]
        )
    if any(plan.group is not None for plan in plans):
        own = [np.zeros(n, np.int64) if p.group is None else p.group for p, n in pairs]
        group = np.concatenate([k * groups + part for k, part in enumerate(own)])
    widths = [0 if plan.values is None else plan.values.shape[1] for plan in plans]
    if max(widths):
        values = np.zeros((sum(sizes), max(widths)))
        at = 0
        for plan, n, width in zip(plans, sizes, widths, strict=True):
            if plan.values is not None:
                values[at : at + n, :width] = plan.values
            at += n
    names = {name for plan in plans for name in plan.columns}
    columns = {
        name: np.concatenate([plan.columns.get(name, np.zeros(n)) for plan, n in pairs])
        for name in sorted(names)
    }
    return BreedingPlan(
        np.concatenate([plan.operator for plan in plans]).astype(np.uint8, copy=False),
        np.concatenate([plan.parent_a for plan in plans]),
        np.concatenate([plan.parent_b for plan in plans]),
        strength,
        values,
        group,
        tuned,
        columns,
    )
