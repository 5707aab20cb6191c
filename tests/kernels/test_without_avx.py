"""On processors without AVX: what the compiler makes for them uses no register that they lack."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

# Both variables: the name alone leaves AVX on.
WITHOUT_AVX = {"NUMBA_CPU_NAME": "goldmont-plus", "NUMBA_CPU_FEATURES": ""}

#: Compiles the kernels that Python calls by using them, then looks at their assembly, which has that of all
#: kernels that they call in it.
LOOK_AT_ASSEMBLY = """
import re
from tweann.evolution import Evolution
from tweann.kernels.breed import breed
from tweann.kernels.decode import decoded
from tweann.kernels.distance import first_compatible, found_species
from tweann.kernels.rollout import rollout
from tweann.kernels.table import evaluate_table

for task in ("xor", "single-pole"):
    sections = {
        "run": {"generations": 2},
        "task": {"name": task},
        "strategy": {"population": 4},
        "evaluation": {"backend": "serial"},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    Evolution(sections).run().champion.network()
for kernel in (breed, decoded, first_compatible, found_species, rollout, evaluate_table):
    registers = set(re.findall("%([xyz])mm", "".join(kernel.inspect_asm().values())))
    print(kernel.__name__, *sorted(registers))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX is an extension of x86-64")
def test_no_kernel_uses_avx_where_the_processor_has_none(tmp_path: Path) -> None:
    # A cache of its own: assembly is there only for what the very process compiled.
    environment = {**os.environ, **WITHOUT_AVX, "NUMBA_CACHE_DIR": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-c", LOOK_AT_ASSEMBLY],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    registers = {line.split()[0]: line.split()[1:] for line in finished.stdout.splitlines()}
    assert len(registers) == 6
    assert registers["evaluate_table"] == [
        "x"
    ]  # SSE's alone: there is assembly, and it is vectorised
    assert {name for name, used in registers.items() if {"y", "z"} & set(used)} == set()
