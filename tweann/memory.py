"""How much memory there is for this process (the machine's, or its control group's, whichever is less), and how much it took."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

#: A limit of version 1 that is none: the largest multiple of a page in 63 bits, or near it.
_UNLIMITED: Final = 1 << 60


class Memory(NamedTuple):
    """Bytes. None: not known, as on systems other than Linux."""

    limit: int | None  #: all that this process and its group may ever have
    free: int | None  #: of that, what is not in use, caches that can be dropped counted as free


def available(root: Path = Path("/")) -> Memory:
    """Return how much memory there is.

    Reads ``/proc/meminfo`` and the limits of this process's control group and all above it, of version 1 and 2.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    all_limits = [_machine(root), *_groups(root)]
    return Memory(_least([m.limit for m in all_limits]), _least([m.free for m in all_limits]))


def peak() -> int | None:
    """Return the most bytes that this process has had in memory so far; None: not known, as on systems other than Linux.

    Not what `resource.getrusage` says: that begins with the peak of the process which started this one.
    """
    found = re.search(r"^VmHWM:\s*(\d+) kB", _read(Path("/proc/self/status")), re.MULTILINE)
    return None if found is None else int(found[1]) * 1024


def _least(values: list[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _machine(root: Path) -> Memory:
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE))
    total, free = found.get("MemTotal"), found.get("MemAvailable")
    return Memory(
        None if total is None else int(total) * 1024, None if free is None else int(free) * 1024
    )


def _groups(root: Path) -> Iterator[Memory]:
    """Give the control groups of this process that limit memory, and those above them."""
    base = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            names, folder = ("memory.max", "memory.current", "inactive_file"), base
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            folder = base / "memory"
        else:
            continue
        # In a container the path may be that of the host, and the container's own group is mounted at the top.
        inner = PurePosixPath(path.lstrip("/"))
        for part in (inner, *inner.parents):
            if ".." not in part.parts and (group := _group(folder / part, *names)) is not None:
                yield group


def _group(folder: Path, limit_name: str, usage_name: str, droppable_name: str) -> Memory | None:
    text, usage = _read(folder / limit_name).strip(), _read(folder / usage_name).strip()
    if not text.isdigit() or not usage.isdigit() or int(text) >= _UNLIMITED:
        return None
    found = re.search(rf"^{droppable_name} (\d+)$", _read(folder / "memory.stat"), re.MULTILINE)
    droppable = int(found[1]) if found else 0
    limit = int(text)
    return Memory(limit, max(0, limit - int(usage) + min(droppable, int(usage))))


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
