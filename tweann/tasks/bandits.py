"""Two-armed bandits whose good arm changes in a lifetime: tasks of learning."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.kernels.random import GAMMA, mix
from tweann.tasks.base import TaskInfo
from tweann.tasks.compiled import (
    CompiledTask,
    task_observe,
    task_reset,
    task_score,
    task_step,
)
from tweann.tasks.memory import Trials
from tweann.tasks.settings import NoTaskSettings, TaskSettings

#: Steps of a lifetime, and after which the good arm changes.
REVERSAL_STEPS: Final = 40
REVERSAL_AFTER: Final = 20
SOLVED_REVERSAL: Final = 0.7

PROBABILISTIC_STEPS: Final = 120
PROBABILISTIC_AFTER: Final = 30
#: How often the good arm is rewarded, and the other.
REWARDED: Final = 0.8

_SIGNS: Final = (-1.0, 1.0)
_UNIT: Final = 1.1102230246251565e-16  # 2^-53


# --------------------------------------------------------------- reversal bandit


@task_reset
def reset_reversal(state: Float, params: Float, key: np.uint64) -> None:
    """Begin lifetime ``key``: arm 1 is good at first in lifetime 0, arm 0 in lifetime 1."""
    state[0] = 0.0
    state[1] = 1.0 - 2.0 * float(key)


@task_observe
def observe_reversal(state: Float, params: Float, observation: Float) -> None:
    """Show nothing but a constant."""
    observation[0] = 1.0


@task_step
def step_reversal(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """Pull the arm of the output's sign: reward 1 if it is the good one, else -1."""
    good = state[1] if state[0] < 20.0 else -state[1]
    state[0] += 1.0
    pulled = 1.0 if action[0] > 0.0 else -1.0
    return pulled * good, state[0] >= 40.0


@task_score
def score_mean(state: Float, params: Float, out: Float) -> None:
    """Make the sum of rewards their mean."""
    out[0] /= state[0]


class ReversalBandit(Trials):
    """A bandit without any input: what was rewarded is known from the reward's modulation of learning alone."""

    Settings = NoTaskSettings

    def __init__(self, settings: NoTaskSettings) -> None:
        del settings
        info = TaskInfo(
            name="reversal-bandit",
            version=1,
            kind="compiled",
            inputs=("one",),
            outputs=("arm",),
            input_ranges=((1.0, 1.0),),
            output_ranges=(_SIGNS,),
            solved=f"a mean reward of {SOLVED_REVERSAL:g}, of both starting arms",
            baseline="without plasticity exactly 0",
            episodes=2,
            reward_modulation=True,
        )
        super().__init__(
            info,
            reset=reset_reversal,
            observe=observe_reversal,
            step=step_reversal,
            score=score_mean,
            state_size=2,
            max_steps=REVERSAL_STEPS,
            solved_at=SOLVED_REVERSAL,
        )


# ---------------------------------------------------------- probabilistic bandit


@task_reset
def reset_probabilistic(state: Float, params: Float, key: np.uint64) -> None:
    """Begin a lifetime: the key's last bit says which arm is good first, and its halves are kept for luck."""
    state[0] = 0.0
    state[1] = 1.0 if key & np.uint64(1) else -1.0
    state[2] = state[3] = 0.0
    state[4] = float(key >> np.uint64(32))
    state[5] = float(key & np.uint64(0xFFFFFFFF))


@task_observe
def observe_probabilistic(state: Float, params: Float, observation: Float) -> None:
    """Show the last reward and the last action, ±1 and 0 at first, and a constant."""
    observation[0] = state[2]
    observation[1] = state[3]
    observation[2] = 1.0


@task_step
def step_probabilistic(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """Pull the arm of the output's sign: reward 1 or -1, for the good arm 1 with 0.8, for the other with 0.2.

    The luck of a step is the same whatever was pulled: the good arm wins below 0.8, the other below 0.2.
    """
    key = (np.uint64(state[4]) << np.uint64(32)) | np.uint64(state[5])
    luck = float(mix(key + np.uint64(state[0] + 1.0) * GAMMA) >> np.uint64(11)) * _UNIT
    turned = int(state[0]) // 30 % 2 == 1
    good = -state[1] if turned else state[1]
    pulled = 1.0 if action[0] > 0.0 else -1.0
    reward = 1.0 if luck < (0.8 if pulled == good else 0.2) else -1.0
    state[0] += 1.0
    state[2], state[3] = reward, pulled
    return reward, state[0] >= 120.0


@task_score
def score_share(state: Float, params: Float, out: Float) -> None:
    """Make the sum of rewards, ±1 each, the share of steps that were rewarded."""
    out[0] = 0.5 * (out[0] / state[0] + 1.0)


class ProbabilisticBandit(CompiledTask):
    """A bandit whose arms win with 0.8 and 0.2, the good one changing every 30 of 120 steps."""

    class Settings(TaskSettings):
        """Section [task]."""

        episodes: int = Field(
            default=20, ge=1, le=10_000, description="Lifetimes, the fitness being their mean."
        )

    def __init__(self, settings: Settings) -> None:
        info = TaskInfo(
            name="probabilistic-bandit",
            version=1,
            kind="compiled",
            inputs=("last_reward", "last_action", "one"),
            outputs=("arm",),
            input_ranges=(_SIGNS, _SIGNS, (1.0, 1.0)),
            output_ranges=(_SIGNS,),
            baseline="one arm for ever wins 0.5, win-stay-lose-shift 0.6695 on average",
            episodes=settings.episodes,
            reward_modulation=True,
        )
        super().__init__(
            info,
            reset=reset_probabilistic,
            observe=observe_probabilistic,
            step=step_probabilistic,
            score=score_share,
            state_size=6,
            max_steps=PROBABILISTIC_STEPS,
        )
