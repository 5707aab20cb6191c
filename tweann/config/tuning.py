"""Section [tuning]: how genomes search their own weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tweann.config.keeping import Section


class TuningSettings(Section):
    """How genomes search their own weights while they are evaluated (memetic tuning). Every attempt is an evaluation."""

    attempts: Annotated[int, Field(ge=0, le=1_000_000)] | Literal["by_size"] = Field(
        0,
        description="Attempts of each genome; 0: no tuning. `by_size`: 10 + clip(round(W^`size_power`), 0, 100), W the "
        "weights and biases of nodes born in the last 3 generations.",
    )
    size_power: float = Field(0.5, ge=0, le=1, description="The exponent of `by_size`.")
    method: Literal["hill_climb", "cmaes"] = Field(
        "hill_climb",
        description="`hill_climb`: move the best so far, keep what is strictly better. `cmaes`: a CMA-ES of its own for "
        "each genome.",
    )
    selection: Literal["all", "current", "active", "dynamic", "dynamic_random"] = Field(
        "all",
        description="Which nodes' weights and biases may move, chosen anew for each attempt: all; born in this "
        "generation; in the last 3; not older than √(1/U), U uniform; half of those.",
    )
    range: float = Field(
        2.0,
        gt=0,
        description="A move is uniform within ±`range`·π/2·`annealing`^age, for `hill_climb`.",
    )
    annealing: float = Field(
        1.0, ge=0, le=1, description="Factor on the range for each generation that a node is old."
    )
    sparse: bool = Field(
        True,
        description="Each of W weights that may move does so with probability 1/√W; false: all do.",
    )
    sigma: float = Field(0.5, gt=0, description="First step size, for `cmaes`.")
    full_covariance: int = Field(
        100, ge=0, description="Weights up to which `cmaes` learns a full covariance matrix."
    )
    lamarckian: bool = Field(
        True,
        description="Tuned weights are written back to the genome; false: only the fitness stays (Baldwin effect).",
    )

    @property
    def needs_births(self) -> bool:
        """Whether the age of nodes matters."""
        aged = self.selection != "all" or self.annealing < 1.0 or self.attempts == "by_size"
        return self.attempts != 0 and aged
