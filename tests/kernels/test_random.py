"""Random numbers: the published generator, keyed streams, and what is drawn from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import ZIGGURAT_X, ZIGGURAT_Y, Stream
from reference import make_key as make_key_twin
from reference import mix as mix_twin

from tweann.kernels import random

WORDS = st.integers(0, 2**64 - 1)


def stream(key: int) -> NDArray[np.uint64]:
    return np.array([key], np.uint64)


def test_the_published_vectors_of_splitmix64_come_out() -> None:
    # first five outputs of Vigna's splitmix64.c seeded with 1234567
    rng = stream(1234567)
    assert [int(random.next_uint64(rng)) for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@PROPERTY
@given(WORDS)
def test_mix_is_the_published_finalizer(z: int) -> None:
    assert int(random.mix(np.uint64(z))) == mix_twin(z)


@PROPERTY
@given(WORDS, WORDS, WORDS, WORDS)
def test_a_key_mixes_its_four_words_in_order(
    seed: int, stream_: int, number: int, purpose: int
) -> None:
    words = (np.uint64(w) for w in (seed, stream_, number, purpose))
    assert int(random.make_key(*words)) == make_key_twin(seed, stream_, number, purpose)


def test_keys_that_differ_in_one_word_give_different_streams() -> None:
    keys = {
        int(random.make_key(*(np.uint64(w) for w in (s, t, n, p))))
        for s in range(8)
        for t in range(8)
        for n in range(8)
        for p in range(8)
    }
    assert len(keys) == 8**4


def test_purposes_are_the_published_constants() -> None:
    purposes = (random.FRESH, random.MUTATE, random.CROSSOVER, random.EVALUATE, random.ASK)
    assert [int(p) for p in purposes] == [1, 2, 3, 4, 5]


@PROPERTY
@given(WORDS)
def test_draw_i_of_a_key_is_mix_of_key_plus_i_gamma(key: int) -> None:
    rng = stream(key)
    gamma = int(random.GAMMA)
    for i in range(1, 20):
        assert int(random.next_uint64(rng)) == mix_twin((key + i * gamma) % 2**64)


@PROPERTY
@given(WORDS)
def test_uniforms_and_integers_are_the_twins_bit_for_bit(key: int) -> None:
    rng, twin = stream(key), Stream(key)
    for n in (1, 2, 3, 10, 65_535, 2**31, 2**52 + 1):
        u = random.next_uniform(rng)
        assert u == twin.uniform()
        assert 0.0 <= u < 1.0
        assert (u * 2**53).is_integer()
        below = random.next_below(rng, n)
        assert below == twin.below(n)
        assert 0 <= below < n
    assert int(rng[0]) == twin.state


def test_the_largest_uniform_is_below_one_and_below_n() -> None:
    """The stream is set so that all 64 bits of the next draw are ones: the inverse of the finalizer."""
    z = 2**64 - 1
    z ^= (z >> 31) ^ (z >> 62)
    z = z * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    z ^= (z >> 27) ^ (z >> 54)
    z = z * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    z ^= (z >> 30) ^ (z >> 60)
    key = (z - int(random.GAMMA)) % 2**64
    assert int(random.next_uint64(stream(key))) == 2**64 - 1
    assert random.next_uniform(stream(key)) == 1.0 - 2.0**-53
    for n in (1, 2, 3, 7, 1000, 2**40 + 1, 2**53 - 1):
        assert random.next_below(stream(key), n) == n - 1


def test_integers_are_uniform() -> None:
    """χ² over 64 values of 64,000 draws at a fixed key: 63 degrees of freedom, P(χ² > 103.4) = 0.001."""
    rng = stream(20240601)
    counts = [0] * 64
    for _ in range(64_000):
        counts[random.next_below(rng, 64)] += 1
    assert sum((c - 1000) ** 2 / 1000 for c in counts) < 103.4


def test_the_ziggurat_has_256_layers_of_equal_area() -> None:
    assert random.ZIGGURAT_X.tolist() == pytest.approx(ZIGGURAT_X, rel=1e-15)
    assert random.ZIGGURAT_Y.tolist() == pytest.approx(ZIGGURAT_Y, rel=1e-15)
    for i in range(1, 256):
        height = ZIGGURAT_Y[i + 1] - ZIGGURAT_Y[i]
        assert ZIGGURAT_X[i] * height == pytest.approx(0.00492867323399, rel=1e-6)
    # the strip at the bottom: the rectangle up to the edge and the tail beyond
    edge = ZIGGURAT_X[1]
    tail = math.sqrt(math.pi / 2.0) * math.erfc(edge / math.sqrt(2.0))
    assert edge * ZIGGURAT_Y[1] + tail == pytest.approx(0.00492867323399, rel=1e-6)


def test_normals_are_the_twins_bit_for_bit_tail_included() -> None:
    rng, twin = stream(7), Stream(7)
    drawn = [random.next_normal(rng) for _ in range(60_000)]
    assert drawn == [twin.normal() for _ in range(60_000)]
    assert int(rng[0]) == twin.state
    assert min(drawn) < -ZIGGURAT_X[1]  # the tail was reached on both sides
    assert max(drawn) > ZIGGURAT_X[1]


@pytest.mark.parametrize("pieces", [[60_000], [1, 0, 499, 59_500]])
def test_many_normals_are_the_same_as_one_after_the_other(pieces: list[int]) -> None:
    rng, twin, found = stream(7), Stream(7), []
    for n in pieces:
        out = np.full(n + 1, np.nan)
        random.fill_normals(rng, n, out)
        assert np.isnan(out[n])
        found += out[:n].tolist()
    assert found == [twin.normal() for _ in range(60_000)]
    assert int(rng[0]) == twin.state
    assert max(found) > ZIGGURAT_X[1]  # the tail was reached


def test_normals_are_normal() -> None:
    """Moments within 4 standard errors, Kolmogorov-Smirnov's D below 1.63/√n (1 %), at a fixed key."""
    rng = stream(99)
    n = 100_000
    x = np.sort([random.next_normal(rng) for _ in range(n)])
    assert abs(x.mean()) < 4.0 / math.sqrt(n)
    assert abs((x**2).mean() - 1.0) < 4.0 * math.sqrt(2.0 / n)
    assert abs((x**3).mean()) < 4.0 * math.sqrt(15.0 / n)
    assert abs((x**4).mean() - 3.0) < 4.0 * math.sqrt(96.0 / n)
    cdf = np.array([0.5 * (1.0 + math.erf(v / math.sqrt(2.0))) for v in x])
    steps = np.arange(n + 1) / n
    distance = max(np.abs(cdf - steps[1:]).max(), np.abs(cdf - steps[:-1]).max())
    assert distance < 1.63 / math.sqrt(n)


def test_streams_share_nothing() -> None:
    """Interleaved with another stream and with numpy's global state, a stream gives the same numbers."""
    alone = stream(5)
    expected = [(random.next_uniform(alone), random.next_normal(alone)) for _ in range(50)]
    rng, other = stream(5), stream(6)
    got = []
    for _ in range(50):
        random.next_normal(other)
        u = random.next_uniform(rng)
        random.next_uint64(other)
        got.append((u, random.next_normal(rng)))
    assert got == expected
