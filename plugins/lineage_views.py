"""Views that take packed births and deaths apart, so that they can be read with plain SQL."""

from __future__ import annotations

import numpy as np

from tweann.lineage import BIRTH, DEATH

_HEX = "'0123456789ABCDEF'"


def births_view(postgres: bool = False) -> str:
    """Return the statement that makes the view ``births``: one row a birth, of pieces and of ancestors."""
    part = _view(BIRTH, "0", "n_births", "{table}", postgres)
    pieces, ancestors = part.format(table="lineage"), part.format(table="ancestors")
    return f"CREATE VIEW births AS {pieces} UNION {ancestors}"


def deaths_view(postgres: bool = False) -> str:
    """Return the statement that makes the view ``deaths``: one row a death."""
    start = f"{BIRTH.itemsize} * n_births"
    return f"CREATE VIEW deaths AS {_view(DEATH, start, 'n_deaths', 'lineage', postgres)}"


def _view(dtype: np.dtype[np.void], start: str, count: str, table: str, postgres: bool) -> str:
    """Return a query: a row for each record, and a column for each field that is an integer."""
    columns = ", ".join(
        f"{_integer(dtype, name, f'{start} + {dtype.itemsize} * i', postgres)} AS {name}"
        for name in dtype.names or ()
        if dtype[name].kind in "iu"
    )
    if postgres:
        numbers = f"CROSS JOIN LATERAL generate_series(0, {count}::integer - 1) AS k(i)"
        return f"SELECT run, {columns} FROM {table} {numbers}"
    numbers = (
        "WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i + 1 < "
        f"(SELECT max({count}) FROM {table}))"
    )
    return f"SELECT * FROM ({numbers} SELECT run, {columns} FROM {table} JOIN k ON i < {count})"


def _integer(dtype: np.dtype[np.void], name: str, start: str, postgres: bool) -> str:
    """Return an expression for a big-endian integer within ``genome``."""
    assert dtype.fields is not None
    field, offset = dtype.fields[name][:2]
    size = field.itemsize
    first = f"({start} + {offset + 1})"
    if postgres:
        text = f"encode(substring(genome FROM {first}::integer FOR {size}), 'hex')"
        bits = f"('x' || {text})::bit({8 * size})"
        return f"{bits}::{'integer' if field.kind == 'i' and size < 8 else 'bigint'}"
    digits = [
        f"(instr({_HEX}, substr(hex(substr(genome, {first}, {size})), {k + 1}, 1)) - 1 << {4 * (2 * size - 1 - k)})"
        for k in range(2 * size)
    ]
    value = " | ".join(digits)
    if field.kind == "i" and size < 8:  # the sign
        half = 1 << (8 * size - 1)
        return f"((({value}) + {half}) % {2 * half} - {half})"
    return f"({value})"
