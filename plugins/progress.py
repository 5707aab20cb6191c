"""The progress observer: how the run is doing, on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, Field

from tweann.config import Section
from tweann.hookspecs import hookimpl
from tweann.records import GenerationReport, Result, RunInfo

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

Figures = list[tuple[str, str]]  # label, value; either may be empty


class ProgressSettings(Section):
    """Section [observers.progress]."""

    seconds: float = Field(
        default=5.0, ge=0, description="Time between two lines where standard error is no terminal."
    )
    refresh_seconds: float = Field(
        default=0.2, ge=0, description="Time between two updates of the display on a terminal."
    )


class Progress:
    """A line that is redrawn a few times a second on a terminal; elsewhere a line every few seconds.

    Between two lines a generation costs one look at the clock.
    """

    Settings: ClassVar[type[BaseModel]] = ProgressSettings

    def __init__(self, settings: ProgressSettings, run: RunInfo) -> None:
        self._run = run
        self._on_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._pause = settings.refresh_seconds if self._on_terminal else settings.seconds
        self._next = 0.0
        self._shown = (0, 0.0)  # evaluations and seconds of the last line, for the rate
        self._live: Live | None = None
        self._stop_live: Callable[[], object] = _do_nothing

    @hookimpl
    def tweann_run_started(self, run: RunInfo) -> None:
        """Say what begins."""
        figures = [("", run.name), ("task", run.task.name), ("seed", str(run.seed))]
        if run.run_dir is not None:
            figures.append(("in", str(run.run_dir)))
        _print(figures)
        if self._on_terminal:
            self._start_live()
        else:
            self._next = monotonic() + self._pause

    @hookimpl
    def tweann_generation_finished(self, report: GenerationReport) -> None:
        """Show a generation, if it is time."""
        now = monotonic()
        if now < self._next:
            return
        figures = self._figures(report)
        if self._live is None:
            _print(figures)
        else:
            self._live.update(_styled(figures), refresh=True)
        # Counted from the end of drawing: on a slow terminal the run goes first.
        self._next = monotonic() + self._pause

    @hookimpl
    def tweann_run_finished(self, result: Result) -> None:
        """Clear the display and say how it ended."""
        self._stop_live()
        self._live = None
        _print(
            [
                ("", result.status),
                ("", f"({result.stop_reason})" if result.stop_reason else ""),
                ("after", f"{result.generations:,} generations,"),
                ("", f"{result.n_evaluations:,} evaluations,"),
                ("", f"{result.n_failed:,} failed," if result.n_failed else ""),
                ("", _duration(result.seconds)),
                ("", _rate(result.n_evaluations, result.seconds)),
            ]
        )
        champion = result.champion
        if champion is not None:
            figures = [
                ("champion:", "solved" if champion.solved else ""),
                ("fitness", _number(champion.fitness)),
                ("nodes", str(champion.genome.n_nodes)),
                ("connections", str(champion.genome.n_connections)),
            ]
            metrics = {**champion.metrics, **result.metrics}
            _print(figures + [(name, _number(value)) for name, value in metrics.items()])

    def _start_live(self) -> None:
        # Late: importing rich costs 50 ms, and most runs that nobody watches need none of it.
        from rich.console import Console
        from rich.live import Live

        # rich would send what user code prints to standard error, which matters where somebody reads it.
        self._live = Live(
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._live.start()
        # The cursor is hidden now, and must come back even if nobody says that the run is over.
        self._stop_live = weakref.finalize(self, self._live.stop)

    def _figures(self, report: GenerationReport) -> Figures:
        n_evaluations, seconds = self._shown
        self._shown = report.n_evaluations, report.seconds
        limit = self._run.config.run.generations
        failed = f"{report.n_failed:,}" if report.n_failed else ""
        n_species = report.metrics.get("n_species")
        figures = [
            ("generation", f"{report.generation:,}" + (f"/{limit:,}" if limit else "")),
            ("evaluations", f"{report.n_evaluations:,}"),
            ("best", _number(report.best)),
            ("mean", _number(report.mean)),
            ("champion", _number(report.champion_fitness)),
            ("species", "" if n_species is None else f"{n_species:.0f}"),
            ("size", f"{report.mean_nodes:.1f}+{report.mean_connections:.1f}"),
            ("failed", failed),
            ("", _rate(report.n_evaluations - n_evaluations, report.seconds - seconds)),
            ("", _duration(report.seconds)),
        ]
        return [(label, value) for label, value in figures if value]


def _print(figures: Figures) -> None:
    line = " ".join(part for pair in figures for part in pair if part)
    with contextlib.suppress(OSError):  # it may be a file on a disk that is full
        print(line, file=sys.stderr, flush=True)


def _styled(figures: Figures) -> Text:
    from rich.text import Text

    text = Text()
    for label, value in figures:
        if label:
            text.append(label + " ", style="dim")
        text.append(value + "  ", style="bold" if label == "champion" else "")
    return text


def _number(value: float) -> str:
    return f"{value:.6g}"


def _rate(n: int, seconds: float) -> str:
    return f"{n / seconds:,.0f}/s" if seconds > 0 else ""


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _do_nothing() -> None:
    """Stand in where there is no display to stop."""
