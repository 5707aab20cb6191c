"""The rows of a population: what is known of each individual, beside its genes.

Columns of one width in bytes lie in one matrix of bits, so that rows are made, joined and permuted with a few calls for all
columns together; by name each is a contiguous array of its type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tweann.genes import Int, Origin, Role
from tweann.kernels.replace import find_replaced, replace_columns, replace_rows

#: The columns that every row has: type and the value before anything is known.
ROW_COLUMNS: dict[str, tuple[DTypeLike, Any]] = {
    "block": (np.int64, -1),
    "id": (np.int64, -1),  # birth number
    "role": (np.uint8, int(Role.MEMBER)),
    "species": (np.int64, -1),
    "generation": (np.int64, 0),  # of birth
    "operator": (np.uint8, 0),
    "parent_a": (np.int64, -1),  # birth numbers
    "parent_b": (np.int64, -1),
    "origin": (np.uint8, int(Origin.BRED)),
    "fitness": (np.float64, np.nan),
    "validation": (np.float64, np.nan),
    "solved": (np.bool_, False),
    "steps": (np.int64, 0),
    "flags": (np.int64, 0),
    "n_evaluations": (np.int64, 0),
    "group": (np.int64, 0),  # as in `tweann.interfaces.BreedingPlan`
    "tuned": (np.bool_, True),  # likewise
}

#: From so many rows on it is worth a look whether most stay where they are.
_MANY: Final = 1000
#: What rows that are written over have room for, in proportion to what they need.
_ROOM: Final = 1.5


def _matrix_type(size: int) -> np.dtype[Any]:
    """Return the type of columns of that many bytes: what most of them are, so that these need no view."""
    return np.dtype(f"i{size}" if size == 8 else f"u{size}")


class RowFormat:
    """Which columns rows have.

    Args:
        columns: type of each, and the value before anything is known.
        widths: columns of float64 with several values a row, 0 at first.
    """

    def __init__(
        self, columns: Mapping[str, tuple[DTypeLike, Any]], widths: Mapping[str, int]
    ) -> None:
        groups: dict[int, list[tuple[str, np.dtype[Any], Any]]] = {}
        for name, (dtype, value) in columns.items():
            kind: np.dtype[Any] = np.dtype(dtype)
            groups.setdefault(kind.itemsize, []).append((name, kind, value))
        self.names = (*columns, *widths)
        #: Which matrix, which of its rows, and the type to view it as; None: it is of that type.
        self.places = {
            name: (matrix, row, None if dtype == _matrix_type(size) else dtype)
            for matrix, (size, group) in enumerate(groups.items())
            for row, (name, dtype, _) in enumerate(group)
        }
        self.widths = dict(widths)
        self._blanks = [
            np.array(
                [[np.array(value, dtype).view(_matrix_type(size))] for _, dtype, value in group]
            )
            for size, group in groups.items()
        ]

    def make(self, n: int) -> Rows:
        """Return ``n`` rows of nothing known."""
        matrices = [np.empty((len(blank), n), blank.dtype) for blank in self._blanks]
        for matrix, blank in zip(matrices, self._blanks, strict=True):
            matrix[:] = blank
        wide = {name: np.zeros((n, d)) for name, d in self.widths.items()}
        return Rows(self, matrices, wide, n)


class Rows(Mapping[str, NDArray[Any]]):
    """Rows by column: ``rows[name]`` is (n,), or (n, d) where a row has several values; write to ``rows[name][:]``."""

    def __init__(
        self,
        row_format: RowFormat,
        matrices: list[NDArray[Any]],
        wide: dict[str, NDArray[np.float64]],
        n: int,
    ) -> None:
        """Put rows together.

        Args:
            row_format: which columns there are.
            matrices: (columns, >= n) of each width, as integers.
            wide: (>= n, d) of each that has several values a row.
            n: how many rows there are; behind them is room for more.
        """
        self._format, self._matrices, self._wide, self.n = row_format, matrices, wide, n
        self._columns: dict[str, NDArray[Any]] = {}  # those that were asked for

    def __getitem__(self, name: str) -> NDArray[Any]:
        column = self._columns.get(name)
        if column is None:
            place = self._format.places.get(name)
            if place is None:
                column = self._wide[name][: self.n]
            else:
                matrix, row, dtype = place
                whole = self._matrices[matrix][row]
                column = whole if whole.size == self.n else whole[: self.n]
                if dtype is not None:
                    column = column.view(dtype)
            self._columns[name] = column
        return column

    def __contains__(self, name: object) -> bool:
        return name in self._format.places or name in self._wide

    def __iter__(self) -> Iterator[str]:
        return iter(self._format.names)

    def __len__(self) -> int:
        return len(self._format.names)

    def joined(self, other: Rows, index: Int) -> Rows:
        """Return the rows ``index`` of these and, counted on from there, those of ``other``."""
        n, m = self.n, other.n
        matrices = [
            np.concatenate((a[:, :n], b[:, :m]), axis=1).take(index, axis=1)
            for a, b in zip(self._matrices, other._matrices, strict=True)
        ]
        wide = {
            name: np.concatenate((a[:n], other._wide[name][:m]))[index]
            if a.shape[1]
            else np.zeros((index.size, 0))
            for name, a in self._wide.items()
        }
        return Rows(self._format, matrices, wide, index.size)

    def replaced(self, other: Rows, index: Int) -> Rows:
        """Return what `joined` does, writing over these rows, which nobody may use any more.

        Where others take the places of a few, as in an archive, the cost is that of the few.
        """
        n = self.n
        if not _MANY <= index.size >= n:
            return self.joined(other, index)
        rows = np.empty((2, index.size), np.int64)
        m = find_replaced(index, n, rows)
        if m < 0 or 2 * m >= index.size:
            return self.joined(other, index)
        changed, children = rows[:, :m]
        matrices, wide = self._matrices, self._wide
        if index.size > matrices[0].shape[1]:
            room = int(_ROOM * index.size)
            matrices = [np.empty((len(a), room), a.dtype) for a in self._matrices]
            wide = {name: np.empty((room, a.shape[1])) for name, a in self._wide.items()}
            for new, old in zip(matrices, self._matrices, strict=True):
                new[:, :n] = old[:, :n]
            for name, old in self._wide.items():
                wide[name][:n] = old[:n]
        for a, b in zip(matrices, other._matrices, strict=True):
            replace_columns(a, b, changed, children)
        for name, a in wide.items():
            if a.shape[1]:
                replace_rows(a, other._wide[name], changed, children)
        return Rows(self._format, matrices, wide, index.size)
