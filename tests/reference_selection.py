"""The slow twins of selection: who breeds, who stays, and what a generation adds up to, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reference import Stream

Child = tuple[str, int, int]  # operator, parent_a, parent_b


@dataclass
class Neat:
    """Settings; names as in the kernels' parameters, the selection by name."""

    selection: str = "truncation"
    survival: float = 0.2
    tournament_size: int = 3
    elitism: int = 1
    elitism_min_size: int = 5
    crossover_rate: float = 0.75
    crossover_mutate_rate: float = 1.0
    interspecies_rate: float = 0.001
    stagnation: int = 15
    population_stagnation: int = 20


def known(fitness: Sequence[float]) -> list[float]:
    """Return fitness with -inf for failures."""
    return [-math.inf if math.isnan(f) else f for f in fitness]


def best_first(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=lambda i: -values[i])


def above_least(fitness: Sequence[float]) -> list[float]:
    finite = [f for f in fitness if f > -math.inf]
    least = min(finite, default=0.0)
    scale = 1e-290 if max(map(abs, finite), default=0.0) > 1e290 else 1.0
    scale = 1.0 / 1e290 if scale != 1.0 else 1.0
    return [f * scale - least * scale if f > -math.inf else 0.0 for f in fitness]


def share_out(shares: Sequence[float], n: int) -> list[int]:
    total = 0.0
    for share in shares:
        total += share
    exact = [share / total * n for share in shares]
    counts = [math.floor(e) for e in exact]
    rest = [e - c for e, c in zip(exact, counts, strict=True)]
    for i in best_first(rest)[: n - sum(counts)]:
        counts[i] += 1
    return counts


def may_breed(
    best: Sequence[float], improved: Sequence[int], now: int, champion_improved: int, p: Neat
) -> list[bool]:
    order = best_first(best)
    if p.population_stagnation and now - champion_improved > p.population_stagnation:
        return [s in order[:2] for s in range(len(best))]
    fresh = [p.stagnation == 0 or now - i <= p.stagnation for i in improved]
    return [ok or s == order[0] for s, ok in enumerate(fresh)]


def plan_generation(
    fitness: Sequence[float],
    position: Sequence[int],
    sizes: Sequence[int],
    breeds: Sequence[bool],
    n: int,
    p: Neat,
    rng: Stream,
) -> tuple[list[Child], list[list[int]], list[int]]:
    """Return the children, the rows of each species best first, and the representatives."""
    ranks = known(fitness)
    species = [
        sorted((i for i in range(len(ranks)) if position[i] == s), key=lambda i: -ranks[i])
        for s in range(len(breeds))
    ]
    representatives = [rows[rng.below(len(rows))] for rows in species]
    shifted = above_least(ranks)
    shares = []
    for rows, ok in zip(species, breeds, strict=True):
        total = 0.0
        for i in rows:
            total += shifted[i]
        shares.append(total / len(rows) if ok else 0.0)
    if not any(shares):
        shares = [float(ok) for ok in breeds]
    least = 1e-9 * (max(shifted) or 1.0)
    total, running, before = 0.0, [0.0], []
    for rows in species:
        before.append(len(running) - 1)
        for i in rows:
            total += shifted[i] + least
            running.append(total)

    def parent(s: int) -> int:
        rows = species[s]
        if p.selection == "truncation":
            return rows[rng.below(math.ceil(p.survival * len(rows)))]
        if p.selection == "tournament":
            return rows[min(rng.below(len(rows)) for _ in range(p.tournament_size))]
        low, high = running[before[s]], running[before[s] + len(rows)]
        point = low + rng.uniform() * (high - low)
        for rank, row in enumerate(rows):
            if running[before[s] + rank + 1] > point:
                return row
        return rows[-1]

    children: list[Child] = []
    for s, count in enumerate(share_out(shares, n)):
        for _ in range(count):
            a, b = parent(s), parent(s)
            if rng.uniform() < p.interspecies_rate and len(species) > 1:
                other = rng.below(len(species) - 1)
                b = species[other + (other >= s)][0]
            crossed, mutated = rng.uniform() < p.crossover_rate, False
            mutated = rng.uniform() < p.crossover_mutate_rate
            if not crossed or a == b:
                children.append(("MUTATE", a, -1))
                continue
            if (-ranks[b], sizes[b]) < (-ranks[a], sizes[a]):
                a, b = b, a
            children.append(("CROSSOVER_MUTATE" if mutated else "CROSSOVER", a, b))
    return children, species, representatives


def keep_best(fitness: Sequence[float], rows: Sequence[int], n: int) -> list[int]:
    return sorted(sorted(rows, key=lambda i: -fitness[i])[: max(n, 0)])


def select_generation(
    old: Sequence[float],
    new: Sequence[float],
    species: Sequence[Sequence[int]],
    population: int,
    p: Neat,
) -> list[int]:
    fitness = known([*old, *new])
    children = list(range(len(old), len(fitness)))
    elites: set[int] = set()
    if old and p.elitism:
        elites = {best_first(fitness[: len(old)])[0]}
        for rows in species:
            if len(rows) >= p.elitism_min_size:
                elites |= set(rows[: p.elitism])
    kept = keep_best(fitness, sorted(elites), max(1, population // 2))
    if population == 1 and kept:
        return [max(children + kept, key=lambda i: fitness[i])]
    return kept + keep_best(fitness, children, population - len(kept))


def follow_species(
    position: Sequence[int],
    fitness: Sequence[float],
    now: int,
    best: list[float],
    improved: list[int],
) -> tuple[list[bool], float]:
    for s, f in zip(position, fitness, strict=True):
        if f > best[s]:
            best[s], improved[s] = f, now
    return [s in position for s in range(len(best))], max(known(fitness), default=-math.inf)
