"""Patience with what cannot be written just now: a disk that is full, a database that is away."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from tweann.errors import NotNowError

#: Seconds between two attempts, which double from the first to the longest.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0

T = TypeVar("T")


class Patience:
    """When something that cannot be written just now is tried again, and until when.

    Each time it says on standard error that it waits, that the run pauses for it, and that it goes on.

    Args:
        what: cannot be written.
        seconds: how long it is tried, from the first failure on; 0: a failure is an error at once.
        meanwhile: what happens while it waits.
        loss: what is lost when the time is over, and what to do.

    Attributes:
        waits: whether the last attempt failed.
    """

    def __init__(self, what: str, seconds: float, meanwhile: str, loss: str) -> None:
        self._what, self._seconds = what, seconds
        self._meanwhile, self._loss = meanwhile, loss
        self.waits = self._pauses = False
        self._since = self._next = self._pause = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to try: always, unless an attempt has failed just now."""
        return not self.waits or time.monotonic() >= self._next

    def attempt(self, write: Callable[[], object]) -> bool:
        """Write, if it can be written; return whether it was.

        Raises:
            NotNowError: it could not, for all of the time.
        """
        began = time.monotonic()
        try:
            write()
        except NotNowError as error:
            self.failed(error, time.monotonic() - began)
            return False
        self._succeeded()
        return True

    def insist(self, write: Callable[[], T]) -> T:
        """Write, as soon as it can be written; return what ``write`` does.

        Raises:
            NotNowError: it could not, for all of the time.
        """
        while True:
            try:
                if self.waits:
                    self._say_pause()
                    until = min(self._next, self._since + self._seconds)
                    time.sleep(max(0.0, until - time.monotonic()))
                began = time.monotonic()
                result = write()
            except NotNowError as error:
                self.failed(error, time.monotonic() - began)
            except KeyboardInterrupt:  # somebody who does not want to wait, here or later
                self._seconds = 0.0
                raise
            else:
                self._succeeded()
                return result

    def failed(self, error: NotNowError, took: float = 0.0) -> None:
        """Take note of an attempt that failed, after ``took`` seconds.

        Raises:
            NotNowError: it has failed for all of the time.
        """
        now = time.monotonic()
        if not self.waits:
            self.waits, self._since, self._pause = True, now, _FIRST_PAUSE
            if self._seconds > 0:
                self._say(
                    f"{error}; it is tried again for {self._seconds:g} s (storage.full_seconds), and {self._meanwhile}"
                )
        if self._seconds == 0:
            raise error
        if now - self._since >= self._seconds:
            raise NotNowError(
                f"{error}; it was tried for {self._seconds:g} s (storage.full_seconds): {self._loss}"
            ) from error
        # At most half of the time goes into attempts, however long it takes to see that a database is away.
        self._next = now + max(self._pause, took)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _succeeded(self) -> None:
        if self.waits:
            self.waits = self._pauses = False
            seconds = time.monotonic() - self._since
            self._say(f"{self._what} can be written again, after {seconds:.1f} s")

    def _say_pause(self) -> None:
        if not self._pauses and self._seconds > 0:
            self._pauses = True
            self._say(f"the run pauses until {self._what} can be written")

    @staticmethod
    def _say(message: str) -> None:
        with contextlib.suppress(OSError):  # standard error may be a file on the same disk
            print(f"warning: {message}", file=sys.stderr, flush=True)
