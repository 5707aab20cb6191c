"""What a run reports of itself: to observers, to the storage, and to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tweann.config import Config
    from tweann.genome import Genome
    from tweann.layout import Layout
    from tweann.network import Network
    from tweann.tasks.base import TaskInfo


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run before it begins."""

    name: str
    seed: int
    run_dir: Path | None  #: None: nothing is written
    config: Config
    task: TaskInfo
    generation: int = 0  #: the first that is to come; not 0 where it goes on from a checkpoint


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """One generation: ``population`` evaluations told. Fitness figures are NaN where all failed."""

    generation: int  #: 0, 1, 2, …
    n_evaluations: int  #: since the run began
    n_failed: int  #: of this generation
    best: float  #: fitness of this generation's children
    mean: float
    std: float
    worst: float
    champion_fitness: float  #: of the best genome so far
    mean_nodes: float  #: of the members
    mean_connections: float
    seconds: float  #: since the run began
    metrics: Mapping[str, float] = field(default_factory=dict)  #: the strategy's, e.g. n_species

    def data(self) -> dict[str, Any]:
        """Return the values by name, for an event."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "generation"}


@dataclass(frozen=True, slots=True)
class Migrant:
    """A genome that came from elsewhere, and what it is worth here."""

    genome: Genome
    peer: str  #: who sent it, as far as that is known
    number: int  #: 0, 1, 2, … of those that came
    birth: int  #: its birth number here
    ask: int  #: the number of the ask that it came before
    fitness: float  #: as evaluated here; NaN: that failed

    def data(self) -> dict[str, Any]:
        """Return the values by name, for an event; the genome aside."""
        return {
            "genome_id": self.genome.genome_id,
            "peer": self.peer,
            "number": self.number,
            "birth": self.birth,
            "ask": self.ask,
            "fitness": self.fitness,
        }


@dataclass(frozen=True, slots=True)
class Champion:
    """The best genome found so far, and when it was found."""

    genome: Genome
    fitness: float
    birth: int  #: its birth number
    generation: int
    n_evaluations: int  #: how many had been done when it was
    solved: bool
    metrics: Mapping[str, float] = field(default_factory=dict)  #: the task's, e.g. generalisation
    layout: Layout | None = None  #: of the run: it knows the activations of plugins

    def network(self) -> Network:
        """Return the network that the champion's genome decodes to."""
        return self.genome.network(self.layout)

    def data(self) -> dict[str, Any]:
        """Return the values by name, for an event and for ``champion.json``; the genome aside."""
        return {
            "genome_id": self.genome.genome_id,
            "fitness": self.fitness,
            "birth": self.birth,
            "n_nodes": self.genome.n_nodes,
            "n_connections": self.genome.n_connections,
            "n_evaluations": self.n_evaluations,
            "solved": self.solved,
            "metrics": dict(self.metrics),
        }


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    run_dir: Path | None
    status: str  #: "finished", "interrupted" or "failed"
    stop_reason: str  #: "solved", "generations", "evaluations", "seconds", "target_fitness", …
    solved: bool
    generations: int
    n_evaluations: int
    seconds: float
    champion: Champion | None
    n_failed: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """Return the JSON object that ``tweann run --json`` ends with."""
        champion = None
        if self.champion is not None:
            champion = {
                "genome_id": self.champion.genome.genome_id,
                "fitness": self.champion.fitness,
                "n_nodes": self.champion.genome.n_nodes,
                "n_connections": self.champion.genome.n_connections,
            }
        return {
            "run_dir": None if self.run_dir is None else str(self.run_dir),
            "status": self.status,
            "stop_reason": self.stop_reason,
            "solved": self.solved,
            "generations": self.generations,
            "n_evaluations": self.n_evaluations,
            "n_failed": self.n_failed,
            "seconds": self.seconds,
            "champion": champion,
            "metrics": dict(self.metrics),
        }
