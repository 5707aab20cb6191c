"""Optional columns of a genome: their names outside this process, the values they may have, and their defaults."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tweann.errors import GenomeError
from tweann.genes import (
    CODED_COLUMNS,
    COLUMN_GROUPS,
    COLUMN_LAWS,
    DYNAMICS,
    FACTOR_RANGE,
    MUTATIONS,
    PLASTICITY_RULES,
    Float,
    Int,
)
from tweann.kernels.columns import FACTOR, KIND, LAW_SIZE, LOW, MASK, OPERATOR, SIGNED, SUM
from tweann.kernels.ids import HASH_BITS

#: The value of each optional column where a genome does not have it.
DEFAULTS: Final[dict[str, float]] = {
    name: default
    for group in COLUMN_GROUPS.values()
    for name, default in (*group.node, *group.connection, *group.genome)
}
#: The group of each optional column.
GROUP_OF: Final[dict[str, str]] = {
    name: title
    for title, group in COLUMN_GROUPS.items()
    for name, _ in (*group.node, *group.connection, *group.genome)
}
#: Columns that say where a genome comes from, not what it is.
ANCESTRY: Final = frozenset(name for name, _ in COLUMN_GROUPS["births"].node)

_KINDS: Final = {"factor": FACTOR, "signed": SIGNED, "sum": SUM}
#: Ranges are checked with this relative room, since a clipped value may be rounded.
_ROOM: Final = 1e-12


def names_of(column: str, codes: Float) -> list[str]:
    """Return the names that a coded column's values stand for; the values must be codes."""
    names = CODED_COLUMNS[column]
    return [names[int(code)] for code in codes]


def codes_of(column: str, names: Sequence[object]) -> Float:
    """Return the codes of a coded column's names.

    Raises:
        GenomeError: a name is not known.
    """
    known = CODED_COLUMNS[column]
    codes = {name: float(code) for code, name in enumerate(known)}
    for name in names:
        if not isinstance(name, str) or name not in codes:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise GenomeError(f"unknown {column} {name!r:.60}{hint} (known are {', '.join(known)})")
    return np.array([codes[str(name)] for name in names], dtype=np.float64)


def readable(columns: Mapping[str, Float]) -> dict[str, list[Any]]:
    """Return columns as lists of JSON values, names for codes."""
    return {
        name: names_of(name, values) if name in CODED_COLUMNS else values.tolist()
        for name, values in columns.items()
    }


def read_column(name: str, rows: Sequence[Mapping[str, Any]]) -> Float:
    """Return a column of rows of JSON values, codes for names.

    Raises:
        GenomeError: a name is not known.
        KeyError, TypeError, ValueError: a row lacks it, or it is no number.
    """
    values = [row[name] for row in rows]
    if name in CODED_COLUMNS:
        return codes_of(name, values)
    return np.array([float(value) for value in values], dtype=np.float64)


def groups_of(columns: Mapping[str, Any]) -> set[str]:
    """Return the column groups that some of ``columns`` belong to."""
    return {GROUP_OF[name] for name in columns if name in GROUP_OF}


def check_columns(
    node: Mapping[str, Float],
    connection: Mapping[str, Float],
    genome: Mapping[str, float],
    ids: Int,
) -> None:
    """Raise `GenomeError` unless each optional column holds what it may.

    Args:
        node, connection: columns by name, finite numbers, as long as ``ids`` and as each other.
        genome: values by name.
        ids: (n,) node ids, for messages.
    """
    for name, known in CODED_COLUMNS.items():
        column = node.get(name, connection.get(name))
        if column is None:
            continue
        wrong = (column != np.floor(column)) | (column < 0) | (column >= len(known))
        if wrong.any():
            raise GenomeError(
                f"{name} {float(column[wrong][0]):g} is no code: expected 0 to {len(known) - 1} "
                f"({', '.join(known)})"
            )
    if "modulatory" in node and not np.isin(node["modulatory"], (0.0, 1.0)).all():
        raise GenomeError("modulatory must be 0 or 1 for each node")
    for kinds, columns in (("dynamics", node), ("rule", connection)):
        if kinds in columns:
            _check_values(kinds, columns)
    dynamics = node.get("dynamics")
    if dynamics is not None:
        inputs = dynamics[ids < 1 << HASH_BITS]
        if inputs.any():
            raise GenomeError("the dynamics of an input must be 'static'")
    for name, value in genome.items():
        if not FACTOR_RANGE[0] <= value <= FACTOR_RANGE[1]:
            raise GenomeError(
                f"{name} must lie between {FACTOR_RANGE[0]:g} and {FACTOR_RANGE[1]:g}, came {value:g}"
            )


def _check_values(kinds: str, columns: Mapping[str, Float]) -> None:
    """Check the columns that dynamics or rules read, where they are read."""
    known, codes = CODED_COLUMNS[kinds], columns[kinds]
    used = [known[int(code)] for code in np.unique(codes)]
    for name, column in columns.items():
        law = COLUMN_LAWS.get(name)
        if law is None:
            continue
        for kind in used:
            if kind not in law.of:
                continue
            values = column[codes == known.index(kind)]
            if law.kind == "signed" and kind == "ltc":
                values = np.abs(values)
            # of time constants the unit is not known here, only that they are positive
            low, high = (0.0, np.inf) if law.in_steps else (law.low, law.high)
            room = _ROOM * max(abs(law.low), abs(law.high))
            wrong = (values < low - room) | (values > high + room) | (law.in_steps & (values <= 0))
            if wrong.any():
                raise GenomeError(
                    f"{name} of {kinds} {kind!r} is {float(values[wrong][0]):g}, expected "
                    + ("more than 0" if law.in_steps else f"{low:g} to {high:g}")
                    + (" (or minus that)" if law.kind == "signed" and kind == "ltc" else "")
                )


def law_table(columns: Sequence[tuple[str, float]], dt: float) -> Float:
    """Return the laws of optional columns as kernels take them, (n, LAW_SIZE), for a task of time step ``dt``."""
    table = np.zeros((len(columns), LAW_SIZE))
    table[:, OPERATOR] = -1.0
    for row, (name, _) in zip(table, columns, strict=True):
        law = COLUMN_LAWS.get(name)
        if law is None:
            continue
        kinds = DYNAMICS if law.of[0] in DYNAMICS else PLASTICITY_RULES
        unit = dt if law.in_steps else 1.0
        row[MASK] = sum(1 << kinds.index(kind) for kind in law.of)
        row[OPERATOR] = MUTATIONS.index(law.operator)
        row[KIND] = _KINDS[law.kind]
        row[LOW:] = np.array([law.low, law.high, law.first_low, law.first_high]) * unit
    return table


def check_steps(node: Mapping[str, Float], dt: float) -> None:
    """Raise `GenomeError` unless time constants suit a task's time step ``dt``."""
    codes = node.get("dynamics")
    if codes is None:
        return
    for name, column in node.items():
        law = COLUMN_LAWS.get(name)
        if law is None or not law.in_steps:
            continue
        reads = np.isin(codes, [DYNAMICS.index(kind) for kind in law.of])
        values = column[reads]
        wrong = (values < law.low * dt * (1.0 - _ROOM)) | (values > law.high * dt * (1.0 + _ROOM))
        if wrong.any():
            raise GenomeError(
                f"{name} is {float(values[wrong][0]):g}, expected {law.low * dt:g} to {law.high * dt:g}: "
                f"{law.low:g} to {law.high:g} of the task's time step, {dt:g}"
            )


def canonical(columns: Mapping[str, Float]) -> Iterator[bytes]:
    """Give the bytes by which columns enter a genome's identity, by name.

    Names for codes, -0 as 0; nothing of a column that holds its default throughout, nor of ancestry.
    """
    for name in sorted(columns):
        values = columns[name]
        if name in ANCESTRY or (values == DEFAULTS.get(name, 0.0)).all():
            continue
        yield name.encode() + b"\n"
        if name in CODED_COLUMNS:
            yield ("\n".join(names_of(name, values)) + "\n").encode()
        else:
            yield (values + 0.0).astype("<f8").tobytes()


def needed_groups(columns: Mapping[str, NDArray[np.float64]]) -> set[str]:
    """Return the groups without which ``columns`` would mean another network."""
    return {
        GROUP_OF[name]
        for name, values in columns.items()
        if name in GROUP_OF and name not in ANCESTRY and not (values == DEFAULTS[name]).all()
    }
