"""The sphere function with linear projection: a benchmark of quality diversity without networks.

Source: Fontaine, Togelius, Nikolaidis & Hoover, "Covariance matrix adaptation for the rapid illumination of
behavior space" (GECCO 2020), section 5.1; the fitness is scaled as in the library pyribs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.tasks.base import TaskInfo, names
from tweann.tasks.settings import TaskSettings
from tweann.tasks.vector import VectorTask, task_vector

_BOUND: Final = 5.12  # of the projection, a coordinate
_SHIFT: Final = 0.4 * _BOUND  # where the optimum lies, a coordinate
_WORST: Final = (_BOUND + _SHIFT) ** 2  # squared distance of the bounds' far corner, a coordinate


@task_vector
def project(values: Float, params: Float, key: np.uint64, out: Float) -> None:
    """Score 100 at the optimum and 0 at the far corner; describe by the sums of both halves.

    A coordinate x beyond ±5.12 counts as 5.12/x in its sum, so that nothing is gained by going further.
    """
    n = values.size
    half = n // 2
    distance = 0.0
    for i in range(n):
        x = values[i]
        distance += (x - _SHIFT) * (x - _SHIFT)
        seen = x if -_BOUND <= x <= _BOUND else _BOUND / x
        if i < half:
            out[2] += seen
        else:
            out[3] += seen
    out[0] = 100.0 * (1.0 - distance / (_WORST * n))


class SphereProjection(VectorTask):
    """Sphere with linear projection: many solutions share each descriptor, and the ends are hard to reach."""

    class Settings(TaskSettings):
        """Section [task]."""

        dimensions: int = Field(
            default=100, ge=2, le=10_000, description="Length of the vector: biases of the outputs."
        )

    def __init__(self, settings: Settings) -> None:
        n = settings.dimensions
        first, second = n // 2 * _BOUND, (n - n // 2) * _BOUND
        info = TaskInfo(
            name="sphere-projection",
            version=1,
            kind="vector",
            inputs=(),
            outputs=names("x", n),
            output_ranges=((-np.inf, np.inf),) * n,
            output_activation="identity",
            solved="a fitness of 99 of 100",
            baseline="pyribs, 100 x 100 cells, 540 a batch, 1,000 iterations: QD score 288,513 with Gaussian mutation",
            descriptor=(("first_half", -first, first), ("second_half", -second, second)),
        )
        super().__init__(info, project, solved_at=99.0)
