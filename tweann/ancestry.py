"""The line of a genome, from a stored run: each birth back to the first, how it came to be, and what it changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tweann.errors import ConfigError, FormatError
from tweann.genes import MUTATIONS, Int, Operator, Origin
from tweann.lineage import Records, unpack, unpack_deaths
from tweann.stored_run import StoredRun, without_nan

#: As long as a genome's id is, in hexadecimal digits: a shorter number is a birth.
_ID_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class Birth:
    """One birth of a line.

    Attributes:
        birth: its number.
        generation: when.
        operator: how, as in `tweann.genes.Operator`; "immigrant" for one that came from elsewhere.
        parents: birth numbers: none, one, or two with the dominant one first.
        mutations: what was applied, as in `tweann.genes.MUTATIONS`.
        species: -1: none.
        fitness: NaN: its evaluation failed.
        died: the generation in which it was not selected; None: it lived on, or that is not known any more.
        peer: who sent an immigrant.
    """

    birth: int
    generation: int
    operator: str
    parents: tuple[int, ...]
    mutations: tuple[str, ...]
    species: int
    fitness: float
    died: int | None
    peer: str | None

    def data(self) -> dict[str, Any]:
        """Return the values by name, as JSON values."""
        return {name: without_nan(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Line:
    """A genome's births, itself first, by dominant parents.

    Attributes:
        births: the line.
        whole: whether it goes back to a birth without parents; otherwise older ones are not kept.
    """

    births: tuple[Birth, ...]
    whole: bool

    @property
    def mutations(self) -> dict[str, int]:
        """How often each mutation was applied on the line."""
        counts = Counter(name for birth in self.births for name in birth.mutations)
        return {name: counts[name] for name in MUTATIONS if counts[name]}

    def data(self) -> dict[str, Any]:
        """Return the values by name, as JSON values."""
        return {
            "whole": self.whole,
            "mutations": self.mutations,
            "births": [birth.data() for birth in self.births],
        }


def line_of(stored: StoredRun, genome: str | None = None) -> Line:
    """Return the line of a genome of a stored run.

    Args:
        stored: the run.
        genome: a birth number, or the beginning of the id of a champion, of one of the last population, or of an
            immigrant; None: the champion.

    Raises:
        ConfigError: there is no such genome, or the run keeps no lineage.
        StorageError: the database cannot be read.
        FormatError: it is damaged.
    """
    birth = _birth_of(stored, genome)
    births, deaths = _read(stored)
    numbers = births["birth"].astype(np.int64)
    peers = {data["birth"]: data["peer"] for data, _ in stored.immigrants()}
    line: list[Birth] = []
    at = _find(numbers, birth)
    if at is None:
        raise ConfigError(
            f"birth {birth} is not in what {stored.folder} keeps of its lineage: either it was never born or "
            "written, or lineage.enabled is false, or it is older than lineage.max_births"
        )
    while at is not None:
        line.append(_birth(births[at], deaths, peers))
        parents = line[-1].parents
        if parents and parents[0] >= line[-1].birth:
            raise FormatError(f"lineage: birth {line[-1].birth} has a parent that is not older")
        at = _find(numbers, parents[0]) if parents else None
    return Line(tuple(line), not line[-1].parents)


def _birth_of(stored: StoredRun, genome: str | None) -> int:
    if genome is None:
        return int(stored.champion_data()["birth"])
    if genome.isdecimal() and len(genome) < _ID_LENGTH:
        return int(genome)
    known = {row["genome_id"]: row["birth"] for row in stored.genome_rows()}
    found = sorted(key for key in known if key.startswith(genome))
    if not found:
        raise ConfigError(
            f"no genome {genome!r} among the champions, the last population and the immigrants of {stored.folder}; "
            "any other is known by its birth number"
        )
    if len(found) > 1:
        raise ConfigError(f"{len(found)} genomes begin with {genome!r}: give more of it")
    return int(known[found[0]])


def _read(stored: StoredRun) -> tuple[Records, dict[int, int]]:
    """Return all births that are kept, each once and in order, and by birth the generation of death."""
    parts = [unpack(b""), *(unpack(row["genome"]) for row in stored.pieces("ancestors"))]
    deaths: dict[int, int] = {}
    for row in stored.pieces("lineage"):
        parts.append(unpack(row["genome"], row["n_births"]))
        died = unpack_deaths(row["genome"], row["n_births"])
        deaths.update(zip(died["birth"].tolist(), died["generation"].tolist(), strict=True))
    births = np.concatenate(parts)
    _, first = np.unique(births["birth"], return_index=True)
    return births[first], deaths


def _find(numbers: Int, birth: int) -> int | None:
    at = int(numbers.searchsorted(birth))
    return at if at < numbers.size and numbers[at] == birth else None


def _birth(record: np.void, deaths: dict[int, int], peers: dict[int, str]) -> Birth:
    try:
        immigrant = Origin(int(record["origin"])) is Origin.IMMIGRANT
        operator = "immigrant" if immigrant else Operator(int(record["operator"])).name.lower()
    except ValueError as error:
        raise FormatError(f"lineage: birth {record['birth']}: {error}") from None
    number, bits = int(record["birth"]), int(record["mutations"])
    parents = (int(record["parent_a"]), int(record["parent_b"]))
    return Birth(
        birth=number,
        generation=int(record["generation"]),
        operator=operator,
        parents=tuple(parent for parent in parents if parent >= 0),
        mutations=tuple(name for k, name in enumerate(MUTATIONS) if bits >> k & 1),
        species=int(record["species"]),
        fitness=float(record["fitness"]),
        died=deaths.get(number),
        peer=peers.get(number),
    )
