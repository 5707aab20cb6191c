"""Runs and populations from one storage to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tweann import assembly
from tweann.codec import decode, encode
from tweann.config import load
from tweann.errors import ConfigError
from tweann.interfaces import Event, Storage
from tweann.populations import Member, read_population
from tweann.registry import Registry
from tweann.stored_run import CONFIG_FILE, StoredRun

#: Events that are read before they are written.
_BATCH: Final = 1000


def last_population(stored: StoredRun) -> list[Member]:
    """Return the last population of a stored run.

    Raises:
        ConfigError: there is none: it is written when a run ends.
        StorageError: the database cannot be read.
        FormatError: a genome in it is damaged.
    """
    rows = stored.individuals()
    if not rows:
        raise ConfigError(
            f"{stored.folder} has no last population: it is written when a run ends; `tweann resume` ends it"
        )
    return [Member(decode(row["genome"]), row["fitness"], row["species"]) for row in rows]


def copy_run(stored: StoredRun, url: str, registry: Registry) -> int:
    """Copy all events of a stored run to another storage, under the same name; return how many.

    The caps of its configuration hold there, too.

    Args:
        stored: the run; it may go on meanwhile.
        url: of the other storage.
        registry: where the storages are.

    Raises:
        ConfigError: the other storage is unknown, or has such a run.
        StorageError: one of them cannot be used.
    """
    config = load(stored.folder / CONFIG_FILE, (), registry)
    caps = config.storage.settings.model_dump(exclude={"url"})
    with (
        closing(assembly.make_storage(config, stored.folder, registry)) as source,
        closing(_open(url, stored.folder.name, caps, registry)) as target,
    ):
        return _append(target, source.events())


def copy_population(path: Path, url: str, registry: Registry) -> int:
    """Write a population file to a storage, as the last population of a run with the file's name; return its size.

    Raises:
        ConfigError: the storage is unknown, or has such a run.
        StorageError: the file cannot be read, or the storage cannot be used.
        FormatError: it is no population file, or damaged.
    """
    members = read_population(path)
    with closing(_open(url, path.stem, {}, registry)) as target:
        _append(target, _events_of(path, members))
    return len(members)


def _events_of(path: Path, members: list[Member]) -> Iterator[Event]:
    start = {"name": path.stem, "seed": 0, "config": "", "version": version("tweann")}
    yield Event(0, "run_started", 0, {**start, "started": assembly.now()})
    for k, member in enumerate(members):
        data = {
            "position": k,
            "birth": k,
            "species": member.species,
            "fitness": member.fitness,
            "genome_id": member.genome.genome_id,
            "n_nodes": member.genome.n_nodes,
            "n_connections": member.genome.n_connections,
        }
        yield Event(k + 1, "individual", 0, data, encode(member.genome))


def _open(url: str, run: str, caps: dict[str, Any], registry: Registry) -> Storage:
    """Open another storage for a run that it must not have."""
    scheme, separator, _ = url.partition(":")
    if not separator or scheme == "memory":
        raise ConfigError(
            f"--to {url}: expected the URL of a storage that lasts, as in storage.url"
        )
    kind = registry.resolve("storage", scheme)
    known = {key: value for key, value in caps.items() if key in kind.Settings.model_fields}
    try:
        settings = kind.Settings.model_validate({**known, "url": url})
    except ValueError as error:
        raise ConfigError(f"--to {url}: {error}") from error
    storage: Storage = kind(settings, run)
    if next(iter(storage.events()), None) is not None:
        storage.close()
        raise ConfigError(f"{url} has a run {run!r} already: it is left as it is")
    return storage


def _append(storage: Storage, events: Iterable[Event]) -> int:
    n, remaining = 0, iter(events)
    while batch := list(islice(remaining, _BATCH)):
        storage.append(batch)
        n += len(batch)
    storage.flush()
    return n
