"""The archive of a stored run, for a table, a picture or another program."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from tweann.checkpoints import read_checkpoints
from tweann.config import load
from tweann.errors import ConfigError, FormatError
from tweann.evolution import Evolution
from tweann.pool import PoolView
from tweann.registry import Registry
from tweann.stored_run import CONFIG_FILE, StoredRun

Rows = Sequence[Mapping[str, object]]


@runtime_checkable
class Archiving(Protocol):
    """A strategy that has an archive of elites."""

    def archive(self, pool: PoolView) -> Rows:
        """Return a row for each elite, in the order of cells, with the keys of `archive_rows`."""
        ...


def archive_rows(stored: StoredRun, registry: Registry) -> Rows:
    """Return the elites of a stored run as of its last good checkpoint; the run is only read.

    Returns:
        A row each: ``cell`` (of a grid its index in each dimension, of a tessellation its centroid's), ``centre`` of the
        cell, ``descriptor``, ``fitness`` and ``genome_id``.

    Raises:
        ConfigError: the run's strategy has no archive, or the run no checkpoint.
        FormatError: every checkpoint is damaged.
    """
    config = load(stored.folder / CONFIG_FILE, (), registry)
    faults: list[str] = []
    kind = registry.resolve("strategy", config.strategy.name)
    if not hasattr(kind, "archive"):
        raise ConfigError(
            f"{stored.folder}: strategy {config.strategy.name} has no archive of elites (map-elites has one)"
        )
    for path, state in read_checkpoints(stored.folder):
        with Evolution(config, registry=registry) as evolution:
            try:
                if isinstance(state, FormatError):
                    raise state
                evolution.restore(state)
            except FormatError as error:
                faults.append(f"{path.name}: {error}")
                continue
            strategy = evolution.strategy
            if isinstance(strategy, Archiving):
                return strategy.archive(evolution.pool.view())
    if faults:
        raise FormatError(f"{stored.folder}: every checkpoint is damaged: {'; '.join(faults)}")
    raise ConfigError(
        f"{stored.folder} has no checkpoint to read the archive from: it is written as a run goes on and when it "
        "ends, unless checkpoint.enabled = false"
    )


def as_csv(rows: Rows) -> str:
    """Return rows as comma-separated values, lists as one column each: ``cell_0``, ``cell_1``, …"""
    flat = [dict(_flat(row)) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(row: Mapping[str, object]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in row.items():
        if isinstance(value, list):
            found += [(f"{name}_{k}", item) for k, item in enumerate(value)]
        else:
            found.append((name, value))
    return found
