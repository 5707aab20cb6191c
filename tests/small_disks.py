"""A file system that is small enough to be filled, for tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount a file system of 16 MB, as much as SQLite writes ahead at most; where that is not allowed, the test is skipped."""
    folder = place / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError as error:
        pytest.skip(f"a small file system cannot be mounted: {error}")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted, which takes root: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    with closing(os.fdopen(file, "wb", buffering=0)) as stream, suppress(OSError):
        while True:
            stream.write(bytes(1024))


def make_room(disk: Path, ballast: Path) -> None:
    """Let the disk be large enough for whatever is to come."""
    ballast.unlink()
    command = ["mount", "-o", "remount,size=128m", str(disk)]
    subprocess.run(command, check=True, timeout=30)
