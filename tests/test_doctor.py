"""The doctor: finds what keeps tweann from running, and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tweann import doctor
from tweann.registry import Registry


def by_name(checks: list[doctor.Check]) -> dict[str, doctor.Check]:
    return {check.name: check for check in checks}


def test_here_nothing_fails() -> None:
    checks = by_name(doctor.examine(Registry.load()))
    assert [check for check in checks.values() if check.status == doctor.FAILED] == []
    assert {"python", "numpy", "numba", "pydantic", "cores", "compiler", "plugins"} <= set(checks)
    assert checks["compiler"].status == doctor.OK
    assert "extra" not in " ".join(checks)
    assert "neat-python" not in checks  # of an extra, not needed


def test_a_compiler_that_takes_too_long_is_a_failure() -> None:
    checks = by_name(doctor.examine(Registry.load(), probe_seconds=0.01))
    assert checks["compiler"].status == doctor.FAILED
    assert "within 0.01 s" in checks["compiler"].value


def test_a_compiler_that_is_switched_off_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    checks = by_name(doctor.examine(Registry.load()))
    assert checks["compiler"].status == doctor.WARNING
    assert "NUMBA_DISABLE_JIT=1" in checks["environment"].value


def test_a_compiler_that_cannot_be_imported_is_a_failure_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module of that name in front of the real one is what a broken installation looks like.
    (tmp_path / "numba.py").write_text("raise ImportError('llvmlite is too old')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    checks = by_name(doctor.examine(Registry.load()))
    assert checks["compiler"].status == doctor.FAILED
    assert "llvmlite is too old" in checks["compiler"].value


def test_no_built_in_plugins_is_a_failure() -> None:
    checks = by_name(doctor.examine(Registry.load([]), probe_seconds=0.01))
    assert checks["plugins"].status == doctor.FAILED
    assert "pip install -e ." in checks["plugins"].advice
