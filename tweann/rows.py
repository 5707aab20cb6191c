"""The rows of a population: what is known of each individual, beside its genes.

Columns of one type lie in one matrix, so that rows are made, joined and permuted with a few calls for all columns
together; by name each is a contiguous array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tweann.genes import Int, Origin, Role

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


class RowFormat:
    """Which columns rows have.

    Args:
        columns: type of each, and the value before anything is known.
        widths: columns of float64 with several values a row, 0 at first.
    """

    def __init__(
        self, columns: Mapping[str, tuple[DTypeLike, Any]], widths: Mapping[str, int]
    ) -> None:
        groups: dict[np.dtype[Any], list[tuple[str, Any]]] = {}
        for name, (dtype, value) in columns.items():
            groups.setdefault(np.dtype(dtype), []).append((name, value))
        self.names = (*columns, *widths)
        self.places = {
            name: (matrix, row)
            for matrix, group in enumerate(groups.values())
            for row, (name, _) in enumerate(group)
        }
        self.widths = dict(widths)
        self._blanks = [
            np.array([[value] for _, value in group], dtype) for dtype, group in groups.items()
        ]

    def make(self, n: int) -> Rows:
        """Return ``n`` rows of nothing known."""
        matrices = [blank.repeat(n, axis=1) for blank in self._blanks]
        return Rows(self, matrices, {name: np.zeros((n, d)) for name, d in self.widths.items()})


class Rows(Mapping[str, NDArray[Any]]):
    """Rows by column: ``rows[name]`` is (n,), or (n, d) where a row has several values; write to ``rows[name][:]``."""

    def __init__(
        self,
        row_format: RowFormat,
        matrices: list[NDArray[Any]],
        wide: dict[str, NDArray[np.float64]],
    ) -> None:
        self._format, self._matrices, self._wide = row_format, matrices, wide
        self._columns: dict[str, NDArray[Any]] = {}  # those that were asked for

    @property
    def n(self) -> int:
        """How many rows there are."""
        return int(self._matrices[0].shape[1])

    def __getitem__(self, name: str) -> NDArray[Any]:
        column = self._columns.get(name)
        if column is None:
            place = self._format.places.get(name)
            if place is None:
                return self._wide[name]
            column = self._columns[name] = self._matrices[place[0]][place[1]]
        return column

    def __contains__(self, name: object) -> bool:
        return name in self._format.places or name in self._wide

    def __iter__(self) -> Iterator[str]:
        return iter(self._format.names)

    def __len__(self) -> int:
        return len(self._format.names)

    def joined(self, other: Rows, index: Int) -> Rows:
        """Return the rows ``index`` of these and, counted on from there, those of ``other``."""
        if index.size >= _MANY:
            few = self._few_changed(other, index)
            if few is not None:
                return few
        matrices = [
            np.concatenate((a, b), axis=1).take(index, axis=1)
            for a, b in zip(self._matrices, other._matrices, strict=True)
        ]
        wide = {
            name: np.concatenate((a, other._wide[name]))[index]
            if a.shape[1]
            else np.zeros((index.size, 0))
            for name, a in self._wide.items()
        }
        return Rows(self._format, matrices, wide)

    def _few_changed(self, other: Rows, index: Int) -> Rows | None:
        """Return what `joined` does where others take the places of a few: half the time, for the elites of an archive."""
        n = min(self.n, index.size)
        changed = np.concatenate(
            ((index[:n] != np.arange(n)).nonzero()[0], np.arange(n, index.size))
        )
        children = index[changed] - self.n
        if 2 * changed.size >= index.size or children.min(initial=0) < 0:
            return None
        matrices = [
            _with_changed(a, b, n, changed, children)
            for a, b in zip(self._matrices, other._matrices, strict=True)
        ]
        wide = {
            name: _with_changed(a.T, other._wide[name].T, n, changed, children).T
            for name, a in self._wide.items()
        }
        return Rows(self._format, matrices, wide)


def _with_changed(
    a: NDArray[Any], b: NDArray[Any], n: int, changed: Int, children: Int
) -> NDArray[Any]:
    """Return the first ``n`` columns of ``a``, with those that ``changed`` names, or adds, taken from ``b``."""
    order: Literal["C", "F"] = "C" if a.flags.c_contiguous else "F"
    made = np.empty((a.shape[0], max(n, changed[-1] + 1 if changed.size else 0)), a.dtype, order)
    made[:, :n] = a[:, :n]
    made[:, changed] = b[:, children]
    return made
