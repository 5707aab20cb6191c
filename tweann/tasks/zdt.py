"""ZDT1, ZDT2 and ZDT3: two objectives, functions of a vector.

Source: Zitzler, Deb & Thiele, "Comparison of multiobjective evolutionary algorithms: empirical results" (Evolutionary
Computation 8:2, 2000), eqs. 7 to 9.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.tasks.base import TaskInfo, names
from tweann.tasks.settings import TaskSettings
from tweann.tasks.vector import VectorTask, task_vector


@task_vector
def evaluate(values: Float, params: Float, key: np.uint64, out: Float) -> None:
    """Score both functions, negated; a value v stands for x = (v + 1) / 2, clipped to [0, 1]."""
    n = values.size
    total = 0.0
    for i in range(1, n):
        total += min(max(0.5 * (values[i] + 1.0), 0.0), 1.0)
    f1 = min(max(0.5 * (values[0] + 1.0), 0.0), 1.0)
    g = 1.0 + 9.0 * total / (n - 1)
    ratio = f1 / g
    if params[0] == 1.0:
        h = 1.0 - math.sqrt(ratio)
    elif params[0] == 2.0:
        h = 1.0 - ratio * ratio
    else:
        h = 1.0 - math.sqrt(ratio) - ratio * math.sin(10.0 * math.pi * f1)
    out[2], out[3] = -f1, -g * h
    out[0] = out[2] + out[3]


class Zdt(VectorTask):
    """Zitzler, Deb and Thiele's problems of two objectives, of which no weighted sum finds all solutions."""

    class Settings(TaskSettings):
        """Section [task]."""

        problem: int = Field(
            default=1, ge=1, le=3, description="ZDT1 (convex), 2 (concave), 3 (in parts)."
        )
        dimensions: int = Field(default=30, ge=2, le=10_000, description="Length of the vector.")

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            TaskInfo(
                name="zdt",
                version=1,
                kind="vector",
                inputs=(),
                outputs=names("x", settings.dimensions),
                output_ranges=((-1.0, 1.0),) * settings.dimensions,
                output_activation="identity",
                solved="none does: there is a front of solutions",
                baseline="random vectors reach a hypervolume of 0 above (-1.1, -1.1)",
                n_objectives=2,
            ),
            evaluate,
            params=[float(settings.problem)],
        )
