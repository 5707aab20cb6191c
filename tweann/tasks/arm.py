"""The arm repertoire: reach every point with angles that are as equal as can be.

Source: Cully, Clune, Tarapore & Mouret, "Robots that can adapt like animals" (Nature 521, 2015), and Vassiliades &
Mouret, "Discovering the elite hypervolume by leveraging interspecies correlation" (GECCO 2018), section 4.1.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.kernels.trigonometry import sine_cosine
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, TaskInfo, names
from tweann.tasks.compiled import (
    CompiledTask,
    task_function,
    task_observe,
    task_reset,
    task_score,
    task_step,
)
from tweann.tasks.settings import TaskSettings
from tweann.tasks.shared import SharedEvaluation, SharingTask
from tweann.tasks.vector import VectorTask, task_vector


@task_function
def score_arm(angles: Float, out: Float) -> None:
    """Score minus the variance of the angles; describe by the end point, the arm's reach being [0, 1]².

    Args:
        angles: (n,) radians, each from the link before; all links have length 1/n.
        out: [0] fitness, [2] and [3] the end point's x and y, (1 + cos, sin) / 2 for a straight arm.
    """
    n = angles.size
    mean = 0.0
    for angle in angles:
        mean += angle
    mean /= n
    x = y = heading = variance = 0.0
    for angle in angles:
        heading += angle
        sine, cosine = sine_cosine(heading)
        x += cosine
        y += sine
        variance += (angle - mean) ** 2
    out[0] = -variance / n
    out[2] = 0.5 + 0.5 * x / n
    out[3] = 0.5 + 0.5 * y / n


@task_vector
def evaluate(values: Float, params: Float, key: np.uint64, out: Float) -> None:
    """Take the vector as the angles."""
    score_arm(values, out)


@task_reset
def reset(state: Float, params: Float, key: np.uint64) -> None:
    """Begin with all angles 0, as the state is."""


@task_observe
def observe(state: Float, params: Float, observation: Float) -> None:
    """Give the target, and a constant 1."""
    observation[0], observation[1], observation[2] = params[0], params[1], 1.0


@task_step
def step(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """Take the outputs as the angles; one step is all."""
    for i in range(action.size):
        state[i] = action[i]
    return 0.0, True


@task_score
def score(state: Float, params: Float, out: Float) -> None:
    """Score what the step has left."""
    score_arm(state, out)


class Arm(SharingTask):
    """Repertoire of a planar arm: the descriptor is where it ends, the fitness how equal its angles are."""

    class Settings(TaskSettings):
        """Section [task]."""

        joints: int = Field(default=12, ge=2, le=10_000, description="Joints of the arm.")
        encoding: Literal["network", "vector"] = Field(
            default="network",
            description="`network`: the outputs are the angles, within ±π, the inputs a target. `vector`: the "
            "biases of the outputs are the angles, and there is no network.",
        )
        target: tuple[float, float] = Field(
            default=(1.0, 0.5), description="What the network sees, a point of the descriptor."
        )

    def __init__(self, settings: Settings) -> None:
        n = settings.joints
        network = settings.encoding == "network"
        self.info = info = TaskInfo(
            name="arm",
            version=1,
            kind="compiled" if network else "vector",
            inputs=("target_x", "target_y", "bias") if network else (),
            outputs=names("angle", n),
            input_ranges=((0.0, 1.0), (0.0, 1.0), (1.0, 1.0)) if network else (),
            output_ranges=((-math.pi, math.pi) if network else (-math.inf, math.inf),) * n,
            output_activation="tanh" if network else "identity",
            solved="",
            baseline="0, the best fitness, is reached wherever the arm can end with equal angles",
            descriptor=(("x", 0.0, 1.0), ("y", 0.0, 1.0)),
        )
        self._task: SharingTask = (
            CompiledTask(
                info,
                reset=reset,
                observe=observe,
                step=step,
                score=score,
                state_size=n,
                max_steps=1,
                params=settings.target,
            )
            if network
            else VectorTask(info, evaluate)
        )

    def evaluation(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation:
        """Move each arm once."""
        return self._task.evaluation(networks, keys)
