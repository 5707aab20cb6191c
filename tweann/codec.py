"""The one binary form of a genome, for storage, files and the wire.

A msgpack map: format version, hash version, sizes, the names in use, and one binary blob for each column, little-endian.
What comes in is a stranger's until it is checked: size, schema, then sense.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NoReturn, cast

import msgpack
import numpy as np
from numpy.typing import NDArray

from tweann.columns import codes_of, names_of
from tweann.errors import FormatError, GenomeError
from tweann.genes import (
    AGGREGATIONS,
    CODED_COLUMNS,
    COLUMN_GROUPS,
    DYNAMICS,
    MAX_CONNECTIONS,
    MAX_NODES,
    PLASTICITY_RULES,
    Float,
)
from tweann.genome import FORMAT_VERSION, Genome, check_fits
from tweann.kernels.ids import HASH_VERSION
from tweann.kernels.wire import OUT_SIZE, read_plain
from tweann.layout import Layout
from tweann.rules import MAX_NAME

#: Of a gene without optional columns, and of each of these, with room.
_GENE_BYTES, _EXTRA_BYTES = 64, 8
#: More than any genome of MAX_NODES and MAX_CONNECTIONS needs.
MAX_BYTES = (_GENE_BYTES + 24 * _EXTRA_BYTES) * MAX_CONNECTIONS
# codes of activations are bytes
_MAX_NAMES = 256 + len(AGGREGATIONS) + len(DYNAMICS) + len(PLASTICITY_RULES)
_MAX_EXTRA = 64

#: Up to here all is unpacked at once: rubbish of this size becomes 5 MB at most.
_SMALL = 65_536
_LITTLE = sys.byteorder == "little"

_KEYS = {
    "format",
    "hash",
    "n_inputs",
    "n_outputs",
    "names",
    "node_id",
    "activation",
    "aggregation",
    "bias",
    "source",
    "target",
    "weight",
    "enabled",
    "node_extra",
    "connection_extra",
}
#: Of genomes that have such values alone.
_OPTIONAL = {"genome_extra"}
_ALL_KEYS = _KEYS | _OPTIONAL

#: How columns are stored.
_I8, _F8, _U2, _U1 = (np.dtype(stored) for stored in ("<i8", "<f8", "<u2", "u1"))

#: The keys whose values are no scalars.
_CONTAINER_TYPES, _TEXT = frozenset({list, dict}), frozenset({str})
_CONTAINERS: dict[str, type] = {
    "names": list,
    "node_extra": dict,
    "connection_extra": dict,
    "genome_extra": dict,
}


def encode(genome: Genome) -> bytes:
    """Return the genome as bytes. Equal genomes with equal optional columns give equal bytes."""
    extra = {**genome.node_extra, **genome.connection_extra}
    coded = {name: names_of(name, extra[name]) for name in CODED_COLUMNS if name in extra}
    names = sorted({*genome.activation, *genome.aggregation}.union(*coded.values()))
    code = {name: i for i, name in enumerate(names)}

    def blobs(columns: Mapping[str, Float]) -> dict[str, bytes]:
        return {
            name: np.array([code[value] for value in coded[name]], dtype="<u2").tobytes()
            if name in coded
            else values.astype("<f8").tobytes()
            for name, values in columns.items()
        }

    message = {
        "format": FORMAT_VERSION,
        "hash": HASH_VERSION,
        "n_inputs": genome.n_inputs,
        "n_outputs": genome.n_outputs,
        "names": names,
        "node_id": genome.node_id.astype("<i8").tobytes(),
        "activation": np.array([code[a] for a in genome.activation], dtype="<u2").tobytes(),
        "aggregation": np.array([code[a] for a in genome.aggregation], dtype="<u2").tobytes(),
        "bias": genome.bias.astype("<f8").tobytes(),
        "source": genome.source.astype("<i8").tobytes(),
        "target": genome.target.astype("<i8").tobytes(),
        "weight": genome.weight.astype("<f8").tobytes(),
        "enabled": np.packbits(genome.enabled).tobytes(),
        "node_extra": blobs(genome.node_extra),
        "connection_extra": blobs(genome.connection_extra),
    }
    if genome.genome_extra:
        message["genome_extra"] = dict(genome.genome_extra)
    return cast(bytes, msgpack.packb(message))


def decode(data: bytes, layout: Layout | None = None) -> Genome:
    """Return the genome in ``data``.

    Args:
        data: what `encode` gave, or what somebody says it did.
        layout: if given, the genome must fit it: sizes, caps, recurrence, known activations.

    Raises:
        FormatError: ``data`` is not a genome that may be used here; the message says why.
    """
    max_nodes = MAX_NODES if layout is None else layout.max_nodes
    max_connections = MAX_CONNECTIONS if layout is None else layout.max_connections
    if len(data) > max_bytes(layout):
        raise FormatError(f"a genome of {len(data)} bytes is larger than the caps allow")
    found = None if layout is None else _read_at_once(data, layout)
    if found is not None:
        return found
    try:
        message = _unpack_at_once(data) or _unpack(data)
    except (ValueError, msgpack.UnpackException) as error:
        raise FormatError(f"not a genome: {error}") from None
    if (message["format"], message["hash"]) != (FORMAT_VERSION, HASH_VERSION):
        raise FormatError(
            f"genome format {message['format']!r:.20} with hash {message['hash']!r:.20}: this version of "
            f"tweann reads format {FORMAT_VERSION} with hash {HASH_VERSION}"
        )
    try:
        genome = _build(message, max_nodes, max_connections)
        if layout is not None:
            check_fits(genome, layout)
    except GenomeError as error:
        raise FormatError(str(error)) from None
    return genome


def _read_at_once(data: bytes, layout: Layout) -> Genome | None:
    """Return a genome without optional columns, its id included, at a third of the cost; None: look at it closely."""
    size = len(data)
    known = _known(layout.activations)
    if known is None or not _LITTLE or size > _SMALL:
        return None
    limits = _limits(
        layout.n_inputs,
        layout.n_outputs,
        layout.max_nodes,
        layout.max_connections,
        layout.recurrent,
        layout.activations,
    )
    whole = np.empty(size // 8 + 1, np.int64)
    real = whole.view(np.float64)
    enabled = np.empty(size // 24 + 1, np.bool_)
    codes = np.empty(size // 8 + 1, np.uint8)
    canonical = np.empty(2 * size + 256, np.uint8)
    out = np.empty(OUT_SIZE, np.int64)
    raw = np.frombuffer(data, np.uint8)
    length = read_plain(
        raw, known, limits, whole, real, whole.view(np.uint8), enabled, codes, canonical, out
    )
    if not length:
        return None
    n, c, recurrent = out[:3].tolist()
    for array in (whole, real, enabled):
        array.setflags(write=False)
    named = codes[: 2 * n].tolist()
    bias, weight = n + 2 * c, 2 * n + 2 * c
    return Genome.checked(
        n_inputs=layout.n_inputs,
        n_outputs=layout.n_outputs,
        node_id=whole[:n],
        activation=tuple(map(layout.activations.__getitem__, named[:n])),
        aggregation=tuple(map(AGGREGATIONS.__getitem__, named[n:])),
        bias=real[bias:weight],
        source=whole[n : n + c],
        target=whole[n + c : bias],
        weight=real[weight : weight + c],
        enabled=enabled[:c],
        recurrent=recurrent == 1,
        genome_id=blake2b(canonical[:length].data, digest_size=32).hexdigest(),
    )


@lru_cache(16)
def _limits(
    n_inputs: int,
    n_outputs: int,
    max_nodes: int,
    max_connections: int,
    recurrent: bool,
    activations: tuple[str, ...],
) -> NDArray[np.int64]:
    """Return what `read_plain` wants to know of a layout."""
    numbers = (n_inputs, n_outputs, max_nodes, max_connections, recurrent)
    codes = activations.index("identity"), AGGREGATIONS.index("sum")
    return np.array((*numbers, *codes), np.int64)


@lru_cache(16)
def _known(activations: tuple[str, ...]) -> NDArray[np.uint8] | None:
    """Return the names that a genome may have as `read_plain` wants them; None: they are too many for it."""
    encoded = [[name.encode() for name in group] for group in (activations, AGGREGATIONS)]
    if len(activations) > 255 or "identity" not in activations:
        return None
    text = b"".join(
        bytes([len(group)]) + b"".join(bytes([len(name)]) + name for name in group)
        for group in encoded
    )
    return np.frombuffer(text, np.uint8)


def _unpack_at_once(data: bytes) -> dict[str, Any] | None:
    """Return what `_unpack` does, of a small genome, at a third of the cost; None: look at it closely."""
    if len(data) > _SMALL:
        return None
    try:
        message = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=_MAX_NAMES,
            max_map_len=_MAX_EXTRA,
            max_str_len=MAX_NAME,
            max_bin_len=len(data),
            max_ext_len=0,
            ext_hook=_reject_extension,
            object_pairs_hook=_without_twins,
        )
    except (ValueError, msgpack.UnpackException):
        return None
    if not isinstance(message, dict) or not _KEYS <= message.keys() <= _ALL_KEYS:
        return None
    for key, kind in _CONTAINERS.items():
        if key in message and not isinstance(message[key], kind):
            return None
    scalars = [value for key, value in message.items() if key not in _CONTAINERS]
    scalars += message["names"]
    for key in ("node_extra", "connection_extra", "genome_extra"):
        scalars += message.get(key, {}).values()
    return message if _CONTAINER_TYPES.isdisjoint(map(type, scalars)) else None


def _without_twins(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) or not _TEXT.issuperset(map(type, found)):
        raise ValueError("a key that occurs twice, or is no text")
    return found


def max_bytes(layout: Layout | None = None) -> int:
    """Return the most that a genome may take that fits ``layout``; None: that any may take."""
    if layout is None:
        return MAX_BYTES
    columns = sum(
        max(len(COLUMN_GROUPS[name].node), len(COLUMN_GROUPS[name].connection))
        for name in layout.groups
    )
    gene = _GENE_BYTES + columns * _EXTRA_BYTES
    return min(MAX_BYTES, 4096 + gene * (layout.max_nodes + layout.max_connections))


def _unpack(data: bytes) -> dict[str, Any]:
    """Return the message with all keys and no others, each value a scalar, or of the container due there.

    Key by key, with all other containers refused: a megabyte of nested empty maps would become 71.

    Raises:
        ValueError, msgpack.UnpackException: it is something else.
    """
    unpacker = msgpack.Unpacker(
        raw=False,
        max_buffer_size=max(len(data), 1),
        max_array_len=0,
        max_map_len=0,
        max_str_len=MAX_NAME,
        max_bin_len=len(data),
        max_ext_len=0,
        ext_hook=_reject_extension,
    )
    unpacker.feed(data)
    message: dict[str, Any] = {}
    for _ in range(_count(unpacker.read_map_header(), len(_KEYS | _OPTIONAL))):
        key = _new_key(unpacker, message)
        if key not in _KEYS and key not in _OPTIONAL:
            raise ValueError(f"unknown key {key!r}")
        if key == "names":
            n = _count(unpacker.read_array_header(), _MAX_NAMES)
            message[key] = [unpacker.unpack() for _ in range(n)]
        elif key in ("node_extra", "connection_extra", "genome_extra"):
            columns: dict[str, Any] = {}
            for _ in range(_count(unpacker.read_map_header(), _MAX_EXTRA)):
                name = _new_key(unpacker, columns)
                columns[name] = unpacker.unpack()
            message[key] = columns
        else:
            message[key] = unpacker.unpack()
    missing = _KEYS - message.keys()
    if missing:
        raise ValueError(f"the key {min(missing)!r} is missing")
    if unpacker.tell() != len(data):
        raise ValueError(f"{len(data) - unpacker.tell()} bytes behind its end")
    return message


def _count(n: int, cap: int) -> int:
    if n > cap:
        raise ValueError(f"{n} entries where at most {cap} are expected")
    return n


def _new_key(unpacker: msgpack.Unpacker, known: Mapping[str, Any]) -> str:
    key = unpacker.unpack()
    if not isinstance(key, str):
        raise ValueError(f"a key of type {type(key).__name__}")
    if key in known:
        raise ValueError(f"the key {key!r} occurs twice")
    return key


def _build(message: dict[str, Any], max_nodes: int, max_connections: int) -> Genome:
    for key in ("n_inputs", "n_outputs"):
        if type(message[key]) is not int or not 0 <= message[key] <= max_nodes:
            raise FormatError(f"{key} must be an integer from 0 to {max_nodes}")
    names = message["names"]
    if not all(isinstance(name, str) for name in names):
        raise FormatError("names must be a list of strings")
    node_id = _column(message, "node_id", _I8)
    n = node_id.size
    source = _column(message, "source", _I8)
    c = source.size
    if n > max_nodes or c > max_connections:
        raise FormatError(
            f"{n} nodes and {c} connections exceed the caps of {max_nodes} and {max_connections}"
        )
    enabled = _column(message, "enabled", _U1)
    if enabled.size != -(-c // 8):
        raise FormatError(f"enabled has {enabled.size} bytes, expected one bit for each of {c}")
    return Genome(
        n_inputs=message["n_inputs"],
        n_outputs=message["n_outputs"],
        node_id=node_id,
        activation=_names(message, "activation", names),
        aggregation=_names(message, "aggregation", names),
        bias=_column(message, "bias", _F8),
        source=source,
        target=_column(message, "target", _I8),
        weight=_column(message, "weight", _F8),
        enabled=np.unpackbits(enabled, count=c).view(np.bool_),
        node_extra=_extra(message, "node_extra", names),
        connection_extra=_extra(message, "connection_extra", names),
        genome_extra=_numbers(message.get("genome_extra", {})),
    )


def _column(message: dict[str, Any], key: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a column as this machine holds it; where that is as it came, without a copy."""
    blob = message[key]
    if not isinstance(blob, bytes) or len(blob) % dtype.itemsize:
        raise FormatError(f"{key} must be binary, whole items of type {dtype.str}")
    column: NDArray[Any] = np.frombuffer(blob, dtype)
    return column if dtype.isnative else column.astype(dtype.newbyteorder("="))


def _names(message: dict[str, Any], key: str, names: list[str]) -> tuple[str, ...]:
    codes = _column(message, key, _U2).tolist()
    try:
        return tuple(map(names.__getitem__, codes))
    except IndexError:
        raise FormatError(f"{key} points beyond the {len(names)} names") from None


def _extra(message: dict[str, Any], key: str, names: list[str]) -> dict[str, NDArray[Any]]:
    columns = message[key]
    return {
        name: codes_of(name, _names(columns, name, names))
        if name in CODED_COLUMNS
        else _column(columns, name, _F8)
        for name in columns
    }


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    for name, value in values.items():
        if type(value) is not float:
            raise FormatError(f"{name} must be a number, came {type(value).__name__}")
    return values


def _reject_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} of {len(data)} bytes is not allowed")
