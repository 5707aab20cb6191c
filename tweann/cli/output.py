"""How commands print: JSON in one line, tables, and plain text where nobody watches."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from tweann.registry import Registry, default_registry

F = TypeVar("F", bound=Callable[..., Any])


def json_option(function: F) -> F:
    """Give a command the flag ``--json``, as argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")(
        function
    )


def set_option(function: F) -> F:
    """Give a command the repeatable option ``--set``, as argument ``overrides``."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Override a key of the configuration; may come several times.",
    )(function)


def plugin_option(function: F) -> F:
    """Give a command the repeatable option ``--plugin``: it gets the registry, as argument ``registry``."""
    return click.option(
        "--plugin",
        "registry",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.py",
        callback=_registry_with,
        help="Run a one-file plugin and use what it registers; may come several times.",
    )(function)


def _registry_with(
    context: click.Context, parameter: click.Parameter, files: tuple[Path, ...]
) -> Registry:
    del context, parameter
    if not files:
        return default_registry()
    registry = Registry.load()  # its own: the process's is for what is installed
    for file in files:
        registry.register_file(file)
    return registry


def out_option(function: F) -> F:
    """Give a command the option ``--out``: the folder of runs, as argument ``out``."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        show_default=True,
        metavar="DIR",
        help="Folder that runs are kept in.",
    )(function)


def emit_json(data: Any) -> None:
    """Print ``data`` as one line of strict JSON on standard output; NaN and infinities become null."""
    click.echo(json.dumps(strict(data), allow_nan=False, ensure_ascii=False, default=str))


def emit_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: lines and bold heads on a terminal, aligned plain text elsewhere."""
    texts = [[as_text(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _emit_rich(columns, texts)
        return
    widths = [max(len(row[n]) for row in [columns, *texts]) for n in range(len(columns))]
    for row in [columns, *texts]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def emit_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values, one pair a line; values of None are left out."""
    shown = {name: value for name, value in pairs.items() if value is not None}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name.ljust(width)}  {as_text(value)}".rstrip())


def as_text(value: object) -> str:
    """Return a cell's text: floats to six digits, booleans as yes and no, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _emit_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box  # late: only a terminal needs it
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def strict(value: Any) -> Any:
    """Return ``value`` with null for each number that JSON has no word for: NaN and infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value
