"""NEAT's arithmetic of a generation: who breeds with whom, and who stays.

Source: Stanley & Miikkulainen, "Evolving neural networks through augmenting topologies" (2002), section 3.3, and
the program published with it.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tweann.genes import Bool, Float, Int, Operator, UInt8
from tweann.kernels._jit import allocating_kernel, inlined_kernel, kernel
from tweann.kernels.random import UInt64Array, next_below, next_uniform
from tweann.kernels.sorting import sort_descending

#: How parents are chosen within a species.
TRUNCATION: Final = 0
TOURNAMENT: Final = 1
ROULETTE: Final = 2

#: A population of such fitness adds up to less than the largest float.
LARGE: Final = 1e290
#: What the worst is given in roulette, as a share of the best: so it can be drawn, and a species of equals breeds.
LEAST_SHARE: Final = 1e-9

_MUTATE, _CROSSOVER = int(Operator.MUTATE), int(Operator.CROSSOVER)
_CROSSOVER_MUTATE = int(Operator.CROSSOVER_MUTATE)


class NeatParameters(NamedTuple):
    """The settings of strategy ``generational``, which see; selection is one of the codes above."""

    selection: int
    survival: float
    tournament_size: int
    elitism: int
    elitism_min_size: int
    crossover_rate: float
    crossover_mutate_rate: float
    interspecies_rate: float
    stagnation: int
    population_stagnation: int


class SpeciesHistory(NamedTuple):
    """How the species alive have done: (m,) each, oldest first."""

    best: Float  #: best fitness that a species ever had
    improved: Int  #: the generation in which it had it first
    generation: int  #: now
    champion_improved: int  #: when the best of all was found


class Ranking(NamedTuple):
    """Rows by species, best first."""

    order: Int  #: (n,) rows
    starts: Int  #: (m + 1,) where in ``order`` each species begins, and the end


class Plan(NamedTuple):
    """Who breeds with whom: (n,) each, as in `tweann.interfaces.BreedingPlan`."""

    operator: UInt8
    parent_a: Int
    parent_b: Int


@kernel
def above_least(fitness: Float, out: Float) -> None:
    """Write by how much each fitness is above the least finite one, >= 0; failures (-inf) count as that one.

    Scaled down where the sum would overflow.

    Args:
        fitness: (n,) without NaN.
        out: (n,).
    """
    least, largest = math.inf, 0.0
    for value in fitness:
        if value > -math.inf:
            least, largest = min(least, value), max(largest, abs(value))
    scale = 1.0 / LARGE if largest > LARGE else 1.0
    for i in range(fitness.size):
        out[i] = fitness[i] * scale - least * scale if fitness[i] > -math.inf else 0.0


@kernel
def share_out(shares: Float, n: int, counts: Int, rest: Float, order: Int, scratch: Int) -> None:
    """Write whole numbers that sum to ``n``, in proportion to ``shares``; by largest remainder, of equals the first.

    Args:
        shares: (m,) >= 0, not all 0.
        n: >= 0.
        counts: (m,) written.
        rest, order, scratch: (m,) room.
    """
    total = 0.0
    for share in shares:
        total += share
    left = n
    for i in range(shares.size):
        exact = shares[i] / total * n
        counts[i] = math.floor(exact)
        rest[i] = exact - counts[i]
        left -= counts[i]
    sort_descending(rest, order, scratch)
    for i in range(left):
        counts[order[i]] += 1


@kernel
def rank_by_species(fitness: Float, position: Int, ranked: Int, scratch: Int, out: Ranking) -> None:
    """Sort rows by species, within one by fitness, the greatest first.

    Args:
        fitness: (n,) without NaN.
        position: (n,) of each row's species, 0 … m-1.
        ranked, scratch: (n,) room.
        out: written.
    """
    sort_descending(fitness, ranked, scratch)
    starts = out.starts
    for s in range(starts.size):
        starts[s] = 0
    for s in position:
        starts[s + 1] += 1
    for s in range(1, starts.size):
        starts[s] += starts[s - 1]
    for row in ranked:
        s = position[row]
        out.order[starts[s]] = row
        starts[s] += 1
    for s in range(starts.size - 1, 0, -1):  # each has moved to where the next begins
        starts[s] = starts[s - 1]
    starts[0] = 0


@kernel
def mark_breeding(history: SpeciesHistory, p: NeatParameters, out: Bool) -> None:
    """Write which species breed: neither stagnant, nor, in a stagnant population, beyond the second; the best does.

    Args:
        history: (m,) m >= 1.
        p: settings.
        out: (m,).
    """
    best, m = history.best, history.best.size
    stagnant = history.generation - history.champion_improved > p.population_stagnation
    first, second = 0, -1
    for s in range(1, m):
        if best[s] > best[first]:
            first, second = s, first
        elif second < 0 or best[s] > best[second]:
            second = s
    for s in range(m):
        if p.population_stagnation > 0 and stagnant:
            out[s] = s == second
        else:
            idle = history.generation - history.improved[s]
            out[s] = p.stagnation == 0 or idle <= p.stagnation
    out[first] = True


@inlined_kernel
def choose_parent(
    ranking: Ranking, s: int, p: NeatParameters, total: Float, rng: UInt64Array
) -> int:
    """Return a row of species ``s``; ``total`` is (n + 1,), the running sum of weights in the order of ranks."""
    start = ranking.starts[s]
    size = ranking.starts[s + 1] - start
    if p.selection == TRUNCATION:
        rank = next_below(rng, math.ceil(p.survival * size))
    elif p.selection == TOURNAMENT:
        rank = size
        for _ in range(p.tournament_size):
            rank = min(rank, next_below(rng, size))
    else:
        low, high = total[start], total[start + size]
        point = low + next_uniform(rng) * (high - low)
        first, last = 0, size - 1
        while first < last:
            middle = (first + last) >> 1
            if total[start + middle + 1] > point:
                last = middle
            else:
                first = middle + 1
        rank = first
    return int(ranking.order[start + rank])


@inlined_kernel
def plan_child(
    ranking: Ranking,
    s: int,
    fitness: Float,
    sizes: Int,
    p: NeatParameters,
    total: Float,
    rng: UInt64Array,
    out: Plan,
    child: int,
) -> None:
    """Choose the parents of one child of species ``s``, and what is done with them.

    Draws: the first parent, the second, whether that one is another species' best, and if so which; whether they
    are crossed, and whether that child is mutated. Dominant is the fitter, of equals the smaller.
    """
    a = choose_parent(ranking, s, p, total, rng)
    b = choose_parent(ranking, s, p, total, rng)
    n_species = ranking.starts.size - 1
    if next_uniform(rng) < p.interspecies_rate and n_species > 1:
        other = next_below(rng, n_species - 1)
        other += other >= s
        b = ranking.order[ranking.starts[other]]
    crossed = next_uniform(rng) < p.crossover_rate
    mutated = next_uniform(rng) < p.crossover_mutate_rate
    if not crossed or a == b:
        out.operator[child], out.parent_a[child], out.parent_b[child] = _MUTATE, a, -1
        return
    if fitness[b] > fitness[a] or (fitness[b] == fitness[a] and sizes[b] < sizes[a]):
        a, b = b, a
    out.operator[child] = _CROSSOVER_MUTATE if mutated else _CROSSOVER
    out.parent_a[child], out.parent_b[child] = a, b


@allocating_kernel
def plan_generation(
    fitness: Float,
    position: Int,
    sizes: Int,
    history: SpeciesHistory,
    n: int,
    p: NeatParameters,
    rng: UInt64Array,
) -> tuple[Plan, Ranking, Int]:
    """Plan ``n`` children, shared out among species by the mean of their members' fitness.

    Args:
        fitness: (rows,) NaN for a failure, which ranks last.
        position: (rows,) of each row's species, 0 … m-1; each has at least one.
        sizes: (rows,) connection genes.
        history: (m,) of the species.
        n: children.
        p: settings.
        rng: (1,) the stream.

    Returns:
        The plan; the ranking; (m,) a random row of each species, drawn before all else: its representative.
    """
    rows, m = fitness.size, history.best.size
    ranks, shifted, weight = np.empty(rows), np.empty(rows), np.empty(max(rows, m))
    work, scratch = np.empty(max(rows, m), np.int64), np.empty(max(rows, m), np.int64)
    for i in range(rows):
        ranks[i] = -math.inf if math.isnan(fitness[i]) else fitness[i]
    ranking = Ranking(np.empty(rows, np.int64), np.empty(m + 1, np.int64))
    rank_by_species(ranks, position, work[:rows], scratch, ranking)
    order, starts = ranking.order, ranking.starts
    representatives = np.empty(m, np.int64)
    for s in range(m):
        representatives[s] = order[starts[s] + next_below(rng, starts[s + 1] - starts[s])]
    above_least(ranks, shifted)
    may_breed = np.empty(m, np.bool_)
    mark_breeding(history, p, may_breed)
    shares, some = np.zeros(m), False
    for s in range(m):
        if may_breed[s]:
            for i in range(starts[s], starts[s + 1]):
                shares[s] += shifted[order[i]]
            shares[s] /= starts[s + 1] - starts[s]
            some = some or shares[s] > 0.0
    if not some:
        for s in range(m):
            shares[s] = 1.0 if may_breed[s] else 0.0
    counts = np.empty(m, np.int64)
    share_out(shares, n, counts, weight[:m], work[:m], scratch)
    total = np.zeros(rows + 1)
    if p.selection == ROULETTE:
        largest = 0.0
        for value in shifted:
            largest = max(largest, value)
        least = LEAST_SHARE * (largest if largest > 0.0 else 1.0)
        for i in range(rows):
            total[i + 1] = total[i] + shifted[order[i]] + least
    plan = Plan(np.empty(n, np.uint8), np.empty(n, np.int64), np.empty(n, np.int64))
    child = int(np.int64(0))  # as in `tweann.kernels.lanes`
    for s in range(m):
        for _ in range(counts[s]):
            plan_child(ranking, s, ranks, sizes, p, total, rng, plan, child)
            child += 1
    return plan, ranking, representatives


@kernel
def keep_best(fitness: Float, rows: Int, n: int, order: Int, scratch: Int, values: Float) -> int:
    """Reduce ``rows`` to the ``n`` fittest, of equals the first, in their order; return how many are left.

    Args:
        fitness: (all,) without NaN.
        rows: (k,) positions in it, changed in place.
        n: how many stay.
        order, scratch, values: (>= k,) room.
    """
    k = rows.size
    if k <= n:
        return k
    for i in range(k):
        values[i] = fitness[rows[i]]
    sort_descending(values[:k], order[:k], scratch)
    for i in range(k):
        scratch[i] = 0
    for i in range(n):
        scratch[order[i]] = 1
    kept = 0
    for i in range(k):
        if scratch[i]:
            rows[kept] = rows[i]
            kept += 1
    return kept


@kernel
def choose_elites(
    fitness: Float, ranking: Ranking, p: NeatParameters, marks: Bool, out: Int
) -> int:
    """Write the rows that stay, ascending: the best of each large species, and the best of all; return how many.

    Args:
        fitness: (n,) without NaN, of the members.
        ranking: of the members.
        p: settings.
        marks: (n,) room.
        out: (n,) written from the beginning on.
    """
    n = fitness.size
    if n == 0 or p.elitism == 0:
        return 0
    best = 0
    for i in range(n):
        marks[i] = False
        if fitness[i] > fitness[best]:
            best = i
    marks[best] = True
    for s in range(ranking.starts.size - 1):
        size = ranking.starts[s + 1] - ranking.starts[s]
        if size >= p.elitism_min_size:
            for i in range(min(p.elitism, size)):
                marks[ranking.order[ranking.starts[s] + i]] = True
    kept = 0
    for i in range(n):
        if marks[i]:
            out[kept] = i
            kept += 1
    return kept


@allocating_kernel
def select_generation(
    old: Float, new: Float, ranking: Ranking, population: int, p: NeatParameters
) -> Int:
    """Return who stays: elites among the members, then children, each in their order.

    Elites take at most half of the room; the worst children make room for them. With a population of one the
    better stays, of equals the child.

    Args:
        old: (n_old,) fitness of the members, NaN for a failure.
        new: (n_new,) of the children.
        ranking: of the members, from `plan_generation`.
        population: how many stay at most.
        p: settings.

    Returns:
        (n,) rows: members, then, counted on from there, children.
    """
    n_old, n_new = old.size, new.size
    n = n_old + n_new
    fitness, values = np.empty(n), np.empty(n)
    for i in range(n):
        value = old[i] if i < n_old else new[i - n_old]
        fitness[i] = -math.inf if math.isnan(value) else value
    index, order, scratch = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    marks = np.empty(n, np.bool_)
    elites = choose_elites(fitness[:n_old], ranking, p, marks, index)
    elites = keep_best(fitness, index[:elites], max(1, population // 2), order, scratch, values)
    for i in range(n_new):
        index[elites + i] = n_old + i
    if population == 1 and elites > 0:
        child = n_old
        for i in range(n_old, n):
            if fitness[i] > fitness[child]:
                child = i
        if n_new > 0 and fitness[child] >= fitness[index[0]]:
            index[0] = child
        return index[:1]
    room = max(population - elites, 0)
    children = keep_best(fitness, index[elites : elites + n_new], room, order, scratch, values)
    return index[: elites + children]


@allocating_kernel
def follow_species(
    position: Int, fitness: Float, generation: int, best: Float, improved: Int
) -> tuple[Bool, float]:
    """Note which species have a member better than all that they had.

    Args:
        position: (n,) of each member's species, 0 … m-1.
        fitness: (n,) NaN for a failure.
        generation: now.
        best: (m,) the best fitness that each species ever had; written.
        improved: (m,) the generation in which it had it first; written.

    Returns:
        (m,) which species have a member at all; and the best fitness of all members, -inf for none.
    """
    alive, champion = np.zeros(best.size, np.bool_), -math.inf
    for i in range(position.size):
        s = position[i]
        alive[s] = True
        if fitness[i] > best[s]:
            best[s], improved[s] = fitness[i], generation
        champion = max(champion, fitness[i]) if not math.isnan(fitness[i]) else champion
    return alive, champion
