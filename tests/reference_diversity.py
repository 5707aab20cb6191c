"""The slow, readable twins of the kernels for quality diversity: cells, elites, centroids, neighbours, iso+line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from reference import Genome, Stream, is_input

Point = Sequence[float]


def grid_cell(x: Point, low: Point, high: Point, bins: Sequence[int], clip: bool) -> int:
    """Return the cell's number; -1: not finite, -2: out of bounds and rejected."""
    if not all(map(math.isfinite, x)):
        return -1
    if not clip and any(not a <= v <= b for v, a, b in zip(x, low, high, strict=True)):
        return -2
    cell = 0
    for v, a, b, n in zip(x, low, high, bins, strict=True):
        inside = min(max(v, a), b)
        cell = cell * n + min(math.floor((inside - a) / (b - a) * n), n - 1)
    return cell


def place(
    elites: Sequence[tuple[int, float]], children: Sequence[tuple[int, float]]
) -> list[tuple[int, int, float]]:
    """Return who holds each row: (number, cell, fitness), children counted on from the elites."""
    rows = [(i, cell, fitness) for i, (cell, fitness) in enumerate(elites)]
    for child, (cell, fitness) in enumerate(children, len(elites)):
        if cell < 0 or math.isnan(fitness):
            continue
        held = [row for row, (_, there, _) in enumerate(rows) if there == cell]
        if not held:
            rows.append((child, cell, fitness))
        elif fitness > rows[held[0]][2]:
            rows[held[0]] = (child, cell, fitness)
    return rows


def squared_distance(a: Point, b: Point) -> float:
    total = 0.0
    for x, y in zip(a, b, strict=True):
        total += (y - x) * (y - x)
    return total


def nearest_centroid(x: Point, centroids: Sequence[Point]) -> int:
    """Return the first of the nearest."""
    return min(range(len(centroids)), key=lambda i: (squared_distance(x, centroids[i]), i))


def moved_centroids(
    points: Sequence[Point], nearest: Sequence[int], centroids: Sequence[Point]
) -> list[list[float]]:
    """Return each centroid as the exact mean of its points; one without points stays."""
    moved = []
    for i, centroid in enumerate(centroids):
        mine = [p for p, n in zip(points, nearest, strict=True) if n == i]
        mean = [float(sum(map(Fraction, axis)) / len(mine)) for axis in zip(*mine, strict=True)]
        moved.append(mean if mine else list(centroid))
    return moved


def novelty(points: Sequence[Point], fitness: Point, k: int, q: int) -> tuple[float, float]:
    """Return the mean distance from point ``q`` to its k nearest, and the share of these with less fitness."""
    others = [i for i in range(len(points)) if i != q]
    others.sort(key=lambda i: (squared_distance(points[q], points[i]), i))
    near = others[:k]
    if not near:
        return 0.0, 0.0
    mean = 0.0
    for i in near:
        mean += math.sqrt(squared_distance(points[q], points[i]))
    less = sum(fitness[i] < fitness[q] for i in near)
    return mean / len(near), less / len(near)


def iso_line(
    a: Genome, b: Genome | None, iso: float, line: float, biases: bool, rng: Stream
) -> list[float]:
    """Return weights, then biases of nodes that are no inputs: x + iso·N(0, I) + line·N(0, 1)·(y − x)."""
    along = line * rng.normal() if b is not None and line > 0.0 else 0.0
    values = []
    for gene in a.connections:
        other = None if b is None else b.connection(gene.source, gene.target)
        step = 0.0 if other is None or along == 0.0 else along * (other.weight - gene.weight)
        values.append(gene.weight + iso * rng.normal() + step)
    for node in a.nodes:
        if is_input(node.id):
            continue
        match = None if b is None else b.node(node.id)
        step = 0.0 if match is None or along == 0.0 else along * (match.bias - node.bias)
        values.append(node.bias + iso * rng.normal() + step if biases else node.bias)
    return values
