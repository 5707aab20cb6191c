"""The slow twins of evaluation: rollouts in a simulation, and networks over a table of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from reference import Genome, State, live_nodes, outputs, tick


@dataclass
class Scale:
    """How one output becomes an action: clip(scale·out + offset, low, high)."""

    scale: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf

    def __call__(self, out: float) -> float:
        return min(max(self.scale * out + self.offset, self.low), self.high)


# --- tables ----------------------------------------------------------------------------------------


def predict(
    genome: Genome, row: Sequence[float], ticks: int, scales: Sequence[Scale]
) -> tuple[list[float], bool]:
    """Return the scaled outputs for one row from the beginning of time, and whether it was spoilt."""
    state, spoilt = State(), False
    for _ in range(ticks):
        spoilt |= tick(genome, state, row, live_nodes(genome))
    raw = outputs(state, len(scales))
    return [scale(v) for scale, v in zip(scales, raw, strict=True)], spoilt


def softmax(values: Sequence[float]) -> list[float]:
    """Return shares that add up to 1."""
    powers = [math.exp(v - max(values)) for v in values]
    return [p / math.fsum(powers) for p in powers]


def row_loss(loss: str, out: Sequence[float], target: Sequence[float]) -> float:
    """Return what one row costs."""
    errors = [t - o for t, o in zip(target, out, strict=True)]
    match loss:
        case "PAPER":
            return sum(abs(e) for e in errors)
        case "SQUARED":
            return sum(e * e for e in errors)
        case "MEAN_SQUARED_ERROR":
            return sum(e * e for e in errors) / len(errors)
        case "CROSS_ENTROPY":
            if len(out) == 1:  # two classes, 0 and the output: softmax is σ
                return -math.log(softmax([0.0, out[0]])[round(target[0])])
            return -math.log(softmax(out)[list(target).index(1.0)])
    raise KeyError(loss)


def row_right(loss: str, out: Sequence[float], target: Sequence[float]) -> bool:
    """Return whether the row is on the right side: of 0.5, or the class of the largest output."""
    if loss == "CROSS_ENTROPY":
        if len(out) == 1:
            return out[0] > 0.0 if target[0] > 0.5 else out[0] < 0.0
        return list(out).index(max(out)) == list(target).index(1.0)
    return all((o > 0.5) == (t > 0.5) for o, t in zip(out, target, strict=True))


def evaluate_table(
    genome: Genome,
    inputs: Sequence[Sequence[float]],
    targets: Sequence[Sequence[float]],
    loss: str,
    ticks: int,
    scales: Sequence[Scale],
) -> tuple[float, int, bool]:
    """Return fitness, how many rows are right, and whether any row was spoilt."""
    predictions = [predict(genome, row, ticks, scales) for row in inputs]
    total = sum(row_loss(loss, p, t) for (p, _), t in zip(predictions, targets, strict=True))
    right = sum(row_right(loss, p, t) for (p, _), t in zip(predictions, targets, strict=True))
    n = len(inputs)
    fitness = {"PAPER": (n - total) ** 2, "SQUARED": n - total}.get(loss, -total / n)
    return fitness, right, any(spoilt for _, spoilt in predictions)


# --- rollouts --------------------------------------------------------------------------------------


@dataclass
class Simulation:
    """A task's four functions, run as plain Python, and its sizes."""

    reset: Callable[..., Any]
    observe: Callable[..., Any]
    step: Callable[..., Any]
    score: Callable[..., Any]
    params: tuple[float, ...]
    n_state: int
    n_inputs: int
    n_descriptor: int
    n_objectives: int


@dataclass
class Rollout:
    """What the episodes of one network gave: means; ``steps`` their sum; ``solved`` in all of them."""

    fitness: float
    solved: bool
    steps: int
    spoilt: bool
    descriptor: list[float]
    objectives: list[float]


def rollout(
    genome: Genome,
    task: Simulation,
    keys: Sequence[int],
    max_steps: int,
    ticks: int,
    scales: Sequence[Scale],
) -> Rollout:
    """Run one network through an episode for each key."""
    params = np.array(task.params)
    scores, steps, spoilt = [], 0, False
    for key in keys:
        network, state = State(), np.zeros(task.n_state)
        observation = np.zeros(task.n_inputs)
        task.reset(state, params, np.uint64(key))
        total, done, t = 0.0, False, 0
        while t < max_steps and not done:
            task.observe(state, params, observation)
            for _ in range(ticks):
                spoilt |= tick(genome, network, observation.tolist(), live_nodes(genome))
            raw = outputs(network, len(scales))
            action = np.array([scale(v) for scale, v in zip(scales, raw, strict=True)])
            reward, done = task.step(state, params, action)
            total += reward
            t += 1
        steps += t
        score = np.zeros(2 + task.n_descriptor + task.n_objectives)
        score[0] = total
        task.score(state, params, score)
        scores.append(score.tolist())
    means = [sum(column) / len(keys) for column in zip(*scores, strict=True)]
    valid = math.isfinite(means[0])
    first = 2 + task.n_descriptor
    return Rollout(
        fitness=means[0] if valid else math.nan,
        solved=valid and all(s[1] != 0.0 for s in scores),
        steps=steps,
        spoilt=spoilt,
        descriptor=means[2:first],
        objectives=means[first:],
    )
