"""Patience with what cannot be written just now, and what counts as that."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tweann.errors import NotNowError, StorageError
from tweann.files import cannot_write
from tweann.patience import Patience


def patience(seconds: float) -> Patience:
    return Patience("the file", seconds, "the run goes on", "it is lost")


def failing(n: int) -> Callable[[], str]:
    """Return what fails so many times, and then gives "written"."""
    left = [n]

    def write() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise NotNowError(f"full, {left[0]}")
        return "written"

    return write


def seconds_until_due(waiting: Patience) -> float:
    began = time.monotonic()
    while not waiting.due:
        assert time.monotonic() - began < 10.0
        time.sleep(0.005)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("number", "waits"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False), (errno.EIO, False)],
)
def test_only_what_room_would_cure_is_waited_for(number: int, waits: bool) -> None:
    error = cannot_write(Path("/somewhere/run"), OSError(number, "why"))
    assert str(error) == "cannot write /somewhere/run: why"
    assert isinstance(error, StorageError)
    assert isinstance(error, NotNowError) == waits


def test_an_attempt_fails_at_once_and_the_next_is_not_due_yet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    waiting, write = patience(60.0), failing(2)
    assert waiting.due
    assert not waiting.attempt(write)
    assert waiting.waits
    assert seconds_until_due(waiting) > 0.04
    assert not waiting.attempt(write)
    assert seconds_until_due(waiting) > 0.09  # twice as long by now
    assert waiting.attempt(write)
    assert waiting.due
    assert not waiting.waits
    first, last = capsys.readouterr().err.splitlines()
    expected = "full, 1; it is tried again for 60 s (storage.full_seconds), and the run goes on"
    assert first == f"warning: {expected}"
    assert re.fullmatch(r"warning: the file can be written again, after \d+\.\d s", last)


def test_insisting_goes_on_until_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = patience(60.0)
    assert waiting.insist(failing(3)) == "written"
    said = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "warning: full",
        "warning: the run pauses until the file can be written",
        "warning: the file can be written again",
    ]
    assert waiting.insist(failing(1)) == "written"
    assert len(capsys.readouterr().err.splitlines()) == 3  # another time is told of anew


def test_when_the_time_is_over_the_error_says_what_is_lost() -> None:
    waiting, began = patience(0.3), time.monotonic()
    with pytest.raises(NotNowError, match=r"^full, \d+; it was tried for 0\.3 s .*: it is lost$"):
        waiting.insist(failing(1000))
    assert 0.3 <= time.monotonic() - began < 10.0
    with pytest.raises(NotNowError, match="it is lost"):
        waiting.attempt(failing(1))


def test_without_patience_it_is_the_error_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for write in (patience(0.0).attempt, patience(0.0).insist):
        with pytest.raises(NotNowError, match=r"^full, 0$"):
            write(failing(1))
    assert capsys.readouterr().err == ""


def test_an_attempt_that_takes_long_is_not_made_more_than_half_of_the_time() -> None:
    def write() -> None:
        time.sleep(0.3)
        raise NotNowError("away")

    waiting = patience(60.0)
    assert not waiting.attempt(write)
    assert seconds_until_due(waiting) > 0.28


def test_a_run_outlives_a_standard_error_that_is_full(tmp_path: Path) -> None:
    code = (
        "import sys, tweann; tweann.run({'task': {'name': 'xor'}, 'run': {'generations': 20}, "
        "'observers': {'progress': {'seconds': 0.0}}}, out=sys.argv[1])"
    )
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    with full.open("w") as stderr:
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], stderr=stderr, check=False, timeout=120
        )
    (folder,) = tmp_path.iterdir()
    assert (folder / "champion.json").exists()
