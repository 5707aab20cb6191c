"""Files from strangers: refused with a reason, or used; never a crash, a hang, or memory without bound."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from tweann import checkpoints
from tweann.errors import FormatError
from tweann.memory import peak
from tweann.stored_run import CHAMPION_JSON, METRICS_FILE, StoredRun

ROOT = Path(__file__).parent.parent


def test_mutated_files_are_refused_with_a_reason_or_used() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "fuzz_files.py"), "--files", "1500", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    refused = [line for line in done.stdout.splitlines() if line.endswith("refused")]
    assert sum(int(line.split()[0]) for line in refused) > 1000


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"a":' * 200_000, b"9" * 6000, b"[]", b"\xff"])
def test_a_champion_that_is_no_table_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / CHAMPION_JSON).write_bytes(text)
    with pytest.raises(FormatError, match="is damaged"):
        StoredRun(tmp_path).champion_data()


def test_metrics_nested_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / METRICS_FILE).write_bytes(b"[" * 200_000 + b"\n")
    with pytest.raises(FormatError, match="is damaged"):
        StoredRun(tmp_path).generations()


def list_of(n: int, entries: bytes) -> bytes:
    return b"\xdd" + n.to_bytes(4, "big") + entries


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (lambda: b"\x91" * 200_000, "StackError|stack"),
        (lambda: list_of(1000, list_of(16_000, b"\x80" * 16_000) * 1000), "more than 1000000"),
        (lambda: list_of(2**32 - 1, b""), "exceeds max_array_len"),
        (
            lambda: msgpack.packb(msgpack.ExtType(1, b"\x0b" + msgpack.packb([8, 2**31, 2**31]))),
            ".",
        ),
        (lambda: msgpack.packb(msgpack.ExtType(2, b"code")), "."),
    ],
)
def test_a_checkpoint_that_would_not_fit_into_memory_is_refused(
    entry: Callable[[], bytes], reason: str
) -> None:
    body = b"\x81\xa1a" + entry()
    good = checkpoints.encode({})
    digest = hashlib.blake2b(body, digest_size=32).digest()  # a stranger can make one that fits
    before, began = peak() or 0, time.monotonic()
    with pytest.raises(FormatError, match=reason):
        checkpoints.decode(good[:-33] + digest + body)
    assert time.monotonic() - began < 10.0
    assert (peak() or 0) - before < 200_000_000
