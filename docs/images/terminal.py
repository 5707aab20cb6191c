"""Draws a command and what it prints as an SVG: ``python docs/images/terminal.py OUT.svg COMMAND ...``

The README's picture: ``python docs/images/terminal.py docs/images/demo.svg tweann run
examples/double_pole_no_velocities.toml``
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 100


def draw(out: Path, command: list[str]) -> None:
    """Run a command and write its standard output, after a prompt with the command, to ``out``."""
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text(f"$ {shlex.join(command)}", style="bold green"))
    console.print(Text(printed.rstrip()))
    svg = console.export_svg(title="tweann", unique_id=out.stem)
    # fonts of the viewer's own: nothing is fetched to look at a picture
    out.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2:])
