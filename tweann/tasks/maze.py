"""The deceptive maze: the way to the goal leads away from it.

The hard maze of Lehman & Stanley, "Abandoning objectives: evolution through the search for novelty alone"
(Evolutionary Computation 19:2, 2011): its walls, start, goal and robot.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.kernels.trigonometry import sine_cosine
from tweann.tasks.base import TaskInfo
from tweann.tasks.compiled import (
    CompiledTask,
    task_function,
    task_observe,
    task_reset,
    task_score,
    task_step,
)
from tweann.tasks.settings import TaskSettings

#: (13, 4) x1, y1, x2, y2 of each wall.
WALLS: Final = np.array(
    [
        [41.0, 5.0, 3.0, 8.0],
        [3.0, 8.0, 4.0, 49.0],
        [4.0, 49.0, 57.0, 53.0],
        [4.0, 49.0, 7.0, 202.0],
        [7.0, 202.0, 195.0, 198.0],
        [195.0, 198.0, 186.0, 8.0],
        [186.0, 8.0, 39.0, 5.0],
        [56.0, 54.0, 56.0, 157.0],
        [57.0, 106.0, 158.0, 162.0],
        [77.0, 201.0, 108.0, 164.0],
        [6.0, 80.0, 33.0, 121.0],
        [192.0, 146.0, 87.0, 91.0],
        [56.0, 55.0, 133.0, 30.0],
    ]
)
START: Final = (36.0, 184.0)
GOAL: Final = (31.0, 20.0)
RADIUS: Final = 8.0  # of the robot
RANGE: Final = 100.0  # of the range finders
MAX_SPEED: Final = 3.0  # units a step; degrees a step for turning
REACHED: Final = 5.0  # so near is at the goal
MAX_STEPS: Final = 400
_FITNESS_AT_GOAL: Final = 300.0

#: The walls' bounding box: the descriptor's [0, 1].
_LEFT, _RIGHT = 3.0, 195.0
_BOTTOM, _TOP = 5.0, 202.0

_N_WALLS: Final = np.uint64(len(WALLS))
_INVERSE_SQUARES: Final = 1.0 / (
    (WALLS[:, 2] - WALLS[:, 0]) ** 2 + (WALLS[:, 3] - WALLS[:, 1]) ** 2
)
_DEGREE: Final = math.pi / 180.0
_ROOT_HALF: Final = math.sqrt(0.5)

# State: x, y, cosine and sine of the heading, the heading in degrees, speed, turn rate, 1 at the goal.
_X, _Y, _COS, _SIN, _HEADING, _SPEED, _TURN, _AT_GOAL = (np.uint64(i) for i in range(8))


@task_function
def collides(x: float, y: float) -> bool:
    """Return whether a robot there would touch a wall: its centre is nearer than its radius."""
    for i in range(_N_WALLS):
        ax, ay = WALLS[i, 0], WALLS[i, 1]
        dx, dy = WALLS[i, 2] - ax, WALLS[i, 3] - ay
        t = ((x - ax) * dx + (y - ay) * dy) * _INVERSE_SQUARES[i]
        t = min(max(t, 0.0), 1.0)
        ex, ey = x - (ax + t * dx), y - (ay + t * dy)
        if ex * ex + ey * ey < RADIUS * RADIUS:
            return True
    return False


@task_reset
def reset(state: Float, params: Float, key: np.uint64) -> None:
    """Stand at the start, heading along the x axis."""
    state[_X], state[_Y] = START
    state[_COS] = 1.0


@task_observe
def observe(state: Float, params: Float, observation: Float) -> None:
    """Give six ranges in [0, 1], four slices of the goal's bearing, and a constant 1.

    In the robot's frame, u ahead and v to the left, two rays lie on each axis: the sign of the point where
    a wall crosses the axis says which of them it stops. So a wall takes four comparisons, and a
    division only where it is hit.
    """
    x, y, cos, sin = state[_X], state[_Y], state[_COS], state[_SIN]
    ahead = behind = left = right = RANGE
    ahead_left = ahead_right = RANGE
    for i in range(_N_WALLS):
        ax, ay = WALLS[i, 0] - x, WALLS[i, 1] - y
        bx, by = WALLS[i, 2] - x, WALLS[i, 3] - y
        au, av = ax * cos + ay * sin, ay * cos - ax * sin
        bu, bv = bx * cos + by * sin, by * cos - bx * sin
        if (av < 0.0) != (bv < 0.0):
            u = au + av * (bu - au) / (av - bv)
            if u >= 0.0:
                ahead = min(ahead, u)
            else:
                behind = min(behind, -u)
        if (au < 0.0) != (bu < 0.0):
            v = av + au * (bv - av) / (au - bu)
            if v >= 0.0:
                left = min(left, v)
            else:
                right = min(right, -v)
        # the frame turned by 45 degrees: p ahead and to the left, q to the left and behind
        ap, aq = (au + av) * _ROOT_HALF, (av - au) * _ROOT_HALF
        bp, bq = (bu + bv) * _ROOT_HALF, (bv - bu) * _ROOT_HALF
        if (aq < 0.0) != (bq < 0.0):
            p = ap + aq * (bp - ap) / (aq - bq)
            if p >= 0.0:
                ahead_left = min(ahead_left, p)
        if (ap < 0.0) != (bp < 0.0):
            q = aq + ap * (bq - aq) / (ap - bp)
            if q <= 0.0:
                ahead_right = min(ahead_right, -q)
    observation[0] = right / RANGE
    observation[1] = ahead_right / RANGE
    observation[2] = ahead / RANGE
    observation[3] = ahead_left / RANGE
    observation[4] = left / RANGE
    observation[5] = behind / RANGE
    gx, gy = GOAL[0] - x, GOAL[1] - y
    u, v = gx * cos + gy * sin, gy * cos - gx * sin
    # the slices [315, 45), [45, 135), [135, 225) and [225, 315) degrees without an arc tangent
    observation[6] = 1.0 if u > v and u >= -v else 0.0
    observation[7] = 1.0 if v >= u and v > -u else 0.0
    observation[8] = 1.0 if u < v and u <= -v else 0.0
    observation[9] = 1.0 if v <= u and v < -u else 0.0
    observation[10] = 1.0


@task_step
def step(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """Move by the speed along the heading unless a wall is in the way, then turn; done at the goal."""
    state[_TURN] = min(max(state[_TURN] + action[0] - 0.5, -MAX_SPEED), MAX_SPEED)
    state[_SPEED] = min(max(state[_SPEED] + action[1] - 0.5, -MAX_SPEED), MAX_SPEED)
    speed = state[_SPEED]
    x, y = state[_X] + speed * state[_COS], state[_Y] + speed * state[_SIN]
    if not collides(x, y):
        state[_X], state[_Y] = x, y
    state[_HEADING] += state[_TURN]
    state[_SIN], state[_COS] = sine_cosine(state[_HEADING] * _DEGREE)
    gx, gy = GOAL[0] - state[_X], GOAL[1] - state[_Y]
    if gx * gx + gy * gy <= REACHED * REACHED:
        state[_AT_GOAL] = 1.0
        return 0.0, True
    return 0.0, False


@task_score
def score(state: Float, params: Float, out: Float) -> None:
    """Score 300 less the distance to the goal; the descriptor is the final position."""
    x, y = state[_X], state[_Y]
    out[0] = _FITNESS_AT_GOAL - math.sqrt((GOAL[0] - x) ** 2 + (GOAL[1] - y) ** 2)
    out[1] = state[_AT_GOAL]
    out[2] = (x - _LEFT) / (_RIGHT - _LEFT)
    out[3] = (y - _BOTTOM) / (_TOP - _BOTTOM)


class Maze(CompiledTask):
    """Deceptive maze: a robot with range finders and a radar looks for the goal behind a dead end."""

    class Settings(TaskSettings):
        """Section [task]."""

        max_steps: int = Field(
            default=MAX_STEPS, ge=1, le=1_000_000, description="Steps of an evaluation."
        )

    def __init__(self, settings: Settings) -> None:
        ranges = ("right", "ahead_right", "ahead", "ahead_left", "left", "behind")
        radar = ("goal_ahead", "goal_left", "goal_behind", "goal_right")
        info = TaskInfo(
            name="maze",
            version=1,
            kind="compiled",
            inputs=(*ranges, *radar, "bias"),
            outputs=("turn", "speed"),
            input_ranges=((0.0, 1.0),) * 10 + ((1.0, 1.0),),
            output_ranges=((0.0, 1.0),) * 2,
            output_activation="steep_sigmoid",
            solved=f"within {REACHED:g} units of the goal",
            baseline="novelty search solves it in nearly every run of 250,000 evaluations, search for fitness rarely",
            descriptor=(("x", 0.0, 1.0), ("y", 0.0, 1.0)),
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe,
            step=step,
            score=score,
            state_size=8,
            max_steps=settings.max_steps,
        )
