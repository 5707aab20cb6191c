"""Where the keys of a TOML text stand: tomllib gives values only, and an error needs a line."""

from __future__ import annotations

import re

from tweann.config.errors import Key

_BARE_OR_QUOTED = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_BARE_OR_QUOTED}(?:\s*\.\s*{_BARE_OR_QUOTED})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED})\s*=")
_PART = re.compile(_BARE_OR_QUOTED)
#: What matters in a value for finding its end: strings (whole, or opened over lines), brackets, comments.
_TOKEN = re.compile(r'''"""|\'\'\'|"(?:[^"\\]|\\.)*"|'[^']*'|[\[\]{}]|\#''')


def key_lines(text: str) -> dict[Key, int]:
    """Return the line, from 1, of each table header and key of a valid TOML text.

    Keys within inline tables and arrays are not looked for: they stand where their value begins. A header
    or key that comes several times (an array of tables) counts where it comes first.
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    closing = ""  # the quotes of a string that goes on over lines
    depth = 0  # of brackets that are open over lines
    for number, line in enumerate(text.split("\n"), start=1):
        start = 0
        if not closing and depth == 0:
            if header := _HEADER.match(line):
                table = _parts(header[1])
                lines.setdefault(table, number)
                continue
            if not (assignment := _ASSIGNMENT.match(line)):
                continue
            key = (*table, *_parts(assignment[1]))
            for n in range(len(table) + 1, len(key) + 1):
                lines.setdefault(key[:n], number)
            start = assignment.end()
        closing, depth = _end_state(line[start:], closing, depth)
    return lines


def line_of(lines: dict[Key, int], key: Key) -> int | None:
    """Return the line of ``key``, or of what encloses it most closely; None: of nothing."""
    for n in range(len(key), 0, -1):
        if key[:n] in lines:
            return lines[key[:n]]
    return None


def _parts(dotted: str) -> Key:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(dotted))


def _end_state(rest: str, closing: str, depth: int) -> tuple[str, int]:
    """Return which string and how many brackets are still open at the end of a line."""
    position = 0
    while position < len(rest):
        if closing:
            end = _closing_quotes(rest, position, closing)
            if end < 0:
                return closing, depth
            position, closing = end, ""
            continue
        token = _TOKEN.search(rest, position)
        if token is None or token[0] == "#":
            break
        position = token.end()
        if token[0] in ('"""', "'''"):
            closing = token[0]
        elif token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
    return closing, depth


def _closing_quotes(rest: str, position: int, closing: str) -> int:
    """Return the position after the closing quotes of a multi-line string, -1 if it goes on."""
    while position < len(rest):
        if closing == '"""' and rest[position] == "\\":
            position += 2
        elif rest.startswith(closing, position):
            position += 3
            # One or two more quotes belong to the string's content.
            while position < len(rest) and rest[position] == closing[0]:
                position += 1
            return position
        else:
            position += 1
    return -1
