"""State as bytes: what goes in comes out, and nothing else does."""

from __future__ import annotations

import re
from typing import Any

import msgpack
import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tweann.errors import FormatError
from tweann.packing import pack, unpack

ARRAYS = hnp.arrays(
    st.sampled_from([np.bool_, np.uint8, np.int32, np.int64, np.uint64, np.float64]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
TREES = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        PLAIN | ARRAYS,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    max_size=5,
)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


@PROPERTY
@given(TREES)
def test_what_was_packed_is_unpacked(tree: dict[str, Any]) -> None:
    assert same(unpack(pack(tree)), tree)


def test_numpy_scalars_and_tuples_become_plain() -> None:
    assert unpack(pack({"a": np.int64(3), "b": (np.float64(0.5), True)})) == {
        "a": 3, "b": [0.5, True],
    }  # fmt: skip


def test_arrays_may_be_written_to() -> None:
    array = unpack(pack({"a": np.arange(3)}))["a"]
    array[0] = 7
    assert array.tolist() == [7, 1, 2]


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array(["text"]), np.array([None]), 1j])
def test_what_is_no_plain_value_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be packed"):
        pack({"a": value})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not packed state"),
        (b"\xc1", "not packed state"),
        (msgpack.packb([1]), "expected a table, came list"),
        (msgpack.packb({"a": msgpack.ExtType(5, b"x")}), "extension type 5"),
        (msgpack.packb({"a": msgpack.ExtType(1, b"")}), "extension type 1 of 0 bytes"),
        (msgpack.packb({"a": msgpack.ExtType(1, b"\x02\x91\x63")}), "unknown type 99"),
        (msgpack.packb({"a": msgpack.ExtType(1, b"\x03\x92\x08\x02" + b"x" * 15)}), "has 15 bytes"),
        (msgpack.packb({1: 2}), "not packed state"),
    ],
)
def test_what_pack_never_makes_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        unpack(data)


def test_bytes_that_were_changed_never_crash_it() -> None:
    rng = np.random.default_rng(1)
    good = pack({"a": np.arange(20), "b": {"c": [1, 2.0, "x"]}, "d": np.ones((2, 3))})
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        try:
            unpack(bytes(data[: int(rng.integers(len(data) + 1))]))
        except FormatError:
            continue
