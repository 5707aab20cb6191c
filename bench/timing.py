"""Timing two things against each other on a noisy machine, and telling what came of it."""

from __future__ import annotations

import gc
import json
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things to compare.

    Attributes:
        run: the work.
        amount: how many units of work a call does; times are per unit.
        prepare: called before each call, outside the clock.
    """

    run: Run
    amount: float = 1.0
    prepare: Run | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What a comparison found.

    Attributes:
        work: what was compared.
        ours, theirs: seconds a unit of work, the least of all rounds.
        ratio: what is held against the target.
        target: bound on the ratio, or None where the row only informs.
        at_least: whether the ratio should be no less than the target, or no more.
        unit: of what the seconds are.
        note: what a reader should know.
    """

    work: str
    ours: float
    theirs: float | None
    ratio: float
    target: float | None = None
    at_least: bool = True
    unit: str = ""
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    def data(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {**asdict(self), "passed": self.passed}


def clock(side: Side) -> float:
    """Return the seconds a unit of work took, once."""
    if side.prepare is not None:
        side.prepare()
    began = perf_counter()
    side.run()
    return (perf_counter() - began) / side.amount


def interleave(*sides: Side, rounds: int) -> list[float]:
    """Return the least seconds a unit of each side, after one round to warm up.

    Sides take turns, so that a slow spell of the machine meets all of them; the least of several rounds is what the work
    costs when nobody else is running. Garbage is collected before, not during a round: equally for all.
    """
    best = [float("inf")] * len(sides)
    for n in range(rounds + 1):
        for i, side in enumerate(sides):
            gc.collect()
            gc.disable()
            try:
                seconds = clock(side)
            finally:
                gc.enable()
            if n > 0 or rounds == 0:
                best[i] = min(best[i], seconds)
    return best


def readable(seconds: float) -> str:
    """Return a time with a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def print_rows(title: str, rows: Iterable[Row]) -> None:
    """Print the rows as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in ("work", "unit", "tweann", "other", "ratio", "target", ""):
        table.add_column(heading, justify="left" if heading in ("work", "unit") else "right")
    for row in rows:
        sign = ">=" if row.at_least else "<="
        table.add_row(
            row.work + (f"\n[dim]{row.note}[/dim]" if row.note else ""),
            row.unit,
            readable(row.ours),
            "" if row.theirs is None else readable(row.theirs),
            f"{row.ratio:,.3g}" if row.ratio < 1000 else f"{row.ratio:,.0f}",
            "" if row.target is None else f"{sign} {row.target:g}",
            {None: "", True: "[green]ok[/green]", False: "[red]missed[/red]"}[row.passed],
        )
    width = None if os.isatty(1) else 120
    Console(width=width).print(table)


def environment() -> dict[str, Any]:
    """Return what the figures were measured on."""
    versions = {}
    for name in ("tweann", "numpy", "numba", "neat-python"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def write_json(path: Path, **content: Any) -> None:
    """Write figures and their circumstances to a file."""
    text = json.dumps({"environment": environment(), **content}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
