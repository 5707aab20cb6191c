"""Lineage, slowly: with sets and dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def deaths(before: Sequence[int], told: Sequence[int], index: Sequence[int]) -> list[int]:
    """Return who was not selected, in order."""
    stays = set(index)
    return [birth for k, birth in enumerate([*before, *told]) if k not in stays]


def on_lines(parents: Mapping[int, int], alive: Iterable[int]) -> set[int]:
    """Return all births that are on the line of somebody; ``parents`` gives the dominant one of each."""
    found = set()
    for birth in alive:
        while birth in parents:
            found.add(birth)
            birth = parents[birth]
    return found
