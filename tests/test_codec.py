"""The codec: what it writes it reads, and what a stranger writes does no harm."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
from genomes import PROPERTY, random_genome
from hypothesis import given
from pools import N_INPUTS, N_OUTPUTS, as_genome, changed, core_genomes, seed_of
from test_genome import sample

from tweann.codec import MAX_BYTES, decode, encode
from tweann.errors import FormatError
from tweann.genes import ACTIVATIONS
from tweann.genome import Genome
from tweann.layout import Layout

LAYOUT = Layout(N_INPUTS, N_OUTPUTS, max_nodes=40, max_connections=120, recurrent=True)


def message(genome: Genome) -> dict[str, Any]:
    unpacked: dict[str, Any] = msgpack.unpackb(encode(genome))
    return unpacked


def same(a: Genome, b: Genome) -> bool:
    """Return whether two genomes have equal columns, optional ones included."""
    extras = [
        {name: column.tolist() for name, column in (g.node_extra | g.connection_extra).items()}  # type: ignore[operator]
        for g in (a, b)
    ]
    return a.to_dict() == b.to_dict() and extras[0] == extras[1]


@PROPERTY
@given(core_genomes())
def test_what_is_written_is_read(genome: Genome) -> None:
    data = encode(genome)
    assert same(decode(data), genome)
    assert same(decode(data, LAYOUT), genome)
    assert encode(decode(data)) == data


def test_optional_columns_and_names_of_plugins_come_along() -> None:
    genome = changed(
        sample(),
        activation=("identity", "identity", "my-wave.2", "tanh", "tanh"),
        node_extra={"birth": np.arange(5.0)},
        connection_extra={"rate": np.linspace(-1, 1, 5)},
    )
    found = decode(encode(genome))
    assert same(found, genome)
    assert found.node_extra["birth"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_largest_genome_of_a_run_is_within_the_limit_of_size() -> None:
    genome = as_genome(random_genome(1, 35, 120))
    assert (genome.n_nodes, genome.n_connections) == (40, 120)
    assert decode(encode(genome), LAYOUT) == genome


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(4, 2, recurrent=True), "3 inputs and 2 outputs, the task 4 and 2"),
        (Layout(3, 2), "set genome.recurrent = true"),
        (
            Layout(3, 2, max_connections=4, recurrent=True),
            "5 connections exceed the caps of 1000 and 4",
        ),
        (Layout(3, 2, recurrent=True, activations=ACTIVATIONS[:2]), "unknown activation"),
    ],
)
def test_a_genome_has_to_fit_the_layout(layout: Layout, message: str) -> None:
    assert decode(encode(sample())) == sample()
    with pytest.raises(FormatError, match=message):
        decode(encode(sample()), layout)


CHANGES: list[tuple[str, Callable[[dict[Any, Any]], Any], str]] = [
    ("version", lambda m: m.update(format=2), "genome format 2 with hash 1: this version"),
    ("hash", lambda m: m.update(hash="x"), "genome format 1 with hash 'x'"),
    ("missing", lambda m: m.pop("bias"), "the key 'bias' is missing"),
    ("unknown", lambda m: m.update(colour=1), "unknown key 'colour'"),
    ("many", lambda m: m.update(a=1, b=2), "17 entries where at most 16"),
    ("other", lambda m: m.update(colour=m.pop("bias")), "unknown key 'colour'"),
    ("bytes key", lambda m: m.__setitem__(b"bias", m.pop("bias")), "a key of type bytes"),
    ("number key", lambda m: m.__setitem__(7, m.pop("bias")), "a key of type int"),
    ("size", lambda m: m.update(n_inputs=-1), "n_inputs must be an integer from 0"),
    ("float size", lambda m: m.update(n_outputs=2.0), "n_outputs must be an integer"),
    ("true size", lambda m: m.update(n_outputs=True), "n_outputs must be an integer"),
    ("huge size", lambda m: m.update(n_outputs=2**63), "n_outputs must be an integer"),
    ("both sizes", lambda m: m.update(n_outputs=65_535), "at most 65535 together"),
    ("no output", lambda m: m.update(n_outputs=0), "3 inputs and 0 outputs"),
    ("names", lambda m: m.update(names="tanh"), "Unexpected type header"),
    ("name", lambda m: m["names"].__setitem__(0, 3), "names must be a list of strings"),
    ("long name", lambda m: m["names"].__setitem__(0, "a" * 65), "max_str_len"),
    ("odd name", lambda m: m["names"].__setitem__(0, "a\n"), "is no name"),
    ("many names", lambda m: m.update(names=["a"] * 300), "300 entries where at most"),
    ("no name", lambda m: m.update(names=[]), "activation points beyond the 0 names"),
    ("nested", lambda m: m.update(names=[["a"]]), "max_array_len"),
    ("text", lambda m: m.update(bias="abc"), "bias must be binary"),
    ("list", lambda m: m.update(bias=[1.0]), "max_array_len"),
    ("map", lambda m: m.update(bias={"a": 1}), "max_map_len"),
    ("nothing", lambda m: m.update(bias=None), "bias must be binary"),
    (
        "part of an item",
        lambda m: m.update(bias=m["bias"][:-1]),
        "bias must be binary, whole items",
    ),
    ("short", lambda m: m.update(bias=m["bias"][:-8]), "node columns of different lengths"),
    (
        "enabled",
        lambda m: m.update(enabled=b""),
        "enabled has 0 bytes, expected one bit for each of 5",
    ),
    ("enabled long", lambda m: m.update(enabled=b"ab"), "enabled has 2 bytes"),
    ("code", lambda m: m.update(activation=b"\xff" * 10), "activation points beyond the"),
    ("nan", lambda m: m.update(weight=np.full(5, np.nan).tobytes()), "weight 0 is not a finite"),
    ("unsorted", lambda m: m.update(source=m["target"], target=m["source"]), "sorted|target"),
    ("extra", lambda m: m.update(node_extra=[]), "Unexpected type header"),
    ("extra value", lambda m: m.update(node_extra={"birth": 1.0}), "birth must be binary"),
    ("extra length", lambda m: m.update(node_extra={"birth": b""}), "node columns of different"),
    ("extra name", lambda m: m.update(node_extra={"id": m["bias"]}), "'id' cannot be the name"),
    ("extra key", lambda m: m.update(node_extra={b"birth": m["bias"]}), "a key of type bytes"),
    (
        "extras",
        lambda m: m.update(node_extra={str(i): m["bias"] for i in range(65)}),
        "65 entries where at most 64",
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_each_fault_is_named(change: Callable[[dict[str, Any]], Any], expected: str) -> None:
    content = message(sample())
    change(content)
    with pytest.raises(FormatError, match=expected):
        decode(msgpack.packb(content))


def test_what_msgpack_itself_can_do_is_refused() -> None:
    data = encode(sample())
    twice = data.replace(b"\xa4bias", b"\xa6source", 1)
    timestamp = data.replace(b"\xa6format\x01", b"\xa6format\xd6\xff\0\0\0\1")
    extension = data.replace(b"\xa6format\x01", b"\xa6format\xc7\0\5")
    bad_text = data.replace(b"\xa4tanh", b"\xa4tan\xff")
    for bad, expected in (
        (twice, "the key 'source' occurs twice"),
        (timestamp, "max_ext_len"),
        (extension, "extension type 5"),
        (bad_text, "utf-8"),
        (data + b"\xc0", "1 bytes behind its end"),
        (data[:-1], "No more data"),
        (b"", "No more data"),
        (b"\xc1", "not a genome"),
        (msgpack.packb([1, 2]), "not a genome"),
    ):
        assert bad != data
        with pytest.raises(FormatError, match=expected):
            decode(bad)


def peak(data: bytes, layout: Layout | None = None) -> int:
    """Return how many bytes decoding took at most, in whatever it ends."""
    gc.collect()
    tracemalloc.start()
    try:
        decode(data, layout)
    except FormatError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


@pytest.mark.parametrize("layout", [None, LAYOUT])
def test_small_messages_with_large_claims_take_no_memory(layout: Layout | None) -> None:
    data = encode(sample())
    blob = b"\xa4bias\xc4\x28"
    assert blob in data
    claims = [
        b"\xdf\xff\xff\xff\xff",  # a map of 2^32 entries
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 4000,  # deep nesting
        b"\x81\xa1a" * 1300,
        data.replace(blob, b"\xa4bias\xc6\xff\xff\xff\xff"),  # binary of 4 GiB
        data.replace(b"\xa5names", b"\xa5names\xdd\xff\xff\xff\xff"),
        data.replace(b"\xaanode_extra", b"\xaanode_extra\xdf\xff\xff\xff\xff"),
    ]
    for claim in claims:
        assert peak(claim, layout) < 200_000


def test_containers_in_containers_take_no_more_than_the_message() -> None:
    """Nested empty maps become seventy times their size, if one lets msgpack unpack them."""
    inner = b"\xdc\x01\x00" + b"\x80" * 256
    bomb = b"\x8f\xa5names\xdc\x01\x00" + (b"\xdc\x01\x00" + inner * 256) * 15
    assert len(bomb) > 900_000
    assert peak(bomb) < 3 * len(bomb)


def test_what_is_larger_than_the_caps_allow_is_not_even_unpacked() -> None:
    with pytest.raises(FormatError, match="a genome of 20000 bytes is larger than the caps allow"):
        decode(bytes(20_000), LAYOUT)
    with pytest.raises(FormatError, match="larger than the caps allow"):
        decode(bytes(MAX_BYTES + 1))


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return a message with some bits flipped, cut short, or spliced with another."""
    changed_ = bytearray(data)
    kind = rng.randrange(5)
    if kind <= 1:
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed_[rng.randrange(len(changed_))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del changed_[rng.randrange(len(changed_)) :]
    elif kind == 3:
        other = rng.choice(others)
        start, length = rng.randrange(len(other)), rng.randrange(60)
        at = rng.randrange(len(changed_))
        changed_[at : at + rng.randrange(60)] = other[start : start + length]
    else:
        at = rng.randrange(len(changed_))
        changed_[at : at + 8] = rng.choice((bytes(8), b"\xff" * 8, b"\x7f" + b"\xff" * 7))
    return bytes(changed_)


def attempt(data: bytes) -> Genome | FormatError:
    """Return the genome, or what was wrong with it; any other exception goes through."""
    try:
        return decode(data, LAYOUT)
    except FormatError as error:
        return error


def test_two_thousand_damaged_messages_give_a_valid_genome_or_a_format_error() -> None:
    rng = random.Random(20)
    genomes = [sample(), seed_of(Layout(3, 2)), as_genome(random_genome(2, 8, 30))]
    genomes.append(changed(sample(), node_extra={"birth": np.arange(5.0)}))
    originals = [encode(genome) for genome in genomes]
    for genome in genomes:  # the kernels' own memory is not what is measured
        genome.network(LAYOUT).activate([0.5, -0.5, 1.0])
    refused = 0
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(2_000):
            data = mutated(rng.choice(originals), originals, rng)
            found = attempt(data)
            if isinstance(found, FormatError):
                assert len(str(found)) < 1_000
                refused += 1
                continue
            assert decode(encode(found), LAYOUT) == found
            assert np.isfinite(found.network(LAYOUT).activate([0.5, -0.5, 1.0])).all()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1_000 < refused < 2_000  # some damage only changes a weight
    assert most < 5_000_000
