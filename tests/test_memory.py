"""How much memory there is: the machine's, or a control group's; and how much a process took."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tweann.memory import Memory, available, peak

GIB = 1 << 30


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    meminfo = (
        f"MemTotal:  {8 * GIB // 1024} kB\nMemFree: 1 kB\nMemAvailable: {6 * GIB // 1024} kB\n"
    )
    write(tmp_path, proc__meminfo=meminfo)
    return tmp_path


def test_without_groups_it_is_the_machines(root: Path) -> None:
    assert available(root) == Memory(8 * GIB, 6 * GIB)


def test_nothing_is_known_where_nothing_says(tmp_path: Path) -> None:
    assert available(tmp_path) == Memory(None, None)


def test_version_2_counts_the_tightest_group_above(root: Path) -> None:
    write(root, proc__self__cgroup="0::/user/run\n")
    group = root / "sys/fs/cgroup/user"
    (group / "run").mkdir(parents=True)
    (group / "run/memory.max").write_text("max\n")
    (group / "run/memory.current").write_text("5\n")
    (group / "memory.max").write_text(f"{2 * GIB}\n")
    (group / "memory.current").write_text(f"{GIB}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {GIB // 4}\n")
    assert available(root) == Memory(2 * GIB, GIB + GIB // 4)


def test_version_1_is_read_where_its_memory_controller_is(root: Path) -> None:
    write(root, proc__self__cgroup="5:cpu:/x\n4:blkio,memory:/docker/abc\n0::/\n")
    group = root / "sys/fs/cgroup/memory"  # in a container the host's path is not there
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text(f"{3 * GIB}\n")
    (group / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    (group / "memory.stat").write_text(f"inactive_file 7\ntotal_inactive_file {GIB // 2}\n")
    assert available(root) == Memory(3 * GIB, 2 * GIB + GIB // 2)


@pytest.mark.parametrize("limit", ["9223372036854771712", "nonsense", ""])
def test_a_group_without_a_limit_does_not_count(root: Path, limit: str) -> None:
    write(root, proc__self__cgroup="4:memory:/a\nnonsense\n")
    group = root / "sys/fs/cgroup/memory/a"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text(limit)
    (group / "memory.usage_in_bytes").write_text("1")
    assert available(root) == Memory(8 * GIB, 6 * GIB)


def test_a_path_that_leads_out_is_not_followed(root: Path) -> None:
    write(root, proc__self__cgroup="0::/../../secret\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/secret").mkdir()
    (root / "sys/secret/memory.max").write_text("5")
    (root / "sys/secret/memory.current").write_text("5")
    assert available(root) == Memory(8 * GIB, 6 * GIB)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says")
def test_here_it_is_at_most_what_the_machine_has() -> None:
    found = available()
    assert found.limit is not None
    assert found.free is not None
    assert 0 < found.free <= found.limit <= psutil.virtual_memory().total


def test_the_peak_is_that_of_the_process_and_not_of_who_started_it() -> None:
    if peak() is None:
        pytest.skip("the peak is read from Linux's /proc")
    large = bytearray(300_000_000)
    large[::4096] = b"x" * len(large[::4096])
    code = "from tweann.memory import peak; print(peak())"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    ours, theirs = peak(), int(printed.stdout)
    assert ours is not None
    assert ours > 300_000_000
    assert 1_000_000 < theirs < 200_000_000
    del large
    assert (peak() or 0) > 300_000_000
