"""Fingerprints: whose genomes mean the same here, and whose random numbers are the same as ours."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from tweann.genome import FORMAT_VERSION
from tweann.interfaces import ExchangeContext
from tweann.kernels.ids import HASH_VERSION

_BYTES: Final = 16


def task_fingerprint(context: ExchangeContext) -> bytes:
    """Return 16 bytes that are equal where a genome has the same meaning and worth.

    Of the task's name, version and settings, the names of inputs, outputs and descriptor, and the versions of genome
    and hash. How many evaluations, which strategy, which caps: those may differ.
    """
    task = context.task
    settings = {key: value for key, value in context.task_settings.items() if value is not None}
    return _digest(
        {
            "format": FORMAT_VERSION,
            "hash": HASH_VERSION,
            "name": task.name,
            "version": task.version,
            "settings": settings,
            "inputs": task.inputs,
            "outputs": task.outputs,
            "descriptor": task.descriptor,
            "n_objectives": task.n_objectives,
        }
    )


def randomness_fingerprint(seed: int, stream: int) -> bytes:
    """Return 16 bytes that are equal for two runs that would draw the same random numbers."""
    return _digest({"seed": str(seed), "stream": str(stream)})


def _digest(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_BYTES).digest()
