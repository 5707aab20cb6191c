"""What a run that goes on tells of itself: events to its storage, calls to its observers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from tweann import assembly
from tweann.codec import encode
from tweann.config import Config
from tweann.controls import ControlDesk
from tweann.errors import NotNowError
from tweann.genes import Int
from tweann.interfaces import Event, Storage
from tweann.lineage import Children, Lineage
from tweann.observers import Observers
from tweann.patience import Patience
from tweann.pool import PoolView
from tweann.records import Champion, GenerationReport, Migrant, Result, RunInfo
from tweann.registry import Registry

#: What an event takes in memory, its genome or records aside.
EVENT_BYTES: Final = 2_000


class Recorder:
    """Writes events and calls observers, once it is open; until then it does nothing.

    Events that cannot be written just now wait, in order, and are the same in the end.

    Args:
        config: of the run.

    Attributes:
        storage: where events go; None: it is not open.
        sequence: the number of the next event.
        lineage: births and deaths that wait; None: the run keeps none.
    """

    def __init__(self, config: Config) -> None:
        self.storage: Storage | None = None
        self.sequence = 0
        self._observers: Observers | None = None
        self._closed = False
        self._waiting: deque[Event] = deque()  # what the storage has not got
        self._waiting_bytes, self._max_waiting_bytes = 0, config.storage.max_waiting_bytes
        self._patience = Patience(
            "what waits",
            config.storage.full_seconds,
            "the run goes on without a checkpoint, while what waits fits into storage.max_waiting_bytes",
            "events since the last commit are lost; free some space, and `tweann resume` makes them again",
        )
        kept = config.lineage
        self.lineage: Lineage | None = None
        if kept.enabled:
            self.lineage = Lineage(kept.batch, kept.max_births, kept.max_generations)

    def open(self, config: Config, info: RunInfo, registry: Registry) -> None:
        """Make storage and observers, and report the start; of a run that goes on, forget what came later."""
        self.storage = assembly.make_storage(config, info.run_dir, registry)
        self._observers = Observers(registry, config, info)
        if self.sequence:  # what came after the checkpoint happens again
            self.storage.rewind(self.sequence)
        else:
            data = {
                "name": config.run.name,
                "seed": config.run.seed,
                "config": config.to_toml(),
                "version": version("tweann"),
                "started": assembly.now(),
            }
            self._write("run_started", info.generation, data)
        self._observers.run_started(info)

    def generation(self, report: GenerationReport, arrivals: Sequence[int]) -> None:
        """Tell of a finished generation, and in which order its children arrived if that is not their own."""
        self._write("generation", report.generation, report.data())
        if arrivals:
            self._write("arrivals", report.generation, {"births": list(arrivals)})
        if self._observers is not None:
            self._observers.generation_finished(report)

    def control(self, report: GenerationReport, desk: ControlDesk) -> None:
        """Let observers change settings, and tell of what they changed."""
        if self._observers is not None:
            for change in self._observers.settings_controlled(report, desk):
                self._write("control", report.generation, change.data())

    def told(
        self,
        children: Children,
        selection: tuple[Int, ArrayLike, Int],
        generation: int,
        alive: Callable[[], Sequence[Int]],
    ) -> None:
        """Remember births and deaths, and write them when there are enough.

        Args:
            children, selection, generation: as in `Lineage.told`.
            alive: gives what `Lineage.take` is to know.
        """
        if self.lineage is None or self.storage is None:
            return
        before, index, species = selection
        self.lineage.told(children, before, np.asarray(index, np.int64), species, generation)
        if self.lineage.due:
            self._write_lineage(generation, alive())

    def _write_lineage(self, generation: int, alive: Sequence[Int]) -> None:
        if self.lineage is not None:
            for kind, data, records in self.lineage.take(self.sequence, generation, alive):
                self._write(kind, generation, data, records)

    def champion(self, champion: Champion, generation: int) -> None:
        """Tell of a new champion."""
        if self.storage is not None:
            self._write("champion", generation, champion.data(), encode(champion.genome))
        if self._observers is not None:
            self._observers.champion_found(champion)

    def migrants(self, migrants: Sequence[Migrant], generation: int) -> None:
        """Tell of immigrants, so that a replay can let them come again."""
        if self.storage is not None:
            for migrant in migrants:
                self._write("immigrant", generation, migrant.data(), encode(migrant.genome))
        if migrants and self._observers is not None:
            self._observers.migrants_received(migrants)

    def checkpoint(self, path: Path) -> None:
        """Tell of a checkpoint."""
        if self._observers is not None:
            self._observers.checkpoint_written(path)

    def finish(self, result: Result, view: PoolView, alive: Sequence[Int]) -> None:
        """Tell of the final population and the ending; ``alive`` as in `Lineage.take`."""
        if self.storage is not None:
            self._write_lineage(result.generations, alive)
            for row in view.members.tolist():
                genome = view.genome(row)
                individual = {
                    "position": row,
                    "birth": int(view.id[row]),
                    "species": int(view.species[row]),
                    "fitness": float(view.fitness[row]),
                    "genome_id": genome.genome_id,
                    "n_nodes": genome.n_nodes,
                    "n_connections": genome.n_connections,
                }
                self._write("individual", result.generations, individual, encode(genome))
            data = {key: result.data()[key] for key in ("status", "stop_reason", "solved")}
            data |= {"n_evaluations": result.n_evaluations, "seconds": result.seconds}
            self._write("run_finished", result.generations, data)
            self.flush()
        if self._observers is not None:
            self._observers.run_finished(result)

    def state(self) -> dict[str, Any]:
        """Return the number of the next event and what waits, as `tweann.packing.pack` takes it."""
        lineage = {} if self.lineage is None else self.lineage.state()
        return {"sequence": self.sequence, "lineage": lineage}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.sequence = state["sequence"]
        if self.lineage is not None:
            self.lineage.restore(state["lineage"])

    def settle(self) -> bool:
        """Make all events durable, if they can be written just now; return whether they are.

        Raises:
            NotNowError: they could not be written for ``storage.full_seconds``.
        """
        return self._patience.due and self._patience.attempt(self._write_waiting)

    def flush(self) -> None:
        """Make all events durable, as soon as they can be written.

        Raises:
            NotNowError: they could not be written for ``storage.full_seconds``.
        """
        self._patience.insist(self._write_waiting)

    def close(self) -> None:
        """Make all events durable, and let go of the storage. Idempotent.

        Raises:
            NotNowError: they could not be written for ``storage.full_seconds``; the storage is closed all the same.
        """
        if self.storage is None or self._closed:
            return
        self._closed = True
        try:
            self.flush()
        finally:
            with suppress(NotNowError):  # the same again
                self.storage.close()

    def _write(
        self, kind: str, generation: int, data: Mapping[str, Any], genome: bytes | None = None
    ) -> None:
        if self.storage is None:
            return
        event = Event(self.sequence, kind, generation, data, genome)
        self.sequence += 1
        if self._patience.waits:
            self._wait(event)
            return
        try:
            self.storage.append([event])
        except NotNowError as error:  # the storage has it, and keeps it
            self._patience.failed(error)

    def _wait(self, event: Event) -> None:
        """Let an event wait; at the cap, and now and then, try to write all."""
        self._waiting.append(event)
        self._waiting_bytes += _size(event)
        if self._waiting_bytes > self._max_waiting_bytes:
            self.flush()
        else:
            self.settle()

    def _write_waiting(self) -> None:
        """Make all events durable."""
        if self.storage is None:
            return
        self.storage.flush()
        while self._waiting:
            event = self._waiting.popleft()
            self._waiting_bytes -= _size(event)
            self.storage.append([event])  # has it, even if it raises
        self.storage.flush()


def _size(event: Event) -> int:
    return EVENT_BYTES + len(event.genome or b"")
