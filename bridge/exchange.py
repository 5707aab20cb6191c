"""The exchange ``zmq``: when genomes leave, which ones, and how many may come in."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np
from pydantic import BaseModel

from tweann.bridge.customs import Identity
from tweann.bridge.fingerprint import randomness_fingerprint, task_fingerprint
from tweann.bridge.peer import Peer
from tweann.bridge.settings import BridgeSettings
from tweann.errors import ConfigError
from tweann.genes import Int
from tweann.interfaces import ExchangeContext, Immigrant
from tweann.kernels.distance import DistanceCoefficients
from tweann.migration import bred_here, draw, most_diverse, one_a_cell
from tweann.pool import PoolView

#: The strategy offers so many times what is sent: some may be immigrants, or known to have been sent.
_CHOICE: Final = 4
#: What policies that choose among many are offered: all of them, up to this.
_MANY: Final = 1000


class ZmqExchange:
    """Exchange ``zmq``.

    Attributes:
        peer: the thread that owns the sockets.
    """

    Settings: ClassVar[type[BaseModel]] = BridgeSettings

    def __init__(self, settings: BridgeSettings, context: ExchangeContext) -> None:
        """Open the sockets.

        Raises:
            ConfigError: an address cannot be bound, a file not read, or "cells" are wanted of a task without descriptor.
        """
        descriptor = context.task.descriptor
        if settings.emigrants == "cells" and not descriptor:
            raise ConfigError(
                f'bridge.emigrants = "cells": task {context.task.name} has no behaviour descriptor'
            )
        self._settings = settings
        self._low = np.array([low for _, low, _ in descriptor])
        self._high = np.array([high for _, _, high in descriptor])
        species = context.species
        self._coefficients = DistanceCoefficients(species.c1, species.c3, species.small_genome)
        self._rng = np.random.default_rng([context.seed, context.stream])
        self._next, self._earliest = settings.every, 0.0
        self._began = time.monotonic()
        me = Identity(
            name=context.name,
            run=context.run,
            task=task_fingerprint(context),
            randomness=randomness_fingerprint(context.seed, context.stream),
            boot=secrets.randbits(62),
        )
        self.peer = Peer(settings, me, context.layout, context.run_dir)

    def n_emigrants(self, ask: int, generation: int, n_evaluations: int) -> int:
        """Return how many rows the strategy shall offer now: none until the interval is over."""
        del ask
        clock = time.monotonic()
        if clock < self._earliest:  # first: where generations are short, it is nearly always so
            return 0
        unit = self._settings.unit
        if unit == "generations":
            now = float(generation)
        elif unit == "evaluations":
            now = float(n_evaluations)
        else:
            now = clock - self._began
        if now < self._next or self._settings.n_emigrants == 0:
            return 0
        self._earliest = clock + self._settings.least_seconds
        # from now on, not from when it was due: after a pause they do not leave in a rush
        self._next = now + self._settings.every
        return _CHOICE * self._settings.n_emigrants if self._settings.emigrants == "best" else _MANY

    def swap(self, pool: PoolView, offered: Int) -> Sequence[Immigrant]:
        """Send some of those that are offered, and return who has come."""
        if offered.size:
            self._emigrate(pool, offered)
        return self.peer.inbox.take(self._settings.max_immigrants)

    def metrics(self) -> Mapping[str, float]:
        """Return the figures of the last half second."""
        return self.peer.metrics

    def close(self) -> None:
        """Close the sockets."""
        self.peer.close()

    def _emigrate(self, pool: PoolView, offered: Int) -> None:
        settings, n = self._settings, self._settings.n_emigrants
        rows = bred_here(pool, offered)
        if not rows.size:
            return
        if settings.emigrants == "random":
            rows = draw(rows, n, self._rng)
        elif settings.emigrants == "diverse":
            rows = most_diverse(pool, rows, n, self._coefficients)
        elif settings.emigrants == "cells":
            rows = one_a_cell(pool, rows, n, self._low, self._high, settings.cells, self._rng)
        customs = self.peer.customs
        genomes = []
        for row in rows.tolist():
            genome = pool.genome(row)
            # an exact copy of an immigrant, unchanged by breeding, is no news either
            if genome.genome_id not in customs.seen:
                genomes.append(genome)
                customs.sent.add(genome.genome_id)
            if len(genomes) == n:
                break
        if genomes:
            self.peer.offer(genomes)
