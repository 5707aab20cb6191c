"""Population files: genomes with what they were worth, to be read by anybody.

A magic, then a msgpack map: format version, fitness and species as one blob each, little-endian, and the genomes as
the genome codec writes them. What comes in is a stranger's until it is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np

from tweann.codec import MAX_BYTES, decode, encode
from tweann.errors import FormatError, StorageError
from tweann.genome import Genome

FORMAT_VERSION: Final = 1
MAX_GENOMES: Final = 100_000
#: Of a whole file.
MAX_FILE: Final = 1 << 28

_MAGIC: Final = b"tweann population\n"
_KEYS: Final = ("format", "fitness", "species", "genomes")


@dataclass(frozen=True, slots=True)
class Member:
    """One genome of a population file; the fitness is whatever its writer says."""

    genome: Genome
    fitness: float
    species: int


def encode_population(members: Sequence[Member]) -> bytes:
    """Return the content of a population file.

    Raises:
        FormatError: they are more than such a file may have.
    """
    if len(members) > MAX_GENOMES:
        raise FormatError(f"{len(members)} genomes: a population file has at most {MAX_GENOMES}")
    message = {
        "format": FORMAT_VERSION,
        "fitness": np.array([m.fitness for m in members], "<f8").tobytes(),
        "species": np.array([m.species for m in members], "<i8").tobytes(),
        "genomes": [encode(m.genome) for m in members],
    }
    data: bytes = _MAGIC + msgpack.packb(message)
    if len(data) > MAX_FILE:
        raise FormatError(f"{len(data)} bytes: a population file has at most {MAX_FILE}")
    return data


def decode_population(data: bytes) -> list[Member]:
    """Return the genomes of a population file, all of them checked.

    Raises:
        FormatError: it is none, too large, or damaged.
    """
    if not data.startswith(_MAGIC):
        raise FormatError("not a population file of tweann")
    if len(data) > MAX_FILE:
        raise FormatError(f"{len(data)} bytes: a population file has at most {MAX_FILE}")
    try:
        message = _unpack(data[len(_MAGIC) :])
    except (ValueError, msgpack.UnpackException) as error:
        raise FormatError(f"not a population: {str(error) or type(error).__name__}") from None
    columns = []
    for key, dtype in (("fitness", "<f8"), ("species", "<i8")):
        blob, n = message[key], len(message["genomes"])
        if not isinstance(blob, bytes) or len(blob) != 8 * n:
            raise FormatError(f"population: expected {key} as {8 * n} bytes, for {n} genomes")
        columns.append(np.frombuffer(blob, dtype).tolist())
    members = []
    for k, (blob, fitness, species) in enumerate(zip(message["genomes"], *columns, strict=True)):
        if not isinstance(blob, bytes):
            raise FormatError(f"population: genome {k} is no bytes")
        try:
            members.append(Member(decode(blob), fitness, species))
        except FormatError as error:
            raise FormatError(f"population: genome {k}: {error}") from None
    return members


def read_population(path: Path) -> list[Member]:
    """Return the genomes of a population file.

    Raises:
        StorageError: it cannot be read.
        FormatError: it is none, too large, or damaged.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise FormatError(f"{path}: a population file has at most {MAX_FILE} bytes")
        return decode_population(path.read_bytes())
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


def _unpack(data: bytes) -> dict[str, Any]:
    """Return the message: its keys in their order, with no container but the list of genomes."""
    unpacker = msgpack.Unpacker(
        raw=False,
        max_buffer_size=max(len(data), 1),
        max_array_len=0,
        max_map_len=0,
        max_str_len=max(map(len, _KEYS)),
        max_bin_len=min(len(data), MAX_BYTES),
        max_ext_len=0,
    )
    unpacker.feed(data)
    if unpacker.read_map_header() != len(_KEYS):
        raise ValueError(f"expected the keys {', '.join(_KEYS)}")
    message: dict[str, Any] = {}
    for key in _KEYS:
        found = unpacker.unpack()
        if found != key:
            raise ValueError(f"expected the key {key!r}, came {found!r:.40}")
        if key != "genomes":
            message[key] = unpacker.unpack()
            continue
        n = unpacker.read_array_header()
        if n > MAX_GENOMES:
            raise ValueError(f"{n} genomes where at most {MAX_GENOMES} are expected")
        message[key] = [unpacker.unpack() for _ in range(n)]
    if message["format"] != FORMAT_VERSION or type(message["format"]) is not int:
        raise ValueError(f"format {message['format']!r:.20}: this tweann reads {FORMAT_VERSION}")
    if unpacker.tell() != len(data):
        raise ValueError(f"{len(data) - unpacker.tell()} bytes behind its end")
    return message
