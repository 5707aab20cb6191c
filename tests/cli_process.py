"""Calls the command line in a process of its own, here or in an environment that a test made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def tweann(
    *arguments: str, python: str | Path = sys.executable, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``tweann`` in ``folder`` and return what came of it."""
    return subprocess.run(
        [str(python), "-m", "tweann", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
