"""Twins of the kernels for several objectives and for bounded vectors, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

Row = Sequence[float]


def dominates(a: Row, b: Row) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(
        x > y for x, y in zip(a, b, strict=True)
    )


def cleaned(rows: Sequence[Row]) -> list[Row]:
    """Rows with a NaN are worse than all others."""
    return [
        tuple(-math.inf for _ in row) if any(map(math.isnan, row)) else tuple(row) for row in rows
    ]


def ranks(rows: Sequence[Row]) -> list[int]:
    """Front by front: those that no remaining one dominates."""
    rank = [-1] * len(rows)
    front = 0
    while -1 in rank:
        left = [i for i, r in enumerate(rank) if r < 0]
        for i in [i for i in left if not any(dominates(rows[j], rows[i]) for j in left)]:
            rank[i] = front
        front += 1
    return rank


def crowding(rows: Sequence[Row]) -> list[float]:
    """Kukkonen & Deb (2006): take out the most crowded one, count anew, until only the ends are left."""
    left, found = list(range(len(rows))), [math.inf] * len(rows)
    spans = [max(column) - min(column) for column in zip(*rows, strict=True)]
    usable = [0.0 < span < math.inf for span in spans]

    def distance(i: int) -> float:
        """Deb et al. (2002), crowding-distance-assignment, among those that are left."""
        total = 0.0
        for m, span in enumerate(spans):
            order = sorted(left, key=lambda j: -rows[j][m])
            at = order.index(i)
            if at in (0, len(order) - 1):
                return math.inf
            if usable[m]:
                total += (rows[order[at - 1]][m] - rows[order[at + 1]][m]) / span
        return total

    while True:
        distances = {i: distance(i) for i in left}
        inner = [i for i in left if distances[i] < math.inf]
        if not inner:
            return found
        least = min(distances[i] for i in inner)
        most = max(i for i in inner if distances[i] <= least)
        found[most] = least
        left.remove(most)


def sorted_fronts(rows: Sequence[Row]) -> tuple[list[int], list[float], list[int]]:
    """Rank, crowding, and the order from best to worst."""
    rows = cleaned(rows)
    rank = ranks(rows)
    last = max(rank, default=-1) + 1
    rank = [last if rows[i] in rows[:i] else rank[i] for i in range(len(rows))]  # copies come last
    crowd = [0.0] * len(rows)
    for front in set(rank):
        members = [i for i, r in enumerate(rank) if r == front]
        for i, distance in zip(members, crowding([rows[i] for i in members]), strict=True):
            crowd[i] = distance
    return rank, crowd, sorted(range(len(rows)), key=lambda i: (rank[i], -crowd[i]))


def hypervolume(rows: Sequence[Row], reference: Row) -> float:
    """The area of the union of rectangles, cut into columns at every first coordinate."""
    corners = [r for r in rows if r[0] > reference[0] and r[1] > reference[1]]
    edges = sorted({reference[0], *(r[0] for r in corners)})
    area = 0.0
    for left, right in pairwise(edges):
        height = max(r[1] for r in corners if r[0] >= right)
        area += (right - left) * (height - reference[1])
    return area


class Bounded:
    """Simulated binary crossover and polynomial mutation, with a source of uniform numbers."""

    def __init__(
        self, low: float, high: float, eta_c: float, eta_m: float, uniform: Callable[[], float]
    ) -> None:
        self.low, self.high, self.eta_c, self.eta_m = low, high, eta_c, eta_m
        self.uniform = uniform

    def _clipped(self, x: float) -> float:
        return min(max(x, self.low), self.high)

    def _beta(self, u: float, room: float) -> float:
        """Deb & Goyal (1996): the cumulative distribution, cut off where a child would leave the bounds, inverted."""
        alpha = 2.0 - (1.0 + 2.0 * room) ** -(self.eta_c + 1.0)
        area = u * alpha
        inside = area if area <= 1.0 else 1.0 / (2.0 - area)
        return float(inside ** (1.0 / (self.eta_c + 1.0)))

    def cross(self, one: list[float], other: list[float], rate: float) -> None:
        if self.uniform() >= rate:
            return
        for i, (x, y) in enumerate(zip(one, other, strict=True)):
            if self.uniform() >= 0.5 or abs(x - y) <= 1e-14:
                continue
            u, swap = self.uniform(), self.uniform() < 0.5
            a, b = sorted((x, y))
            first = (a + b) / 2 - self._beta(u, (a - self.low) / (b - a)) * (b - a) / 2
            second = (a + b) / 2 + self._beta(u, (self.high - b) / (b - a)) * (b - a) / 2
            children = self._clipped(first), self._clipped(second)
            one[i], other[i] = children[::-1] if swap else children

    def mutate(self, values: list[float], rate: float) -> None:
        span, power = self.high - self.low, self.eta_m + 1.0
        for i, x in enumerate(values):
            if self.uniform() >= rate:
                continue
            u = self.uniform()
            if u < 0.5:
                room = 1.0 - (x - self.low) / span
                step = (2 * u + (1 - 2 * u) * room**power) ** (1 / power) - 1
            else:
                room = 1.0 - (self.high - x) / span
                step = 1 - (2 * (1 - u) + 2 * (u - 0.5) * room**power) ** (1 / power)
            values[i] = self._clipped(x + step * span)
