"""Memory once all caps are reached."""

from __future__ import annotations

from typing import Any

from memory import Sample, grow


def test_resident_memory(benchmark: Any) -> None:
    samples: list[Sample] = []
    benchmark.pedantic(lambda: grow(200, 100, samples.append), rounds=1)
    benchmark.extra_info["megabytes"] = samples[-1].megabytes
    assert samples[-1].generation == 200
