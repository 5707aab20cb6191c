"""Run folders: how one is made, filled and found. `tweann.stored_run` reads them.

A folder ``<time>_<name>_s<seed>`` holds ``config.toml`` (resolved: running it again repeats the run),
``environment.json``, ``run.db`` (unless the storage is elsewhere), ``metrics.jsonl``, ``champion.json`` and
``champion.tweann``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tweann.errors import ConfigError, StorageError
from tweann.files import cannot_write, write_atomic
from tweann.stored_run import (
    CHAMPION_FILE,
    CHAMPION_JSON,
    CONFIG_FILE,
    DATABASE_FILE,
    ENVIRONMENT_FILE,
    TIME_FORMAT,
    TIME_LENGTH,
    RunSummary,
    StoredRun,
    without_nan,
)

if TYPE_CHECKING:
    from tweann.records import Champion

#: Instead of a run's name: the one that was started last.
LATEST: Final = "latest"


def create_run_folder(out: Path, name: str, seed: int) -> Path:
    """Make and return a new folder for a run below ``out``, which is made where needed.

    Raises:
        StorageError: it cannot be made.
    """
    time = datetime.now().strftime(TIME_FORMAT)
    base = f"{time}_{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}_s{seed}"
    n = 1
    try:
        out.mkdir(parents=True, exist_ok=True)
        while True:
            folder = out / (base if n == 1 else f"{base}-{n}")
            try:
                folder.mkdir()  # fails if another run of this second has it: no look before, no race
            except FileExistsError:
                n += 1
            else:
                return folder
    except OSError as error:
        raise StorageError(
            f"cannot make a run folder: {error}; choose another with --out"
        ) from error


def write_environment(folder: Path, plugins: Sequence[str] = ()) -> None:
    """Write what the run ran on: software and processor, nothing that names the machine or its user.

    Args:
        folder: of the run.
        plugins: files of one-file plugins, whose content is noted by its hash.

    Raises:
        StorageError: the file cannot be written.
    """
    environment = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "versions": {name: _version(name) for name in ("tweann", "numpy", "numba")},
        "plugins": {Path(file).name: _sha256(Path(file)) for file in plugins},
    }
    write_file(folder / ENVIRONMENT_FILE, _json_bytes(environment))


def write_champion(folder: Path, champion: Champion) -> None:
    """Write the champion: as bytes to load, and as JSON to read.

    Cost: four waits for the disk. A run that improves each millisecond calls this about once a second.

    Raises:
        StorageError: a file cannot be written.
    """
    from tweann.codec import encode  # late: it brings the compiler, and listing runs needs none

    figures = {"generation": champion.generation, **champion.data()}
    readable = {**figures, "genome": champion.genome.to_dict()}
    write_file(folder / CHAMPION_FILE, encode(champion.genome))
    write_file(folder / CHAMPION_JSON, _json_bytes(without_nan(readable)))


def list_runs(out: Path) -> list[RunSummary]:
    """Return the runs below ``out``, the oldest first; none if there is no such folder.

    Raises:
        StorageError: a run's files are there but cannot be read.
        FormatError: a run's files are damaged.
    """
    return [StoredRun(folder).summary for folder in _run_folders(out)]


def open_run(path: str | Path, out: Path) -> StoredRun:
    """Return the run in the folder ``path``, or the one that is called so below ``out``.

    Args:
        path: a folder, a run's name, or "latest".
        out: where runs are.

    Raises:
        ConfigError: there is no such run; the message names similar ones.
    """
    if str(path) == LATEST:
        folders = _run_folders(out)
        if not folders:
            raise ConfigError(
                f"no runs in {out}: `tweann run FILE` makes one; --out says where they are"
            )
        return StoredRun(folders[-1])
    for folder in (Path(path), out / path):
        if _is_run(folder):
            return StoredRun(folder)
    if Path(path).is_dir():
        raise ConfigError(
            f"{path} is no run's folder: it has no {CONFIG_FILE} and no {DATABASE_FILE}"
        )
    names = [folder.name for folder in _run_folders(out)]
    hint = _similar(Path(path).name, names) or f"; there are {len(names)} runs in {out}"
    raise ConfigError(f"no run {str(path)!r}, neither as a folder nor in {out}{hint}")


def _similar(name: str, names: list[str]) -> str:
    """Return "; did you mean …?": the newest three that ``name`` is part of, or the one that is like it."""
    parts = [known for known in reversed(names) if name in known]
    # A high cutoff: the times and seeds in them make all names alike.
    close = parts[:3] or difflib.get_close_matches(name, names, n=1, cutoff=0.8)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _run_folders(out: Path) -> list[Path]:
    """Return the folders of runs below ``out`` by the time when they were started."""
    if not out.is_dir():
        return []
    return sorted((folder for folder in out.iterdir() if _is_run(folder)), key=_start)


def _start(folder: Path) -> tuple[str, int, str]:
    # Within one second the environment tells: it is written once, at the start.
    written = folder / ENVIRONMENT_FILE
    time = written.stat().st_mtime_ns if written.exists() else 0
    return folder.name[:TIME_LENGTH], time, folder.name


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CONFIG_FILE, DATABASE_FILE, CHAMPION_JSON))


def write_file(path: Path, content: bytes) -> None:
    """Write a file of a run, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        write_atomic(path, content)
    except OSError as error:
        raise cannot_write(path, error) from error


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def _cpu() -> str:
    """Return the processor's name; on Linux `platform` knows only its family."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor()


def _sha256(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:  # moved since it was loaded
        return None


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
