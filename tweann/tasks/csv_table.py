"""A table in a CSV file, for classification or regression."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from tweann.errors import ConfigError
from tweann.genes import Float, Int
from tweann.kernels.random import EVALUATE, make_key, next_uint64
from tweann.network import NetworkSlice
from tweann.tasks.base import TaskInfo
from tweann.tasks.settings import TaskSettings
from tweann.tasks.table import Rows, TableTask
from tweann.tasks.table_file import Column, TableFile, parse_number, read_columns

PARTS: Final = ("train", "validation", "test")


class Encoding(NamedTuple):
    """How one column becomes inputs, or a target.

    A column of numbers is standardised, (value - mean) / scale; one of texts has an input for each text.
    """

    column: str
    categories: tuple[str, ...] | None
    mean: float
    scale: float

    def names(self) -> tuple[str, ...]:
        """Return the names of the inputs."""
        if self.categories is None:
            return (self.column,)
        return tuple(f"{self.column}={text}" for text in self.categories)

    def encode(self, column: Column) -> Float:
        """Return (n, inputs) for a column."""
        if self.categories is None:
            return ((column.numbers - self.mean) / self.scale)[:, np.newaxis]
        return np.eye(len(self.categories))[column.codes]


class CsvTable(TableTask):
    """A CSV file with a header: one output a class, or one a target; the champion is the best on validation."""

    class Settings(TaskSettings):
        """Section [task]."""

        file: Path = Field(description="The CSV file, UTF-8, with a header.")
        target: str | tuple[str, ...] = Field(
            description="Name of the column to predict; for a regression also a list of names."
        )
        kind: Literal["classification", "regression"] = Field(
            description="`classification`: minus the cross-entropy of a softmax. `regression`: minus the mean "
            "squared error of standardised targets."
        )
        ignore: tuple[str, ...] = Field(default=(), description="Names of columns to leave out.")
        split_seed: int = Field(
            default=1, ge=0, le=2**63 - 1, description="Which rows go to which part."
        )
        shares: tuple[float, float, float] = Field(
            default=(0.6, 0.2, 0.2),
            description="Shares of the training, validation and test part; each class is split alike.",
        )
        holes: Literal["refuse", "drop"] = Field(
            default="refuse",
            description="What to do with rows that lack a value: refuse the file, or drop them.",
        )
        delimiter: str = Field(
            default=",", pattern=r'^[^"\r\n]$', description="The character between cells."
        )
        max_cells: int = Field(default=50_000_000, ge=1, description="Cap on rows times columns.")
        max_categories: int = Field(
            default=100,
            ge=2,
            le=10_000,
            description="Cap on the different texts of a column, and on classes.",
        )

        @field_validator("shares")
        @classmethod
        def _sum_to_one(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
            if min(shares) < 0.0 or shares[0] == 0.0 or not math.isclose(sum(shares), 1.0):
                raise ValueError("expected three shares >= 0, the first above 0, that add up to 1")
            return shares

        @field_validator("target")
        @classmethod
        def _some_target(cls, target: str | tuple[str, ...]) -> str | tuple[str, ...]:
            several = not isinstance(target, str)
            if not target or (several and len(set(target)) < len(target)):
                raise ValueError("expected the name of a column, or a list of different names")
            return target

    def __init__(self, settings: Settings) -> None:
        """Read the file and split it.

        Raises:
            ConfigError: a fault of the file's or the settings'; the message says where.
        """
        self._settings = settings
        targets = (settings.target,) if isinstance(settings.target, str) else settings.target
        classify = settings.kind == "classification"
        if classify and len(targets) != 1:
            raise ConfigError(
                f"task.target: a classification has one target, came {len(targets)}: {', '.join(targets)}"
            )
        file = TableFile(
            settings.file,
            settings.delimiter,
            settings.ignore,
            settings.holes == "drop",
            settings.max_cells,
            settings.max_categories,
        )
        for name in targets:
            if name in settings.ignore:
                raise ConfigError(f"task.ignore: {name!r} is the target")
        columns = {
            column.name: column
            for column in read_columns(
                file, () if classify else targets, targets if classify else ()
            )
        }
        chosen = [columns.pop(name) for name in targets]
        parts = self._split(
            chosen[0] if classify else None, len(chosen[0].codes) or len(chosen[0].numbers)
        )
        #: How columns become inputs, in order; those that are constant on the training part are left out.
        self.encodings = tuple(
            encoding
            for column in columns.values()
            if (encoding := _encoding(column, parts["train"])) is not None
        )
        #: How the targets become outputs; a constant target has scale 1.
        self.target_encodings = tuple(
            _encoding(column, parts["train"])
            or Encoding(column.name, None, float(column.numbers[parts["train"][0]]), 1.0)
            for column in chosen
        )
        if not self.encodings:
            raise ConfigError(
                f"task.file: {settings.file} has no column to predict from that is not constant"
            )
        inputs = np.hstack([e.encode(columns[e.column]) for e in self.encodings])
        outputs = np.hstack(
            [e.encode(c) for e, c in zip(self.target_encodings, chosen, strict=True)]
        )
        rows = {name: Rows(inputs[index], outputs[index]) for name, index in parts.items()}
        info = TaskInfo(
            name="table",
            version=1,
            kind="table",
            inputs=tuple(name for e in self.encodings for name in e.names()),
            outputs=tuple(name for e in self.target_encodings for name in e.names()),
            input_ranges=_ranges(inputs[parts["train"]]),
            output_ranges=((-math.inf, math.inf),) * outputs.shape[1],
            output_activation="identity",
            baseline=self._baseline(outputs[parts["train"]]),
        )
        super().__init__(
            info,
            *rows["train"],
            loss="cross_entropy" if classify else "mean_squared_error",
            validation=rows.get("validation"),
            test=rows.get("test"),
        )

    def metrics(self, networks: NetworkSlice) -> dict[str, float]:
        """Return ``train_accuracy``, ``validation_accuracy`` and ``test_accuracy``, or the same with ``rmse``.

        The root of the mean squared error is in the target's unit; of several targets it is taken over all,
        and each has one of its own too, ``test_rmse_NAME``.
        """
        found: dict[str, float] = {}
        for part, table in self.parts.items():
            if self._settings.kind == "classification":
                right = self.results(networks, part).n_right[0]
                found[f"{part}_accuracy"] = float(right) / table.n_rows
                continue
            squares = self._squared_errors(networks, part)
            found[f"{part}_rmse"] = float(np.sqrt(squares.mean()))
            if len(self.target_encodings) > 1:
                for encoding, square in zip(self.target_encodings, squares, strict=True):
                    found[f"{part}_rmse_{encoding.column}"] = float(np.sqrt(square))
        return found

    def encode(self, row: Mapping[str, str | float]) -> Float:
        """Return (n_inputs,), what a network is to be given for a new row; other columns do not matter.

        Raises:
            ConfigError: a column is missing, or holds what its column of the file never held.
        """
        inputs: list[float] = []
        for encoding in self.encodings:
            name = encoding.column
            if name not in row:
                raise ConfigError(f"the row has no value for {name!r}")
            text = str(row[name]).strip()
            if encoding.categories is None:
                number = parse_number(text)
                if number is None or not math.isfinite(number):
                    raise ConfigError(f"{name!r}: expected a finite number, came {text!r}")
                inputs.append((number - encoding.mean) / encoding.scale)
            elif text not in encoding.categories:
                known = ", ".join(encoding.categories)
                raise ConfigError(f"{name!r}: expected one of {known}, came {text!r}")
            else:
                inputs += [float(text == category) for category in encoding.categories]
        return np.array(inputs)

    def _squared_errors(self, networks: NetworkSlice, part: str) -> Float:
        """Return (n_outputs,) the mean squared error of each target, in its own unit."""
        table = self.parts[part]
        targets = table.targets.transpose(0, 2, 1).reshape(-1, self.info.n_outputs)[: table.n_rows]
        scale = np.array([encoding.scale for encoding in self.target_encodings])
        squares: Float = (((self.predictions(networks, part) - targets) * scale) ** 2).mean(axis=0)
        return squares

    def _split(self, classes: Column | None, n: int) -> dict[str, Int]:
        """Return the rows of each part that is not empty, ascending; every class has a row in each."""
        s = self._settings
        wanted = [name for name, share in zip(PARTS, s.shares, strict=True) if share > 0.0]
        rng = np.array(
            [make_key(np.uint64(s.split_seed), np.uint64(0), np.uint64(0), EVALUATE)], np.uint64
        )
        order = np.argsort(np.array([next_uint64(rng) for _ in range(n)], np.uint64), kind="stable")
        groups = {"": order}
        if classes is not None:
            names = classes.categories or ()
            groups = {name: order[classes.codes[order] == i] for i, name in enumerate(names)}
            if len(groups) < 2:
                raise ConfigError(
                    f"task.target: {s.file}: a classification needs two classes, column {classes.name!r} has "
                    f"only {', '.join(groups)}"
                )
        found: dict[str, list[Int]] = {name: [] for name in wanted}
        for group, rows in groups.items():
            if rows.size < len(wanted):
                what = f"class {group!r} of column {s.target!r}" if classes else "the table"
                hint = "; is kind = 'regression' meant?" if classes and len(groups) > 20 else ""
                raise ConfigError(
                    f"task.file: {s.file}: {what} has {rows.size} rows, expected at least {len(wanted)}, "
                    f"one for each of {', '.join(wanted)}{hint}"
                )
            last = rows.size
            for name in reversed(wanted[1:]):
                share = max(1, round(s.shares[PARTS.index(name)] * rows.size))
                first = max(wanted.index(name), last - share)  # a row for each part still to come
                found[name].append(rows[first:last])
                last = first
            found["train"].append(rows[:last])
        return {name: np.sort(np.concatenate(rows)) for name, rows in found.items()}

    def _baseline(self, targets: Float) -> str:
        if self._settings.kind == "classification":
            shares = targets.mean(axis=0)
            best = self.target_encodings[0].names()[int(shares.argmax())]
            return f"always {best}: an accuracy of {shares.max():.3f}"
        scale = math.sqrt(sum(e.scale**2 for e in self.target_encodings) / targets.shape[1])
        return f"always the mean: an rmse of about {scale:.4g}"


def _encoding(column: Column, train: Int) -> Encoding | None:
    """Return how a column is encoded, None if it is constant on the training part."""
    if column.categories is not None:
        if np.ptp(column.codes[train]) == 0:
            return None
        return Encoding(column.name, column.categories, 0.0, 1.0)
    values = column.numbers[train]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not math.isfinite(mean) or not math.isfinite(scale):
        raise ConfigError(
            f"task.file: the numbers of column {column.name!r} are too large to be standardised"
        )
    if scale == 0.0 or np.all(values == values[0]):
        return None
    return Encoding(column.name, None, mean, scale)


def _ranges(inputs: Float) -> tuple[tuple[float, float], ...]:
    low, high = inputs.min(axis=0).tolist(), inputs.max(axis=0).tolist()
    return tuple(zip(low, high, strict=True))
