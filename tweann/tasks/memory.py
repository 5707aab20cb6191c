"""Tasks of memory: something is shown, and must be known later, when it is shown no more.

Every trial begins with a reset network, and nothing is random: trials that show the same are the same. So each kind of
trial is run once, and counts for all of its kind.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tweann.genes import Float
from tweann.tasks.base import EvaluationKeys, TaskInfo
from tweann.tasks.compiled import CompiledTask, task_observe, task_reset, task_score, task_step
from tweann.tasks.settings import TaskSettings

#: Of 100 trials.
SOLVED_MAZE: Final = 90.0
SOLVED_RECALL: Final = 0.95
_TRIALS: Final = 100.0
_SIGNS: Final = (-1.0, 1.0)
_FLAG: Final = (0.0, 1.0)


class Trials(CompiledTask):
    """A compiled task whose episodes are numbered trials: what a reset gets as its key is the trial's number."""

    def episode_keys(self, keys: EvaluationKeys) -> NDArray[np.uint64]:
        """Return the numbers of the trials."""
        del keys
        return np.arange(self.info.episodes, dtype=np.uint64)


@task_reset
def reset(state: Float, params: Float, key: np.uint64) -> None:
    """Begin trial ``key``."""
    state[0] = 0.0
    state[1] = float(key)


# ------------------------------------------------------------------------ T-maze


@task_observe
def observe_maze(state: Float, params: Float, observation: Float) -> None:
    """Show the cue at step 0, then nothing, then that this is the junction; params: the delay."""
    observation[0] = 0.0
    if state[0] == 0.0:
        observation[0] = 1.0 - 2.0 * state[1]
    observation[1] = 1.0 if state[0] == params[0] + 1.0 else 0.0


@task_step
def step_maze(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """At the junction, reward an output of the cue's sign with 100 points."""
    at_junction = state[0] == params[0] + 1.0
    state[0] += 1.0
    cue = 1.0 - 2.0 * state[1]
    right = at_junction and action[0] * cue > 0.0
    return (100.0 if right else 0.0), at_junction


class TMaze(Trials):
    """The T-maze: a cue says on which side the reward will be, and the junction comes later."""

    class Settings(TaskSettings):
        """Section [task]."""

        delay: int = Field(
            default=2, ge=0, le=1000, description="Blank steps between the cue and the junction."
        )

    def __init__(self, settings: Settings) -> None:
        info = TaskInfo(
            name="t-maze",
            version=1,
            kind="compiled",
            inputs=("cue", "junction"),
            outputs=("turn",),
            input_ranges=(_SIGNS, _FLAG),
            output_ranges=(_SIGNS,),
            solved=f"{SOLVED_MAZE:g} of {_TRIALS:g} trials",
            baseline="without memory exactly 50",
            episodes=2,
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe_maze,
            step=step_maze,
            state_size=2,
            max_steps=settings.delay + 2,
            params=[float(settings.delay)],
            solved_at=SOLVED_MAZE,
        )


# ---------------------------------------------------------------- two-cue T-maze


@task_observe
def observe_two(state: Float, params: Float, observation: Float) -> None:
    """Show the first cue at step 0, the second at step 1, each on its own sensor, then the two junctions."""
    trial = int(state[1])
    observation[0] = 1.0 - 2.0 * (trial & 1) if state[0] == 0.0 else 0.0
    observation[1] = 1.0 - 2.0 * (trial >> 1) if state[0] == 1.0 else 0.0
    observation[2] = 1.0 if state[0] >= params[0] + 2.0 else 0.0


@task_step
def step_two(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """At each junction, reward an output of its cue's sign with 50 points."""
    junction = int(state[0] - params[0]) - 2
    state[0] += 1.0
    if junction < 0:
        return 0.0, False
    cue = 1.0 - 2.0 * ((int(state[1]) >> junction) & 1)
    return (50.0 if action[0] * cue > 0.0 else 0.0), junction == 1


class TwoCueTMaze(Trials):
    """The T-maze with two cues in a row and two junctions in a row."""

    class Settings(TaskSettings):
        """Section [task]."""

        delay: int = Field(
            default=4, ge=0, le=1000, description="Blank steps between the cues and the junctions."
        )

    def __init__(self, settings: Settings) -> None:
        info = TaskInfo(
            name="two-cue-t-maze",
            version=1,
            kind="compiled",
            inputs=("cue_1", "cue_2", "junction"),
            outputs=("turn",),
            input_ranges=(_SIGNS, _SIGNS, _FLAG),
            output_ranges=(_SIGNS,),
            solved=f"{SOLVED_MAZE:g} of {_TRIALS:g} trials, each of two decisions of half a point",
            baseline="without memory exactly 50, with one bit of it 75",
            episodes=4,
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe_two,
            step=step_two,
            state_size=2,
            max_steps=settings.delay + 4,
            params=[float(settings.delay)],
            solved_at=SOLVED_MAZE,
        )


# --------------------------------------------------------------- sequence recall


@task_observe
def observe_recall(state: Float, params: Float, observation: Float) -> None:
    """Show a cue a step, then the signal to recall; params: how many cues."""
    k, step = int(params[0]), int(state[0])
    observation[0] = 1.0 - 2.0 * ((int(state[1]) >> step) & 1) if step < k else 0.0
    observation[1] = 1.0 if step >= k else 0.0


@task_step
def step_recall(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """While recalling, reward an output of the sign of the cue whose turn it is."""
    k, step = int(params[0]), int(state[0])
    state[0] += 1.0
    if step < k:
        return 0.0, False
    cue = 1.0 - 2.0 * ((int(state[1]) >> (step - k)) & 1)
    return (1.0 if action[0] * cue > 0.0 else 0.0), step == 2 * k - 1


@task_score
def score_recall(state: Float, params: Float, out: Float) -> None:
    """Make the number of right answers their share."""
    out[0] /= params[0]


class SequenceRecall(Trials):
    """Recall of a sequence of cues in order, over all sequences of a length."""

    class Settings(TaskSettings):
        """Section [task]."""

        length: int = Field(default=4, ge=1, le=6, description="Cues of a sequence.")

    def __init__(self, settings: Settings) -> None:
        info = TaskInfo(
            name="sequence-recall",
            version=1,
            kind="compiled",
            inputs=("cue", "recall"),
            outputs=("answer",),
            input_ranges=(_SIGNS, _FLAG),
            output_ranges=(_SIGNS,),
            solved=f"{SOLVED_RECALL:.0%} of the answers, over all sequences",
            baseline="without memory exactly 0.5",
            episodes=2**settings.length,
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe_recall,
            step=step_recall,
            score=score_recall,
            state_size=2,
            max_steps=2 * settings.length,
            params=[float(settings.length)],
            solved_at=SOLVED_RECALL,
        )
