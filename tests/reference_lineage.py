"""Lineage, slowly: with sets and dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def deaths(before: Sequence[int], children: Sequence[int], stayed: Iterable[int]) -> list[int]:
    """Return who was not selected, in order; ``stayed`` are birth numbers."""
    return [birth for birth in [*before, *children] if birth not in set(stayed)]


def on_lines(parents: Mapping[int, int], alive: Iterable[int]) -> set[int]:
    """Return all births that are on the line of somebody; ``parents`` gives the dominant one of each."""
    found = set()
    for birth in alive:
        while birth in parents:
            found.add(birth)
            birth = parents[birth]
    return found
