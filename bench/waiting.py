"""A fitness function that waits; in a module of its own, so that worker processes can import it."""

from __future__ import annotations

import time

from tweann.network import Network
from tweann.tasks.python import PythonTask


class WaitingTask(PythonTask):
    """Waits ``seconds`` a genome."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(self.fitness, 2, 1, serial=False, name="waiting")

    def fitness(self, network: Network) -> float:
        if self.seconds:
            time.sleep(self.seconds)
        return float(network.activate([1.0, 0.5])[0])
