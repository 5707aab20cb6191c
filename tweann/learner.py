"""A network that goes on learning while it is used.

learner = Learner(genome)
learner.start()
for ...:
    outputs = learner.activate(inputs)
    ...
    learner.reward(1.0)
learner.stop()
learner.save("learned.genome")
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tweann.codec import encode
from tweann.errors import ConfigError
from tweann.files import write_atomic
from tweann.genes import Float
from tweann.genome import Genome
from tweann.layout import Layout

#: Ticks that are remembered, unless the caller says otherwise.
CAPACITY: Final = 1000


class Experience(NamedTuple):
    """One tick, and what it brought."""

    state: Float  #: of the network, after the tick
    reward: float
    first: bool  #: of an episode


class Learner:
    """Applies reward-modulated plasticity to one network, during episodes or between them.

    During (``online``): each tick's update is made as soon as its reward is known, before the next tick. Between:
    weights stay as they are while an episode runs, ticks and rewards go to a buffer, and `learn` replays them.

    Attributes:
        network: the network that learns; its weights are the learned ones.
        online: when it learns.
        n_updates: ticks that were learned from so far.
    """

    def __init__(
        self,
        genome: Genome,
        layout: Layout | None = None,
        *,
        online: bool = True,
        capacity: int = CAPACITY,
    ) -> None:
        """Make a learner of a genome.

        Args:
            genome: some of its connections have a rule of plasticity.
            layout: of the run that it comes from: time step, weight bound, activations of plugins. None: a time step
                of 1, and weights without a bound.
            online: whether to learn during episodes, or only when `learn` is called.
            capacity: how many ticks to remember, >= 1; the oldest is forgotten first. Each takes some 8 bytes for
                each number of `Network.state`.

        Raises:
            ConfigError: nothing in the network is plastic, or ``capacity`` is less than 1.
        """
        if capacity < 1:
            raise ConfigError(f"expected a capacity of 1 or more, came {capacity}")
        self.network = genome.network(layout)
        if not self.network.plastic:
            raise ConfigError(
                "no connection of the network is plastic: expected a genome with the columns of the group "
                "'plasticity' and some rule other than 'none'"
            )
        self.online, self.n_updates = online, 0
        self._genome = genome
        self._buffer: deque[Experience] = deque(maxlen=capacity)
        self._running = False
        self._ticks = 0  # of this episode
        self._reward = 0.0  # for the last tick

    @property
    def n_experiences(self) -> int:
        """Ticks in the buffer."""
        return len(self._buffer)

    @property
    def genome(self) -> Genome:
        """The genome with what was learned as its weights."""
        return replace(self._genome, weight=self.network.learned(self._genome.weight))

    def start(self) -> None:
        """Begin an episode: the network forgets all but what it has learned.

        Raises:
            ConfigError: an episode is running.
        """
        if self._running:
            raise ConfigError("an episode is running: call stop() before start()")
        self.network.reset(keep_weights=True)
        self._running, self._ticks, self._reward = True, 0, 0.0

    def stop(self) -> None:
        """End the episode; its last tick is learned from, or remembered, like the others.

        Raises:
            ConfigError: no episode is running.
        """
        self._require_running("stop")
        self._finish_tick()
        self._running = False

    def activate(self, inputs: ArrayLike) -> Float:
        """Compute one tick of the network, see `Network.activate`.

        Raises:
            ConfigError: no episode is running, or the inputs have another shape.
        """
        self._require_running("activate")
        self._finish_tick()
        outputs = self.network.activate(inputs, reward=None)
        self._ticks += 1
        return outputs

    def reward(self, value: float) -> None:
        """Give a reward for the last tick; several add up.

        Raises:
            ConfigError: no episode is running, there was no tick yet, or the reward is not a finite number.
        """
        self._require_running("reward")
        if self._ticks == 0:
            raise ConfigError("there is nothing to reward yet: call activate() before reward()")
        if not math.isfinite(value):
            raise ConfigError(f"expected a finite reward, came {value}")
        self._reward += value

    def learn(self, passes: int = 1) -> int:
        """Learn from the ticks in the buffer, oldest first, and empty it; during an episode or between.

        Eligibility traces begin at 0 with each episode, and at the oldest tick.

        Args:
            passes: how many times to go through them, >= 1.

        Returns:
            How many updates were made.

        Raises:
            ConfigError: ``passes`` is less than 1.
        """
        if passes < 1:
            raise ConfigError(f"expected 1 pass or more, came {passes}")
        network, now = self.network, self.network.state
        for _ in range(passes):
            trace = np.zeros(network.n_connections)
            for experience in self._buffer:
                if experience.first:
                    trace[:] = 0.0
                weights = network.weights
                network.state = experience.state
                network.weights, network.traces = weights, trace
                network.learn(experience.reward)
                trace = network.traces
        weights = network.weights
        network.state = now
        network.weights = weights
        n = passes * len(self._buffer)
        self._buffer.clear()
        self.n_updates += n
        return n

    def save(self, path: str | PathLike[str]) -> None:
        """Write the genome with the learned weights to a file, which `genome.start` and the commands read.

        Raises:
            OSError: the file cannot be written.
        """
        write_atomic(Path(path), encode(self.genome))

    def _finish_tick(self) -> None:
        """Learn from the last tick, or remember it, now that its reward is known."""
        if self._ticks == 0:
            return
        if self.online:
            self.network.learn(self._reward)
            self.n_updates += 1
        else:
            self._buffer.append(Experience(self.network.state, self._reward, self._ticks == 1))
        self._reward = 0.0

    def _require_running(self, what: str) -> None:
        if not self._running:
            raise ConfigError(f"no episode is running: call start() before {what}()")
