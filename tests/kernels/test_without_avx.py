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

#: Compiles kernels by using them, then prints the name of each whose assembly has a register of AVX.
LOOK_AT_ASSEMBLY = """
import re, sys
import tweann
from tweann.evolution import Evolution

for task in sys.argv[1:]:
    sections = {
        "run": {"generations": 2},
        "task": {"name": task},
        "strategy": {"population": 4},
        "evaluation": {"backend": "serial"},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    Evolution(sections).run()
looked = set()
for name, module in sorted(sys.modules.items()):
    if name.startswith("tweann.kernels."):
        for kernel in vars(module).values():
            for signature in getattr(kernel, "signatures", ()):
                assembly = kernel.inspect_asm(signature)
                if assembly not in looked:
                    looked.add(assembly)
                    if re.search(r"%[yz]mm", assembly):
                        print(kernel.__name__)
assert len(looked) > 20, len(looked)
"""


def kernels_with_avx(cache: Path, environment: dict[str, str], *tasks: str) -> set[str]:
    # A cache of its own: assembly is there only for what this very process compiled.
    inherited = {name: v for name, v in os.environ.items() if name not in WITHOUT_AVX}
    finished = subprocess.run(
        [sys.executable, "-c", LOOK_AT_ASSEMBLY, *tasks],
        env={**inherited, "NUMBA_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.split())


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX is an extension of x86-64")
def test_no_kernel_uses_avx_where_the_processor_has_none(tmp_path: Path) -> None:
    assert kernels_with_avx(tmp_path, WITHOUT_AVX, "xor", "single-pole") == set()
