"""What goes over the wire: four frames a message, each checked before it is used.

``topic``, ``header``, ``body``, ``stamp``; ``docs/bridge.md`` describes them frame by frame. What comes in is a
stranger's: sizes first, then the schema, then the hash, then the genomes themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgpack

from tweann.codec import decode, encode, max_bytes
from tweann.errors import FormatError
from tweann.genome import Genome
from tweann.layout import Layout

#: The version of frames and header. Another one is counted and dropped.
PROTOCOL_VERSION: Final = 1

N_FRAMES: Final = 4
MAX_NAME: Final = 64
MAX_TOPIC_BYTES: Final = 128
MAX_HEADER_BYTES: Final = 1024
MAX_STAMP_BYTES: Final = MAX_NAME
#: Genomes in one message.
MAX_BATCH: Final = 64

HEARTBEAT: Final = "heartbeat"
MIGRANTS: Final = "migrants"
KINDS: Final = (HEARTBEAT, MIGRANTS)

_TOPIC_START: Final = b"tweann1|"
_NAME: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_NAME}}}")
_HASH_BYTES: Final = 32
_ID_BYTES: Final = 16
_MAX_COUNT: Final = 2**63 - 1

Frames = Sequence[bytes]


class RefusedError(FormatError):
    """A message, or a genome in one, that is not taken.

    Attributes:
        reason: one of a few words: what counters count.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """Who says what, and how to know that it is whole.

    Attributes:
        kind: "heartbeat" or "migrants".
        origin: name of the island.
        run: name of its run.
        task: (16 bytes) fingerprint of its task.
        randomness: (16 bytes) fingerprint of seed and stream.
        boot: a random number of its process: sequence numbers begin anew with it.
        sequence: 0, 1, 2, … within a boot.
        sent: seconds since 1970 by its clock.
        n: how many genomes the body has.
        body: (32 bytes) BLAKE2b-256 of the body.
    """

    kind: str
    origin: str
    run: str
    task: bytes
    randomness: bytes
    boot: int
    sequence: int
    sent: float
    n: int
    body: bytes


_FIELDS: Final[dict[str, type]] = {
    "kind": str,
    "origin": str,
    "run": str,
    "task": bytes,
    "randomness": bytes,
    "boot": int,
    "sequence": int,
    "sent": float,
    "n": int,
    "body": bytes,
}


def topic_of(origin: str) -> bytes:
    """Return the topic of all messages of an island; it ends in a delimiter, since ZeroMQ matches prefixes."""
    return _TOPIC_START + origin.encode() + b"|"


#: What every topic begins with.
ALL_TOPICS: Final = _TOPIC_START


def max_body_bytes(layout: Layout, cap: int) -> int:
    """Return the largest body worth reading: ``cap``, or less where a full batch of the largest genomes is less."""
    return min(cap, 16 + MAX_BATCH * (max_bytes(layout) + 5))


def is_name(text: str) -> bool:
    """Return whether an island may be called so: 1 to 64 letters, digits, ``_``, ``.`` and ``-``."""
    return _NAME.fullmatch(text) is not None


def pack_body(genomes: Sequence[Genome], max_bytes: int) -> tuple[bytes, int]:
    """Return a body of as many of the first genomes as fit into ``max_bytes``, and how many these are."""
    blobs: list[bytes] = []
    size = 5
    for genome in genomes[:MAX_BATCH]:
        blob = encode(genome)
        size += len(blob) + 5
        if size > max_bytes:
            break
        blobs.append(blob)
    body: bytes = msgpack.packb(blobs)
    return body, len(blobs)


def pack(header: Header, body: bytes) -> list[bytes]:
    """Return the frames of a message."""
    fields = {"version": PROTOCOL_VERSION} | {name: getattr(header, name) for name in _FIELDS}
    return [topic_of(header.origin), msgpack.packb(fields), body, b""]


def body_hash(body: bytes) -> bytes:
    """Return the BLAKE2b-256 of a body."""
    return hashlib.blake2b(body, digest_size=_HASH_BYTES).digest()


def read_header(frames: Frames, max_body: int) -> Header:
    """Return the header of a message whose frames, sizes, schema and hash are as they should be.

    Raises:
        RefusedError: reason "frames", "size", "topic", "header", "version" or "hash".
    """
    if len(frames) != N_FRAMES:
        raise RefusedError("frames", f"{len(frames)} frames, expected {N_FRAMES}")
    topic, packed, body, stamp = frames
    caps = (MAX_TOPIC_BYTES, MAX_HEADER_BYTES, max_body, MAX_STAMP_BYTES)
    for name, frame, cap in zip(("topic", "header", "body", "stamp"), frames, caps, strict=True):
        if len(frame) > cap:
            raise RefusedError("size", f"{name} of {len(frame)} bytes, at most {cap} are allowed")
    header = _header(packed)
    if topic != topic_of(header.origin):
        raise RefusedError(
            "topic", f"topic {topic[:80]!r} does not belong to origin {header.origin!r}"
        )
    if stamp and not is_name(stamp.decode("ascii", "replace")):
        raise RefusedError("header", f"stamp {stamp[:80]!r} is no name")
    if body_hash(body) != header.body:
        raise RefusedError("hash", f"the body's hash is not the header's (origin {header.origin})")
    return header


def _header(packed: bytes) -> Header:
    try:
        fields = _unpack_header(packed)
    except (ValueError, msgpack.UnpackException) as error:
        raise RefusedError("header", f"not a header: {error}") from None
    version = fields.pop("version", None)
    if type(version) is not int or version != PROTOCOL_VERSION:
        raise RefusedError(
            "version", f"protocol version {version!r:.20}, this one is {PROTOCOL_VERSION}"
        )
    if fields.keys() != _FIELDS.keys():
        odd = min(fields.keys() ^ _FIELDS.keys())
        raise RefusedError("header", f"the key {odd!r:.20} is missing or unknown")
    for name, kind in _FIELDS.items():
        if type(fields[name]) is not kind:
            raise RefusedError("header", f"{name} must be of type {kind.__name__}")
    header = Header(**fields)
    lengths = (len(header.task), len(header.randomness), len(header.body))
    counts = (header.boot, header.sequence, header.n)
    if (
        header.kind not in KINDS
        or not is_name(header.origin)
        or len(header.run) > 100
        or lengths != (_ID_BYTES, _ID_BYTES, _HASH_BYTES)
        or not all(0 <= count <= _MAX_COUNT for count in counts)
        or header.n > MAX_BATCH
        or not 0.0 <= header.sent < 1e12  # also refuses NaN
    ):
        raise RefusedError("header", f"a value out of range: {header!r:.300}")
    return header


def _unpack_header(packed: bytes) -> dict[str, Any]:
    fields = msgpack.unpackb(
        packed,
        raw=False,
        strict_map_key=True,
        max_array_len=0,
        max_map_len=len(_FIELDS) + 8,  # a later version may have more, and is to be told as such
        max_str_len=256,
        max_bin_len=64,
        max_ext_len=0,
        ext_hook=_reject_extension,
        object_pairs_hook=_flat,
    )
    if not isinstance(fields, dict):
        raise ValueError(f"a {type(fields).__name__}, expected a map")
    return fields


def _flat(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str) or key in found or isinstance(value, (dict, list)):
            raise ValueError(f"the key {key!r:.40} twice, of another type, or with a container")
        found[key] = value
    return found


def read_blobs(header: Header, body: bytes, layout: Layout) -> list[bytes]:
    """Return the encoded genomes of a body, each of a size that the layout allows.

    Raises:
        RefusedError: reason "body": it is no list of as many binaries as the header says, or has something behind.
    """
    largest = max_bytes(layout)
    try:
        blobs = msgpack.unpackb(
            body,
            raw=False,
            max_array_len=MAX_BATCH,
            max_map_len=0,
            max_str_len=0,
            max_bin_len=largest,
            max_ext_len=0,
            ext_hook=_reject_extension,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise RefusedError("body", f"not a body: {error}") from None
    if not isinstance(blobs, list) or len(blobs) != header.n:
        raise RefusedError("body", f"the body is no list of {header.n} genomes")
    if not all(isinstance(blob, bytes) for blob in blobs):
        raise RefusedError("body", "something in the body is no binary")
    return blobs


def read_genome(blob: bytes, layout: Layout) -> Genome:
    """Return the genome in ``blob``, which fits the layout.

    Raises:
        RefusedError: reason "genome".
    """
    try:
        return decode(blob, layout)
    except FormatError as error:
        raise RefusedError("genome", str(error)) from None


def _reject_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} of {len(data)} bytes is not allowed")
