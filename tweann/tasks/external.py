"""External tasks: evaluated elsewhere, by a simulator or a robot, through ask and tell."""

from __future__ import annotations

from pydantic import Field

from tweann.errors import TaskError
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Task, TaskInfo
from tweann.tasks.python import chosen_names
from tweann.tasks.settings import TaskSettings


class External(Task):
    """Evaluated outside, by whoever calls `Evolution.ask` and `Evolution.tell`."""

    class Settings(TaskSettings):
        """Section [task]."""

        n_inputs: int = Field(ge=1, le=10_000, description="How many inputs the networks have.")
        n_outputs: int = Field(ge=1, le=10_000, description="How many outputs they have.")
        inputs: tuple[str, ...] = Field(
            default=(), description="Names of the inputs; by default `x0`, `x1`, …"
        )
        outputs: tuple[str, ...] = Field(
            default=(), description="Names of the outputs; by default `y0`, `y1`, …"
        )
        descriptor: tuple[tuple[str, float, float], ...] = Field(
            default=(),
            description="Name, low and high of each dimension of the behaviour that is told.",
        )
        n_objectives: int = Field(
            default=0, ge=0, le=100, description="How many objectives are told."
        )

    def __init__(self, settings: Settings) -> None:
        self.info = TaskInfo(
            name="external",
            version=1,
            kind="external",
            inputs=chosen_names("inputs", settings.inputs, "x", settings.n_inputs, 1),
            outputs=chosen_names("outputs", settings.outputs, "y", settings.n_outputs, 1),
            solved="what is told as solved",
            descriptor=settings.descriptor,
            n_objectives=settings.n_objectives,
        )

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Refuse.

        Raises:
            TaskError: always.
        """
        del networks, keys
        raise TaskError(
            "task external is evaluated outside: get networks from Evolution.ask(), evaluate them, and hand "
            "the results to Evolution.tell(); `tweann run` cannot do that"
        )
