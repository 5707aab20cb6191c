"""Encoded genomes, read in one pass: those that come by wire come by the thousand.

Only the commonest form is read here: the keys in the order in which `tweann.codec.encode` writes them, no optional columns,
known names alone, no rule broken. All else is refused without a word, and left to the codec, which says what is wrong.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tweann.genes import Bool, Float, Int, UInt8
from tweann.kernels._jit import kernel
from tweann.kernels.ids import HASH_VERSION
from tweann.kernels.validate import examine

#: What stands before each value, in the order of the keys.
_KEYS: Final = (
    b"\x8f\xa6format\x01\xa4hash" + bytes([HASH_VERSION]) + b"\xa8n_inputs",
    b"\xa9n_outputs",
    b"\xa5names",
    b"\xa7node_id",
    b"\xaaactivation",
    b"\xabaggregation",
    b"\xa4bias",
    b"\xa6source",
    b"\xa6target",
    b"\xa6weight",
    b"\xa7enabled",
    b"\xaanode_extra\x80\xb0connection_extra\x80",
)
_TEXT: Final = np.frombuffer(b"".join(_KEYS), np.uint8)
_KEY_AT: Final = np.cumsum([0, *map(len, _KEYS)])

#: What stands before each part of the canonical form.
_LABELS: Final = (
    b"tweann genome " + str(HASH_VERSION).encode() + b" ",
    b"node_id\n",
    b"bias\n",
    b"source\n",
    b"target\n",
    b"weight\n",
    b"enabled\n",
)
_LABEL_TEXT: Final = np.frombuffer(b"".join(_LABELS), np.uint8)
_LABEL_AT: Final = np.cumsum([0, *map(len, _LABELS)])

#: Names in one genome; more are left to the codec.
_MAX_NAMES: Final = 15
#: What the numbers, labels and ends of the canonical form need at most.
_CANONICAL_ROOM: Final = 160
#: Where spans of columns and of names lie in the last argument of `read_plain`, and how long that is.
_SPANS: Final = 3
_NAMES: Final = _SPANS + 2 * 8
OUT_SIZE: Final = _NAMES + 4 * _MAX_NAMES
_SPACE, _LINE, _ZERO = 32, 10, 48


@kernel
def _after_key(data: UInt8, at: int, key: int) -> int:
    """Return where the value begins if ``key`` stands at ``at``; -1: it does not, or ``at`` is negative."""
    first, last = _KEY_AT[key], _KEY_AT[key + 1]
    if at < 0 or at + (last - first) > data.size:
        return -1
    for i in range(last - first):
        if data[at + i] != _TEXT[first + i]:
            return -1
    return int(at + (last - first))


@kernel
def _number(data: UInt8, at: int, value: int) -> int:
    """Return what is behind the integer at ``at`` if it is ``value``, in its shortest form; or -1."""
    if at < 0 or value < 0:
        return -1
    if value < 128:
        return at + 1 if at < data.size and data[at] == value else -1
    if value < 256:
        found = at + 1 < data.size and data[at] == 0xCC and data[at + 1] == value
        return at + 2 if found else -1
    if at + 2 >= data.size or value >= 65536 or data[at] != 0xCD:
        return -1
    return at + 3 if int(data[at + 1]) * 256 + int(data[at + 2]) == value else -1


@kernel
def _binary(data: UInt8, at: int, out: Int, where: int) -> int:
    """Write start and length of the binary at ``at`` to ``out[where:]``, and return what is behind it; or -1."""
    if at < 0 or at >= data.size:
        return -1
    head = data[at]
    if head < 0xC4 or head > 0xC6:
        return -1
    width = 1 << (head - 0xC4)
    if at + 1 + width > data.size:
        return -1
    length = 0
    for i in range(width):
        length = length * 256 + int(data[at + 1 + i])
    start = at + 1 + width
    if start + length > data.size:
        return -1
    out[where], out[where + 1] = start, length
    return int(start + length)


@kernel
def _code_of(data: UInt8, start: int, length: int, known: UInt8, kind: int) -> int:
    """Return the code of a name among the activations (kind 0) or aggregations (1) in ``known``; -1: not there."""
    at = 0
    for group in range(2):
        count = int(known[at])
        at += 1
        for code in range(count):
            size = int(known[at])
            if group == kind and size == length:
                same = True
                for i in range(length):
                    if known[at + 1 + i] != data[start + i]:
                        same = False
                        break
                if same:
                    return code
            at += 1 + size
    return -1


@kernel
def _label(out: UInt8, at: int, which: int) -> int:
    """Write a label; return what is behind."""
    for i in range(_LABEL_AT[which], _LABEL_AT[which + 1]):
        out[at] = _LABEL_TEXT[i]
        at += 1
    return at


@kernel
def _decimal(out: UInt8, at: int, value: int, end: int) -> int:
    """Write a number >= 0 in decimal and the byte ``end``; return what is behind."""
    digits, rest = 1, value
    while rest >= 10:
        rest //= 10
        digits += 1
    rest = value
    for i in range(digits):
        out[at + digits - 1 - i] = _ZERO + rest % 10
        rest //= 10
    out[at + digits] = end
    return at + digits + 1


@kernel
def _copy(data: UInt8, start: int, length: int, out: UInt8, at: int) -> int:
    """Copy bytes; return what is behind."""
    # with slices no index can be negative, and so the loop is one of wide moves
    those, here = data[start : start + length], out[at : at + length]
    for i in range(length):
        here[i] = those[i]
    return at + length


@kernel
def _copy_numbers(real: Float, first: int, n: int, raw: UInt8, out: UInt8, at: int) -> int:
    """Copy the bytes of n numbers, with -0 as 0; return what is behind."""
    behind = _copy(raw, 8 * first, 8 * n, out, at)
    numbers = real[first : first + n]
    for i in range(n):
        if numbers[i] == 0.0:
            out[at + 8 * i + 7] = 0  # the sign
    return behind


@kernel
def _find_names(data: UInt8, at: int, known: UInt8, out: Int) -> int:
    """Write of each name in the list at ``at``: start, length, and its two codes; return what is behind, or -1."""
    if at < 0 or at >= data.size or data[at] < 0x90 or data[at] > 0x90 + _MAX_NAMES:
        return -1
    n = int(data[at]) - 0x90
    at += 1
    for i in range(n):
        if at >= data.size or data[at] < 0xA0 or data[at] > 0xBF:
            return -1
        length = int(data[at]) - 0xA0
        at += 1
        if at + length > data.size:
            return -1
        mine = _NAMES + 4 * i
        out[mine], out[mine + 1] = at, length
        out[mine + 2] = _code_of(data, at, length, known, 0)
        out[mine + 3] = _code_of(data, at, length, known, 1)
        at += length
    for i in range(n, _MAX_NAMES):
        out[_NAMES + 4 * i + 2] = out[_NAMES + 4 * i + 3] = -1
    return at


@kernel
def _name_nodes(
    data: UInt8, start: int, n: int, kind: int, codes: UInt8, canonical: UInt8, at: int, out: Int
) -> int:
    """Write codes and names of the activations (kind 0) or aggregations (1) of n nodes; return what is behind, or -1.

    Args:
        start: where the columns of indices begins in ``data``.
        at: where the names go in ``canonical``, each with the end of a line.
    """
    for i in range(n):
        low, high = int(data[start + 2 * i]), data[start + 2 * i + 1]
        if high != 0 or low >= _MAX_NAMES:
            return -1
        name = _NAMES + 4 * low
        code, length = out[name + 2 + kind], out[name + 1]
        if code < 0 or at + length + 1 > canonical.size:
            return -1
        codes[kind * n + i] = code
        at = _copy(data, out[name], length, canonical, at)
        canonical[at] = _LINE
        at += 1
    return at


@kernel
def _columns(data: UInt8, limits: Int, room: int, out: Int) -> bool:
    """Return whether the columns found are of one length each, within the limits, and fit into ``room`` numbers."""
    s = _SPANS
    n, c = out[s + 1] // 8, out[s + 9] // 8
    out[0], out[1] = n, c
    if n > limits[2] or c > limits[3] or 2 * n + 3 * c > room:
        return False
    nodes = out[s + 1] == 8 * n and out[s + 3] == 2 * n and out[s + 5] == 2 * n
    links = out[s + 9] == 8 * c and out[s + 11] == 8 * c and out[s + 13] == 8 * c
    ends = out[s + 7] == 8 * n and out[s + 15] == (c + 7) // 8
    return bool(nodes and links and ends)


@kernel
def _parse(data: UInt8, known: UInt8, limits: Int, out: Int) -> bool:
    """Find names and columns; return whether all stands where `tweann.codec.encode` puts it."""
    at = _number(data, _after_key(data, 0, 0), limits[0])
    at = _number(data, _after_key(data, at, 1), limits[1])
    at = _find_names(data, _after_key(data, at, 2), known, out)
    for which in range(8):
        at = _binary(data, _after_key(data, at, 3 + which), out, _SPANS + 2 * which)
    return _after_key(data, at, 11) == data.size


@kernel
def read_plain(
    data: UInt8,
    known: UInt8,
    limits: Int,
    whole: Int,
    real: Float,
    raw: UInt8,
    enabled: Bool,
    codes: UInt8,
    canonical: UInt8,
    out: Int,
) -> int:
    """Read an encoded genome without optional columns, examine it, and write the bytes that its id is the hash of.

    Args:
        data: (size,) what came.
        known: names of activations, then of aggregations: how many (one byte), then each as its length and its bytes.
        limits: (7,) inputs, outputs, most nodes, most connections, whether connections may be recurrent, and the codes
            of "identity" and "sum".
        whole: (m,) gets node ids, sources, targets, biases and weights, in this order.
        real, raw: the same memory, as float64 and as bytes.
        enabled: (>= m / 3,) gets who is enabled.
        codes: (>= m,) gets the codes of activations, then of aggregations.
        canonical: (k,) gets the canonical form; see `tweann.genome.Genome.genome_id`.
        out: (OUT_SIZE,) gets the numbers of nodes and of connections, and 1 if some connection is recurrent; the rest is
            scratch.

    Returns:
        Length of the canonical form. 0: this is no such genome, or breaks a rule, or there is no room; what was written
        then means nothing.

    Cost: O(size + c log n), no allocation. For little-endian machines only.
    """
    if not _parse(data, known, limits, out) or not _columns(data, limits, whole.size, out):
        return 0
    s, n, c = _SPANS, out[0], out[1]
    source, target, bias, weight = n, n + c, n + 2 * c, 2 * n + 2 * c
    if _CANONICAL_ROOM + 16 * n + 25 * c > canonical.size:
        return 0
    at = _copy(data, out[s], 8 * n, raw, 0)
    at = _copy(data, out[s + 8], 8 * c, raw, at)
    at = _copy(data, out[s + 10], 8 * c, raw, at)
    at = _copy(data, out[s + 6], 8 * n, raw, at)
    _copy(data, out[s + 12], 8 * c, raw, at)
    found = examine(
        limits[0],
        limits[1],
        whole[:n],
        real[bias:weight],
        whole[source:target],
        whole[target:bias],
        real[weight : weight + c],
    )
    if found < 0 or (found & 1 and not limits[4]):
        return 0
    out[2] = found & 1
    at = _label(canonical, 0, 0)
    at = _decimal(canonical, at, limits[0], _SPACE)
    at = _decimal(canonical, at, limits[1], _SPACE)
    at = _decimal(canonical, at, n, _SPACE)
    at = _label(canonical, _decimal(canonical, at, c, _LINE), 1)
    at = _label(canonical, _copy(raw, 0, 8 * n, canonical, at), 2)
    at = _label(canonical, _copy_numbers(real, bias, n, raw, canonical, at), 3)
    at = _label(canonical, _copy(raw, 8 * source, 8 * c, canonical, at), 4)
    at = _label(canonical, _copy(raw, 8 * target, 8 * c, canonical, at), 5)
    at = _label(canonical, _copy_numbers(real, weight, c, raw, canonical, at), 6)
    bits = c // 8
    packed = data[out[s + 14] : out[s + 14] + out[s + 15]]
    for k in range(c):
        # the first of eight is the highest bit
        enabled[k] = packed[k >> 3] >> (7 - (k & 7)) & 1
    at = _copy(data, out[s + 14], bits, canonical, at)
    if c % 8:
        canonical[at] = data[out[s + 14] + bits] & (0xFF00 >> c % 8) & 0xFF
        at += 1
    for kind in range(2):
        at = _name_nodes(data, out[s + 2 + 2 * kind], n, kind, codes, canonical, at, out)
        if at < 0:
            return 0
        for i in range(found >> 1):
            if codes[kind * n + i] != limits[5 + kind]:
                return 0
    return at
