"""What of this machine and installation matters to tweann, and what is wrong with it."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final

from tweann.hookspecs import PROJECT
from tweann.registry import Registry

OK: Final = "ok"
WARNING: Final = "warning"  #: tweann runs, but slower or with less than is installed
FAILED: Final = "failed"  #: tweann does not run

#: Compiling one kernel takes about a second, on a slow machine under load perhaps twenty.
PROBE_SECONDS: Final = 120.0

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^;]*?(?:>=\s*([0-9.]+))?[^;]*(;.*)?")
_CPU_FEATURES: Final = ("sse4_2", "avx", "avx2", "fma", "avx512f", "asimd")
_CGROUP_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
#: cgroup v1 says "no limit" by a number of this size.
_NO_LIMIT_BYTES: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, how it stands, and what to do where it is not "ok"."""

    name: str
    status: str
    value: str
    advice: str = ""

    def data(self) -> dict[str, str]:
        """Return the values by name, for ``tweann doctor --json``."""
        return {name: getattr(self, name) for name in self.__slots__}


def examine(registry: Registry, probe_seconds: float = PROBE_SECONDS) -> list[Check]:
    """Return all findings; takes about a second, more where nothing is compiled yet.

    Args:
        registry: whose plugins are looked at.
        probe_seconds: how long the compiler may take for one kernel.
    """
    return [
        Check("python", OK, f"{platform.python_version()} ({sys.executable})"),
        Check("platform", OK, platform.platform()),
        *_packages(),
        *_processor(),
        *_memory(),
        *_compiler(probe_seconds),
        *_plugins(registry),
    ]


def _packages() -> Iterator[Check]:
    try:
        yield Check(PROJECT, OK, version(PROJECT))
    except PackageNotFoundError:
        yield Check(
            PROJECT,
            FAILED,
            "found on the path, not installed",
            "run `pip install -e .` in its folder",
        )
        return
    for line in requires(PROJECT) or []:
        parsed = _REQUIREMENT.fullmatch(line)
        if parsed is None or "extra" in (parsed[3] or ""):
            continue
        name, least = parsed[1], parsed[2] or "0"
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Check(name, FAILED, "not installed", f'run `pip install "{name}>={least}"`')
            continue
        if _numbers(found) < _numbers(least):
            yield Check(name, FAILED, found, f'run `pip install "{name}>={least}"`')
        else:
            yield Check(name, OK, found)


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "2.10.0rc1" gives (2, 10, 0)."""
    leading = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()


def _processor() -> Iterator[Check]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check(
        "cores", OK, f"{usable} usable of {os.cpu_count()}; [evaluation] workers = 0 uses {usable}"
    )
    flags = _cpu_flags()
    if flags:
        shown = ", ".join(name for name in _CPU_FEATURES if name in flags) or "none that matter"
        yield Check("cpu features", OK, shown)
    variables = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    if variables:
        shown = " ".join(f"{name}={value}" for name, value in sorted(variables.items()))
        yield Check("environment", OK, shown)


def _cpu_flags() -> set[str]:
    """Return the processor's features as Linux names them; none on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def _memory() -> Iterator[Check]:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield Check("memory", OK, _mebibytes(total))
    for path in _CGROUP_LIMITS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        limit = int(text) if text.isdigit() else _NO_LIMIT_BYTES
        shown = "none" if limit >= _NO_LIMIT_BYTES else _mebibytes(limit)
        yield Check("memory limit", OK, f"{shown} ({path})")
        return


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.0f} MiB"


def _compiler(seconds: float) -> Iterator[Check]:
    """Compile a kernel in a process of its own, which may die of an instruction that is missing."""
    command = [sys.executable, "-m", "tweann.kernels.probe"]
    try:
        finished = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        yield Check(
            "compiler",
            FAILED,
            f"compiled nothing within {seconds:g} s",
            f"run `{' '.join(command)}` by hand; the machine may be overloaded",
        )
        return
    if finished.returncode != 0:
        yield Check("compiler", FAILED, *_why_it_failed(finished))
        return
    found: dict[str, Any] = json.loads(finished.stdout)
    if not found["compiled"]:
        yield Check(
            "compiler",
            WARNING,
            "switched off: NUMBA_DISABLE_JIT is set",
            "unset it; without compilation a run takes some hundred times as long",
        )
        return
    how = "loaded from the cache" if found["cache_hit"] else "compiled"
    yield Check("compiler", OK, f"a kernel {how} in {found['seconds']:.2f} s for {found['cpu']}")
    if found["cache_writable"]:
        yield Check("compiler cache", OK, found["cache_folder"])
    else:
        yield Check(
            "compiler cache",
            WARNING,
            f"{found['cache_folder']} is not writable: kernels are compiled in every process",
            "set NUMBA_CACHE_DIR to a folder that is",
        )


def _why_it_failed(finished: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """Return what became of the probe, and what to do."""
    if finished.returncode < 0:
        name = signal.Signals(-finished.returncode).name
        advice = (
            "the memory limit is too low" if name == "SIGKILL" else "reinstall numba and llvmlite"
        )
        if name == "SIGILL":
            advice = (
                "this processor lacks an instruction: set NUMBA_CPU_NAME=generic and "
                "NUMBA_CPU_FEATURES= (empty), or install builds of numpy and numba for it"
            )
        return f"died of {name}", advice
    lines = finished.stderr.strip().splitlines()
    return (lines[-1] if lines else f"exit status {finished.returncode}"), "reinstall numba"


def _plugins(registry: Registry) -> Iterator[Check]:
    working = [row for row in registry.plugins() if row.status == OK]
    if any(row.distribution == PROJECT for row in working):
        origins = ", ".join(sorted({row.origin for row in working}))
        yield Check("plugins", OK, f"{len(working)} registered by {origins}")
    else:
        yield Check("plugins", FAILED, "no built-in plugins", "run `pip install -e .` again")
    for row in registry.problems():
        yield Check(
            f"plugin {row.name}",
            WARNING,
            f"{row.origin}: {row.status}",
            f"update or uninstall {row.distribution}; tweann does without it",
        )
