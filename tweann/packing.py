"""State as bytes: nested tables of plain values and arrays, for checkpoints. Never pickle.

A msgpack map; an array is an extension value: its type, its shape, its bytes, little-endian.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import msgpack
import numpy as np
from numpy.typing import NDArray

from tweann.errors import FormatError

#: The extension code of an array.
_ARRAY: Final = 1
#: Types that an array may have; objects and text are none.
_DTYPES: Final = ("|b1", "|u1", "|i1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
_MAX_DIMENSIONS: Final = 4
#: A table or list of more entries belongs in an array.
_MAX_ENTRIES: Final = 200_000
#: Entries of all tables and lists together: nested empty ones would become 70 times as large as their file.
_MAX_TOTAL: Final = 1_000_000

Tree = Mapping[str, Any]
T = TypeVar("T", dict[str, Any], list[Any])


def pack(tree: Tree) -> bytes:
    """Return nested tables as bytes.

    Args:
        tree: by name plain numbers, texts, bytes, None, lists of these, numpy arrays of numbers and booleans, and
            tables of all that.

    Raises:
        TypeError: there is something else in it; the message says what.
    """
    return cast(bytes, msgpack.packb(tree, default=_pack_other, strict_types=True))


def unpack(data: bytes) -> dict[str, Any]:
    """Return what `pack` was given; arrays are new and writable, lists are lists.

    Raises:
        FormatError: it is not what `pack` makes.
    """
    left = _MAX_TOTAL

    def count(entries: T) -> T:
        nonlocal left
        left -= 1 + len(entries)
        if left < 0:
            raise ValueError(f"more than {_MAX_TOTAL} entries of tables and lists")
        return entries

    try:
        tree = msgpack.unpackb(
            data,
            raw=False,
            object_hook=count,
            list_hook=count,
            strict_map_key=True,
            max_array_len=_MAX_ENTRIES,
            max_map_len=_MAX_ENTRIES,
            ext_hook=_unpack_array,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise FormatError(f"not packed state: {str(error) or type(error).__name__}") from None
    if not isinstance(tree, dict):
        raise FormatError(f"expected a table, came {type(tree).__name__}")
    return tree


def _pack_other(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        array = value
        dtype = array.dtype.newbyteorder("<").str
        if dtype not in _DTYPES or array.ndim > _MAX_DIMENSIONS:
            raise TypeError(
                f"an array of {array.dtype} with {array.ndim} dimensions cannot be packed"
            )
        head = msgpack.packb([_DTYPES.index(dtype), *array.shape])
        body = array.astype(dtype, copy=False).tobytes()
        return msgpack.ExtType(_ARRAY, bytes([len(head)]) + head + body)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, list)):
        return list(value)
    raise TypeError(f"{type(value).__name__} {value!r:.60} cannot be packed")


def _unpack_array(code: int, data: bytes) -> NDArray[Any]:
    if code != _ARRAY or not data:
        raise ValueError(f"extension type {code} of {len(data)} bytes is not known")
    length = data[0]
    head = msgpack.unpackb(data[1 : 1 + length], max_array_len=1 + _MAX_DIMENSIONS)
    if not isinstance(head, list) or not all(type(n) is int and n >= 0 for n in head) or not head:
        raise ValueError("an array's head must be a list of counts")
    code, *shape = head
    if code >= len(_DTYPES):
        raise ValueError(f"an array has the unknown type {code}")
    dtype, body = np.dtype(_DTYPES[code]), data[1 + length :]
    n = 1
    for size in shape:
        n *= size
    if n * dtype.itemsize != len(body):
        raise ValueError(f"an array of shape {tuple(shape)} has {len(body)} bytes")
    array = np.frombuffer(body, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))
