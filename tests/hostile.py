"""Fitness functions that break the process in which they run, for tests of back-ends elsewhere.

At the top level of a module, so that worker processes can import them.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np

from tweann.network import Network


def value(network: Network) -> float:
    """Return something that differs from genome to genome."""
    return float(network.activate([1.0, -0.5])[0])


def is_bad(network: Network) -> bool:
    """Return whether this is one of the genomes that break things: about one in ten."""
    return int(abs(float(network.activate([1.0, -0.5])[0])) * 1e6) % 10 == 3


def good(network: Network) -> float:
    return value(network)


def nan(network: Network) -> float:
    """Fail where the others break things, in an orderly way."""
    return float("nan") if is_bad(network) else value(network)


def segfaults(network: Network) -> float:
    if is_bad(network):
        ctypes.string_at(0)
    return value(network)


def kills_itself(network: Network) -> float:
    if is_bad(network):
        os.kill(os.getpid(), 9)
    return value(network)


def leaves(network: Network) -> float:
    if is_bad(network):
        os._exit(3)
    return value(network)


def exits(network: Network) -> float:
    if is_bad(network):
        sys.exit("enough")
    return value(network)


def hangs(network: Network) -> float:
    while is_bad(network):
        time.sleep(0.01)
    return value(network)


def eats_memory(network: Network) -> float:
    if is_bad(network):
        kept = [np.ones(10_000_000) for _ in range(1_000)]
        return float(len(kept))
    return value(network)


def writes_garbage(network: Network) -> float:
    """Write to every file that is open, the one for results included."""
    if is_bad(network):
        for number in range(3, 64):
            try:
                os.write(number, b"garbage " * 64)
            except OSError:
                continue
    return value(network)


def prints(network: Network) -> float:
    print("garbage" * 100)
    return value(network)


def raises(network: Network) -> float:
    if is_bad(network):
        raise ValueError("no")
    return value(network)


def sleeps_for_ever(network: Network) -> float:
    time.sleep(3600.0)
    return 0.0


class DiesOnce:
    """Kills its process at the first call of all processes together; ``mark`` remembers."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __call__(self, network: Network) -> float:
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return value(network)
        os.kill(os.getpid(), 9)
        return 0.0


def slow(network: Network) -> float:
    time.sleep(0.01)
    return value(network)
