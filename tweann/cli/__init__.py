"""The command line: ``tweann COMMAND``. Importing it costs nothing; `main` loads what it needs."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0: done; 2: a bad configuration, or wrong usage; 3: the run failed; 130: interrupted.

    Args:
        arguments: without the program's name; by default those of the process.
    """
    from tweann.cli.program import invoke

    return invoke(arguments)
