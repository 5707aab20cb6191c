"""The metrics observer: one JSON line a generation in the run's folder, for plots and other programs."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final

from pydantic import BaseModel, Field

from tweann.config import Section
from tweann.files import cannot_write, write_atomic
from tweann.hookspecs import hookimpl
from tweann.patience import Patience
from tweann.records import GenerationReport, Result, RunInfo

#: Lines that wait while the disk is full; then every second of them is dropped.
_MAX_WAITING: Final = 10_000


class MetricsSettings(Section):
    """Section [observers.metrics]."""

    max_lines: int = Field(
        default=100_000, ge=2, description="lines before the file is thinned out"
    )
    flush_seconds: float = Field(default=1.0, ge=0, description="longest time between writes")


class MetricsFile:
    """Appends each generation to ``metrics.jsonl``, about once a second; does nothing without a run folder.

    Bounded: when `max_lines` lines are there, every second generation is dropped from the file and from
    then on (then all but every fourth, and so on), so that it covers the whole run at an even spacing. The
    last generation is always there. A number that is not finite is null. Lines wait for a disk that is full.
    """

    Settings: ClassVar[type[BaseModel]] = MetricsSettings

    def __init__(self, settings: MetricsSettings, run: RunInfo) -> None:
        self._settings = settings
        self._path = None if run.run_dir is None else run.run_dir / "metrics.jsonl"
        self._n_lines = 0
        self._stride = 1  # only generations that it divides are written
        self._buffer: list[str] = []
        self._newest: GenerationReport | None = None
        self._last_flush = monotonic()
        self._patience = Patience(
            "metrics.jsonl",
            run.config.storage.full_seconds,
            "its lines wait",
            "the lines that waited are lost",
        )

    @hookimpl
    def tweann_run_started(self, run: RunInfo) -> None:
        """Take up the file that is there, if any: a run may have been killed, and goes on from an earlier generation."""
        if self._path is not None and self._path.exists():
            self._n_lines = _cut_tail(self._path, run.generation)

    @hookimpl
    def tweann_generation_finished(self, report: GenerationReport) -> None:
        """Note a generation; write what has been noted if a second has passed."""
        if self._path is None:
            return
        self._newest = report
        if report.generation % self._stride == 0:
            self._buffer.append(_line(report))
            if len(self._buffer) > _MAX_WAITING and self._patience.waits:
                del self._buffer[::2]
        if monotonic() - self._last_flush >= self._settings.flush_seconds and self._patience.due:
            self._flush(self._path)

    @hookimpl
    def tweann_checkpoint_written(self) -> None:
        """Write what has been noted: a run that goes on from there does not report it again."""
        if self._path is not None:
            self._flush(self._path)

    @hookimpl
    def tweann_run_finished(self, result: Result) -> None:
        """Write the rest."""
        del result
        path, newest = self._path, self._newest
        if path is None:
            return
        self._patience.insist(lambda: self._write(path))
        if newest is not None and newest.generation % self._stride:
            self._patience.insist(lambda: _append(path, [_line(newest)]))

    def _flush(self, path: Path) -> None:
        self._last_flush = monotonic()
        self._patience.attempt(lambda: self._write(path))

    def _write(self, path: Path) -> None:
        if self._buffer:
            _append(path, self._buffer)
            self._n_lines += len(self._buffer)
            self._buffer.clear()
        if (
            self._n_lines >= self._settings.max_lines
        ):  # equality leaves room for the last generation
            self._thin_out(path)

    def _thin_out(self, path: Path) -> None:
        stride, lines = self._stride, dict[int, bytes]()
        for line in path.read_bytes().splitlines(keepends=True):
            lines[json.loads(line)["generation"]] = line
        while len(lines) >= self._settings.max_lines:
            stride *= 2
            lines = {
                generation: line for generation, line in lines.items() if generation % stride == 0
            }
        try:
            write_atomic(path, b"".join(lines.values()))
        except OSError as error:
            raise cannot_write(path, error) from error
        self._stride, self._n_lines = stride, len(lines)


def _append(path: Path, lines: Sequence[str]) -> None:
    """Append lines to a file: all, or none of them.

    Raises:
        StorageError: it cannot be written.
    """
    size = path.stat().st_size if path.exists() else 0
    try:
        with path.open("a", encoding="ascii") as file:
            file.writelines(lines)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.truncate(path, size)
        raise cannot_write(path, error) from error


_encode = json.JSONEncoder(allow_nan=False, default=float).encode


def _line(report: GenerationReport) -> str:
    values: dict[str, Any] = {"generation": report.generation, **report.data()}
    try:
        return _encode(values) + "\n"
    except ValueError:  # a NaN or an infinity: rare, so they may cost
        pass
    for key, value in values.items():
        if isinstance(value, Mapping):
            values[key] = {name: _finite(entry) for name, entry in value.items()}
        else:
            values[key] = _finite(value)
    return _encode(values) + "\n"


def _finite(value: Any) -> Any:
    """Return what JSON has for a number: plain Python's, or None if it is not finite."""
    if type(value) is int:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if not isinstance(value, float) else number


def _cut_tail(path: Path, generation: int) -> int:
    """Drop what stands after the last newline, and lines from ``generation`` on; return the number of lines left."""
    content = path.read_bytes()
    lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
    while lines and json.loads(lines[-1])["generation"] >= generation:
        lines.pop()
    end = sum(map(len, lines))
    if end < len(content):
        with path.open("r+b") as file:
            file.truncate(end)
    return len(lines)
