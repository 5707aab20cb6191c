"""Reading a table from a CSV file with a header: columns of numbers, and of texts as codes.

The file is read twice, first to learn what the columns hold, then to fill arrays of exactly that size, so that a
large file never stands in memory as Python objects.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from tweann.errors import ConfigError
from tweann.genes import Float, Int

#: What a cell without a value may hold, in lower case and without blanks.
HOLES: Final = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})


@dataclass(frozen=True, slots=True)
class TableFile:
    """Where a table is and how it is to be read.

    Attributes:
        path: the file.
        delimiter: between cells.
        ignore: names of columns that are not read.
        drop_holes: leave rows with a hole out, instead of refusing the file.
        max_cells: cap on rows times columns.
        max_categories: cap on the different texts of one column.
    """

    path: Path
    delimiter: str
    ignore: tuple[str, ...]
    drop_holes: bool
    max_cells: int
    max_categories: int


@dataclass(slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: as the header has it.
        categories: the different texts, sorted, numbers by value; None in a column of numbers.
        numbers: (n,) its values; empty in a column of texts.
        codes: (n,) positions in ``categories``; empty in a column of numbers.
    """

    name: str
    categories: tuple[str, ...] | None
    numbers: Float
    codes: Int


@dataclass(slots=True)
class _Scan:
    """What the first pass learns of a column."""

    name: str
    position: int
    must: str  #: "number", "text", or "" for whatever it holds
    texts: set[str] = field(default_factory=set)
    numeric: bool = True


def read_columns(
    file: TableFile, number_columns: Collection[str], text_columns: Collection[str]
) -> list[Column]:
    """Return the columns of a file, in its order, without those that are ignored.

    Args:
        file: what to read.
        number_columns: names of columns that must hold numbers.
        text_columns: names of columns that are texts even if they look like numbers.

    Raises:
        ConfigError: the file cannot be read, is not a table, lacks a column, has holes, or is too large; the
            message says where.
    """
    with _rows(file) as rows:
        header = _header(file, rows)
        for key, names in (("target", [*number_columns, *text_columns]), ("ignore", file.ignore)):
            for name in names:
                _require_column(file, key, name, header)
        scans = [
            _Scan(name, i, _must(name, number_columns, text_columns))
            for i, name in enumerate(header)
            if name not in file.ignore
        ]
        n = _scan(file, rows, scans, len(header))
    columns = []
    for scan in scans:
        categories = None if scan.numeric else _sorted_texts(scan.texts)
        size = (n, 0) if scan.numeric else (0, n)
        columns.append(
            Column(scan.name, categories, np.empty(size[0]), np.empty(size[1], np.int64))
        )
    with _rows(file) as rows:
        next(rows)
        _fill(rows, scans, columns, n)
    return columns


def parse_number(text: str) -> float | None:
    """Return the number that a cell holds, None if it holds none; "inf" and the like give infinity."""
    if "_" in text:  # Python would read 1_000 as a number
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_hole(text: str) -> bool:
    """Return whether a cell holds no value."""
    return len(text) <= 4 and text.lower() in HOLES


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a hint for a name that resembles a known one, and what is known."""
    close = difflib.get_close_matches(name, known, n=1)
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return (f", did you mean {close[0]!r}?" if close else "") + f" (columns: {shown})"


@contextmanager
def _rows(file: TableFile) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Give an iterator over (line, cells without blanks around them); what is wrong with the file is a `ConfigError`."""
    try:
        with file.path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(
                stream, delimiter=file.delimiter, skipinitialspace=True, strict=True
            )
            stripped = ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader)
            yield (row for row in stripped if row[1] not in ([], [""]))
    except FileNotFoundError:
        raise ConfigError(f"task.file: no such file: {file.path}") from None
    except OSError as error:
        raise ConfigError(f"task.file: cannot read {file.path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"task.file: {file.path}: expected UTF-8 text: {error}") from None
    except csv.Error as error:
        raise ConfigError(f"task.file: {file.path}:{reader.line_num}: {error}") from None


def _header(file: TableFile, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    _, header = next(rows, (0, []))
    if not header:
        raise ConfigError(f"task.file: {file.path} is empty, expected a header and rows of values")
    for i, name in enumerate(header):
        if not name:
            raise ConfigError(f"task.file: {file.path}:1: column {i + 1} has no name in the header")
        if name in header[:i]:
            raise ConfigError(f"task.file: {file.path}:1: two columns are named {name!r}")
    return header


def _require_column(file: TableFile, key: str, name: str, header: list[str]) -> None:
    if name not in header:
        hint = did_you_mean(name, header)
        if len(header) == 1:
            hint += f"; with one column only, is task.delimiter = {file.delimiter!r} right?"
        raise ConfigError(f"task.{key}: {file.path} has no column {name!r}{hint}")


def _must(name: str, number_columns: Collection[str], text_columns: Collection[str]) -> str:
    return "number" if name in number_columns else "text" if name in text_columns else ""


def _scan(
    file: TableFile, rows: Iterator[tuple[int, list[str]]], scans: list[_Scan], width: int
) -> int:
    """Learn what each column holds; return the number of rows without a hole."""
    n = cells_seen = n_holes = n_broken = 0
    first_hole = ""
    for line, cells in rows:
        place = f"{file.path}:{line}"
        if len(cells) != width:
            raise ConfigError(
                f"task.file: {place}: expected {width} cells as in the header, came {len(cells)}"
            )
        cells_seen += width
        if cells_seen > file.max_cells:
            raise ConfigError(
                f"task.file: {file.path} has more than task.max_cells = {file.max_cells:,} cells "
                f"(line {line}); raise the cap, or give fewer rows or columns"
            )
        holes = [scan.name for scan in scans if is_hole(cells[scan.position])]
        if holes:
            first_hole = first_hole or f"{place}, column {holes[0]!r}"
            n_holes += len(holes)
            n_broken += 1
            continue
        n += 1
        for scan in scans:
            _scan_cell(file, scan, cells[scan.position], place)
    if n_holes and not file.drop_holes:
        raise ConfigError(
            f"task.file: {n_holes} holes in {n_broken} rows, the first at {first_hole}: fill them, or set "
            'task.holes = "drop" to leave these rows out'
        )
    if n == 0:
        why = f"all {n_broken} rows have holes" if n_broken else "there is only a header"
        raise ConfigError(f"task.file: {file.path} has no rows: {why}")
    for scan in scans:
        if not scan.numeric and len(scan.texts) > file.max_categories:
            raise ConfigError(
                f"task.file: {file.path}: column {scan.name!r} has more than task.max_categories = "
                f"{file.max_categories} different texts; leave it out with task.ignore, or raise the cap"
            )
    return n


def _scan_cell(file: TableFile, scan: _Scan, text: str, place: str) -> None:
    number = parse_number(text) if scan.numeric else None
    if number is not None and not math.isfinite(number):
        raise ConfigError(
            f"task.file: {place}: column {scan.name!r}: expected a finite number, came {text!r}"
        )
    if number is None or scan.must == "text":
        if scan.must == "number":
            raise ConfigError(
                f"task.target: {place}: column {scan.name!r}: a regression expects a number, came {text!r}"
            )
        scan.numeric = False
    # numbers too, for a text further down may yet show that they are none; one over the cap says enough
    if len(scan.texts) <= file.max_categories:
        scan.texts.add(text)


def _fill(
    rows: Iterator[tuple[int, list[str]]], scans: list[_Scan], columns: list[Column], n: int
) -> None:
    pairs = list(zip(scans, columns, strict=True))
    code = {c.name: {text: i for i, text in enumerate(c.categories or ())} for c in columns}
    row = 0
    for _, cells in rows:
        if any(is_hole(cells[scan.position]) for scan in scans):
            continue
        for scan, column in pairs:
            text = cells[scan.position]
            if column.categories is None:
                column.numbers[row] = float(text)
            else:
                column.codes[row] = code[column.name][text]
        row += 1


def _sorted_texts(texts: set[str]) -> tuple[str, ...]:
    numbers = {text: parse_number(text) for text in texts}
    if None not in numbers.values():
        return tuple(sorted(texts, key=lambda text: (numbers[text], text)))
    return tuple(sorted(texts))
