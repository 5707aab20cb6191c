"""Frames: what is packed comes out again, and nothing else comes in."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pools import core_genomes, plain_genome
from reference import assert_valid

from tweann.bridge.protocol import (
    ALL_TOPICS,
    MAX_BATCH,
    MAX_HEADER_BYTES,
    Header,
    RefusedError,
    body_hash,
    max_body_bytes,
    pack,
    pack_body,
    read_blobs,
    read_genome,
    read_header,
    topic_of,
)
from tweann.codec import encode
from tweann.genome import Genome
from tweann.layout import Layout
from tweann.seed import seed_network

LAYOUT = Layout(3, 2, max_nodes=50, max_connections=100, recurrent=True)
CAP = max_body_bytes(LAYOUT, 1_000_000)


def header(body: bytes, n: int, **changes: Any) -> Header:
    plain = Header(
        kind="migrants",
        origin="a",
        run="run",
        task=b"t" * 16,
        randomness=b"r" * 16,
        boot=7,
        sequence=3,
        sent=1e9,
        n=n,
        body=body_hash(body),
    )
    return replace(plain, **changes)


def message(genomes: list[Genome], **changes: Any) -> list[bytes]:
    body, n = pack_body(genomes, CAP)
    return pack(header(body, n, **changes), body)


def read(frames: list[bytes]) -> list[Genome]:
    found = read_header(frames, CAP)
    return [read_genome(blob, LAYOUT) for blob in read_blobs(found, frames[2], LAYOUT)]


def reason(frames: list[bytes]) -> str:
    with pytest.raises(RefusedError) as caught:
        read(frames)
    return caught.value.reason


def changed_header(frames: list[bytes], **changes: Any) -> list[bytes]:
    fields = msgpack.unpackb(frames[1]) | changes
    fields = {key: value for key, value in fields.items() if value is not None}
    return [frames[0], msgpack.packb(fields), *frames[2:]]


@settings(deadline=None)  # the first call compiles
@given(st.lists(core_genomes(max_hidden=2, max_connections=6), max_size=3))
def test_what_is_packed_comes_out_again(genomes: list[Genome]) -> None:
    assert read(message(genomes)) == genomes


def test_a_heartbeat_has_no_genomes() -> None:
    frames = message([], kind="heartbeat")
    assert read_header(frames, CAP).kind == "heartbeat"
    assert read(frames) == []


@given(core_genomes())
def test_a_body_takes_what_fits_and_no_more(genome: Genome) -> None:
    size = len(encode(genome)) + 5
    body, n = pack_body([genome] * 10, 5 + 3 * size)
    assert n == 3
    assert len(body) <= 5 + 3 * size
    assert pack_body([genome] * 100, 10**9)[1] == MAX_BATCH
    assert pack_body([genome], 10) == (msgpack.packb([]), 0)


def test_no_topic_is_the_beginning_of_another() -> None:
    assert topic_of("a").startswith(ALL_TOPICS)
    assert not topic_of("ab").startswith(topic_of("a"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"version": None}, "version"),
        ({"version": 9, "more": 1}, "version"),
        ({"more": 1}, "header"),
        ({"kind": "poem"}, "header"),
        ({"kind": None}, "header"),
        ({"origin": "no name"}, "header"),
        ({"origin": "b"}, "topic"),
        ({"run": "x" * 101}, "header"),
        ({"run": "x" * 300}, "header"),
        ({"task": b"short"}, "header"),
        ({"task": "t" * 16}, "header"),
        ({"boot": -1}, "header"),
        ({"boot": 2**63}, "header"),
        ({"sequence": 1.0}, "header"),
        ({"sequence": True}, "header"),
        ({"sent": float("nan")}, "header"),
        ({"sent": 5}, "header"),
        ({"n": MAX_BATCH + 1}, "header"),
        ({"n": 1}, "body"),
        ({"body": b"x" * 32}, "hash"),
        ({"task": {}}, "header"),
        ({"task": []}, "header"),
        ({"task": msgpack.ExtType(1, b"x")}, "header"),
    ],
)
def test_a_header_that_is_not_right_is_refused(changes: dict[str, Any], expected: str) -> None:
    assert reason(changed_header(message([]), **changes)) == expected


def test_frames_and_sizes_come_first() -> None:
    frames = message([])
    assert reason(frames[:3]) == "frames"
    assert reason([*frames, b""]) == "frames"
    assert reason([]) == "frames"
    assert reason([frames[0], b"x" * (MAX_HEADER_BYTES + 1), *frames[2:]]) == "size"
    assert reason([*frames[:2], b"x" * (CAP + 1), b""]) == "size"
    assert reason([*frames[:3], b"x" * 65]) == "size"
    assert reason([*frames[:3], b"not a name"]) == "header"
    assert reason([b"x" * 200, *frames[1:]]) == "size"


def test_a_key_that_comes_twice_is_refused() -> None:
    frames = message([])
    n = len(msgpack.unpackb(frames[1]))
    packed = bytes([0x80 | (n + 1)]) + frames[1][1:] + msgpack.packb("n") + msgpack.packb(0)
    assert reason([frames[0], packed, *frames[2:]]) == "header"


def with_body(body: bytes, n: int) -> list[bytes]:
    return pack(header(body, n), body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgpack.packb({}),
        msgpack.packb([1]),
        msgpack.packb(["text"]),
        msgpack.packb([[]]),
        msgpack.packb([{}]),
        b"\x91" * 2000,  # nested deeply
        b"\xdd\xff\xff\xff\xff",  # says that it has 4 billion entries
        b"\xc6\xff\xff\xff\xff",
        msgpack.packb([b""] * 2),
        msgpack.packb([b""]) + b"x",
        msgpack.packb([b"x" * 30_000]),
        msgpack.packb([msgpack.ExtType(1, b"x")]),
    ],
)
def test_a_body_that_is_no_list_of_genomes_is_refused(body: bytes) -> None:
    assert reason(with_body(body, 1)) == "body"


def test_genomes_that_are_none_or_do_not_fit_are_refused() -> None:
    assert reason(with_body(msgpack.packb([b"rubbish"]), 1)) == "genome"
    small = Layout(1, 1)
    stranger = seed_network(small, np.array([0]), "tanh")
    assert reason(message([stranger])) == "genome"


@given(core_genomes(max_hidden=3), st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_a_weight_that_is_no_number_is_refused(genome: Genome, value: float) -> None:
    if genome.n_connections == 0:
        return
    blob = encode(genome)
    weights = genome.weight.tobytes()
    broken = blob.replace(weights, struct.pack("<d", value) + weights[8:], 1)
    assert reason(with_body(msgpack.packb([broken]), 1)) == "genome"


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with bytes changed, cut out, doubled or added."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(len(out) + 1)
        way = rng.randrange(4)
        if way == 0 and at < len(out):
            out[at] = rng.randrange(256)
        elif way == 1:
            del out[at : at + rng.randrange(1, 9)]
        elif way == 2:
            out[at:at] = out[at : at + rng.randrange(1, 9)]
        else:
            out[at:at] = rng.randbytes(rng.randrange(1, 5))
    return bytes(out)


@settings(max_examples=30, deadline=None)
@given(st.lists(core_genomes(max_hidden=4), min_size=1, max_size=3), st.integers(0, 2**32))
def test_fuzzed_messages_are_refused_or_give_valid_genomes(
    genomes: list[Genome], seed: int
) -> None:
    rng = random.Random(seed)
    frames = message(genomes)
    for _ in range(40):
        fuzzed = list(frames)
        if rng.random() < 0.5:  # a forger can compute hashes
            body = mutated(frames[2], rng)
            fuzzed = pack(header(body, len(genomes)), body)
        else:
            k = rng.randrange(4)
            fuzzed[k] = mutated(frames[k], rng)
        try:
            found = read(fuzzed)
        except RefusedError:
            continue
        for genome in found:
            assert_valid(plain_genome(genome), 3, 2, recurrent=True)


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_noise_is_refused(frames: list[bytes]) -> None:
    assert reason(frames) in {"frames", "size", "header", "version", "topic", "hash"}
