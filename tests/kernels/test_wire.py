"""Encoded genomes read in one pass against the codec that takes them apart key by key."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genomes import PROPERTY, random_genome
from hypothesis import given
from hypothesis import strategies as st
from pools import N_INPUTS, N_OUTPUTS, as_genome, changed, core_genomes

from tweann.codec import _read_at_once, decode, encode
from tweann.errors import FormatError
from tweann.genes import ACTIVATIONS
from tweann.genome import Genome
from tweann.layout import Layout

LAYOUT = Layout(N_INPUTS, N_OUTPUTS, max_nodes=40, max_connections=120, recurrent=True)
COLUMNS = ("node_id", "bias", "source", "target", "weight", "enabled")
#: Zeros of both signs are one number to the id.
VALUES = st.floats(-5.0, 5.0) | st.sampled_from([0.0, -0.0])


def same_to_the_bit(a: Genome, b: Genome) -> bool:
    """Return whether two genomes have the same columns, also where numbers only compare equal."""
    columns = all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes()
        and getattr(a, name).dtype == getattr(b, name).dtype
        for name in COLUMNS
    )
    return columns and all(
        getattr(a, name) == getattr(b, name)
        for name in (
            "n_inputs",
            "n_outputs",
            "activation",
            "aggregation",
            "node_extra",
            "connection_extra",
            "genome_extra",
            "recurrent",
            "genome_id",
        )
    )


def sample(seed: int) -> Genome:
    """Return a recurrent genome of some 20 nodes and 61 connections."""
    return as_genome(random_genome(seed, 15, 61))


# seven of one kind and eight of the other: as many names as are read at once
@PROPERTY
@given(core_genomes(values=VALUES, activations=ACTIVATIONS[:7]))
def test_a_plain_genome_is_read_as_the_codec_reads_it(genome: Genome) -> None:
    data = encode(genome)
    found = _read_at_once(data, LAYOUT)
    assert found is not None
    assert same_to_the_bit(found, decode(data))
    assert found.genome_id == genome.genome_id
    assert encode(found) == data


@PROPERTY
@given(core_genomes(), st.data())
def test_what_is_not_quite_one_is_read_alike_or_not_at_all(
    genome: Genome, data: st.DataObject
) -> None:
    blob = bytearray(encode(genome))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(blob) - 1)))
        way = data.draw(st.integers(0, 2))
        if way == 0 and blob:
            blob[at] = data.draw(st.integers(0, 255))
        elif way == 1:
            del blob[at : at + data.draw(st.integers(1, 9))]
        else:
            blob[at:at] = data.draw(st.binary(min_size=1, max_size=9))
    found = _read_at_once(bytes(blob), LAYOUT)
    if found is not None:
        assert same_to_the_bit(found, decode(bytes(blob)))


@pytest.mark.parametrize("cut", [1, 8, 100])
def test_what_is_cut_off_is_not_read(cut: int) -> None:
    data = encode(sample(1))
    assert _read_at_once(data[:-cut], LAYOUT) is None
    assert all(_read_at_once(data[:k], LAYOUT) is None for k in range(0, len(data), 7))


def test_broken_rules_are_left_to_the_codec_to_name() -> None:
    genome = sample(2)
    data = encode(genome)
    for number in (math.nan, math.inf):
        bad = bytearray(data)
        at = data.index(b"\xa6weight") + 10  # behind the key, and a length of two bytes
        bad[at : at + 8] = np.float64(number).tobytes()
        assert _read_at_once(bytes(bad), LAYOUT) is None
        with pytest.raises(FormatError, match=r"weight 0 is not a finite number"):
            decode(bytes(bad), LAYOUT)


def test_what_does_not_fit_the_layout_is_left_to_the_codec() -> None:
    genome = sample(3)
    data = encode(genome)
    n, c = genome.n_nodes, genome.n_connections
    assert _read_at_once(data, Layout(N_INPUTS, N_OUTPUTS, n, c, True)) is not None
    assert genome.recurrent
    for layout in (
        Layout(N_INPUTS, N_OUTPUTS, n - 1, c, True),
        Layout(N_INPUTS, N_OUTPUTS, n, c - 1, True),
        Layout(N_INPUTS, N_OUTPUTS, n, c, False),
        Layout(N_INPUTS + 1, N_OUTPUTS, n + 9, c, True),
        Layout(N_INPUTS, N_OUTPUTS + 1, n + 9, c, True),
    ):
        assert _read_at_once(data, layout) is None
        with pytest.raises(FormatError):
            decode(data, layout)


def test_names_of_plugins_are_known_where_the_layout_knows_them() -> None:
    genome = sample(4)
    own = changed(genome, activation=(*genome.activation[:-1], "my-wave.2"))
    assert _read_at_once(encode(own), LAYOUT) is None
    wide = Layout(
        N_INPUTS, N_OUTPUTS, 40, 120, True, activations=(*ACTIVATIONS, "my-wave.2"),
        custom=np.zeros(1, np.uint64),
    )  # fmt: skip
    found = _read_at_once(encode(own), wide)
    assert found is not None
    assert found.activation == own.activation
    assert found.genome_id == own.genome_id


def test_what_is_read_is_aligned_and_read_only() -> None:
    genome = sample(5)
    data = encode(genome)
    found = _read_at_once(data, LAYOUT)
    assert found is not None
    for name in COLUMNS:
        column = getattr(found, name)
        assert column.flags.aligned
        assert not column.flags.writeable


def test_bits_behind_the_last_connection_do_not_count() -> None:
    genome = sample(6)
    while genome.n_connections % 8 == 0:
        genome = changed(
            genome,
            source=genome.source[:-1].copy(),
            target=genome.target[:-1].copy(),
            weight=genome.weight[:-1].copy(),
            enabled=genome.enabled[:-1].copy(),
        )
    data = bytearray(encode(genome))
    last = data.index(b"\xaanode_extra") - 1
    data[last] |= 1
    found = _read_at_once(bytes(data), LAYOUT)
    assert found is not None
    assert found.genome_id == genome.genome_id
    assert found.enabled.tolist() == genome.enabled.tolist()
