"""What may import what, what an import costs, and that the installation matches the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import tweann

ROOT = Path(__file__).parent.parent
FOLDERS = {"tweann": "tweann", "strategies": "tweann.strategies", "plugins": "tweann.plugins"}
FOLDERS["bridge"] = "tweann.bridge"
PLUGIN_PACKAGES = ("tweann.strategies", "tweann.plugins", "tweann.bridge")

#: The floor of each module or package; the longest name that fits counts. Lower never imports higher.
FLOORS = {
    "tweann.errors": 0,
    "tweann.genes": 0,
    "tweann.files": 0,
    "tweann.memory": 0,
    "tweann.patience": 0,
    "tweann.workers": 0,
    "tweann.topologies": 0,
    "tweann.cma": 0,
    "tweann.kernels": 1,
    "tweann.layout": 2,
    "tweann.packing": 2,
    "tweann.rows": 2,
    "tweann.columns": 2,
    "tweann.description": 2,
    "tweann.rules": 2,
    "tweann.seed": 2,
    "tweann.pool": 2,
    "tweann.genome": 2,
    "tweann.codec": 2,
    "tweann.network": 2,
    "tweann.learner": 2,
    "tweann.tasks": 3,
    "tweann.species": 3,
    "tweann.migration": 3,
    "tweann.hookspecs": 4,
    "tweann.interfaces": 4,
    "tweann.lineage": 4,
    "tweann.populations": 4,
    "tweann.records": 4,
    "tweann.registry": 4,
    "tweann.config": 4,
    "tweann.observers": 4,
    "tweann.controls": 4,
    "tweann.remote": 4,
    "tweann.chunks": 4,
    "tweann.tasks.registration": 4,
    "tweann.adaptation": 5,
    "tweann.phases": 5,
    "tweann.tuning": 5,
    "tweann.inheritance": 5,
    "tweann.polishing": 5,
    "tweann.ancestry": 5,
    "tweann.archived": 5,
    "tweann.ceiling": 5,
    "tweann.assembly": 5,
    "tweann.breeding": 5,
    "tweann.controlling": 5,
    "tweann.champions": 5,
    "tweann.copying": 5,
    "tweann.checkpoints": 5,
    "tweann.evaluating": 5,
    "tweann.matches": 5,
    "tweann.rehearsal": 5,
    "tweann.evolution": 5,
    "tweann.recording": 5,
    "tweann.stored_run": 5,
    "tweann.runs": 5,
    "tweann.replay": 5,
    "tweann.running": 5,
    "tweann.doctor": 6,
    "tweann.cli": 6,
    "tweann.testing": 6,
    "tweann.__main__": 6,
    "tweann": 7,  # the façade: gathers names of all floors
}
#: A plugin stands on floor 4: it sees everything up to there, and its own package.
PLUGIN_FLOOR = 4


def sources() -> dict[str, Path]:
    """Every module of the project, by its public name."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            found[name] = path
    return found


def imports(path: Path, known: set[str]) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, also for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def floor(name: str) -> int:
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        prefix = ".".join(parts[:n])
        if prefix in PLUGIN_PACKAGES:
            return PLUGIN_FLOOR
        if prefix in FLOORS and (n > 1 or len(parts) == 1):
            return FLOORS[prefix]
    raise AssertionError(f"{name} stands on no floor: add it to FLOORS")


def test_lower_floors_never_import_higher_ones() -> None:
    modules = sources()
    wrong = [
        f"{name} (floor {floor(name)}) imports {imported} ({floor(imported)})"
        for name, path in modules.items()
        if name != "tweann"
        for imported in imports(path, set(modules))
        if imported.split(".")[0] == "tweann" and floor(imported) > floor(name)
    ]
    assert wrong == []


def test_the_core_imports_nothing_that_plugs_into_it() -> None:
    modules = sources()
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules.items()
        for imported in imports(path, set(modules))
        if imported.startswith(PLUGIN_PACKAGES) and not name.startswith(PLUGIN_PACKAGES)
    ]
    assert wrong == []


def test_only_one_module_imports_numba() -> None:
    modules = sources()
    importers = [
        name
        for name, path in modules.items()
        if any(imported.split(".")[0] == "numba" for imported in imports(path, set(modules)))
    ]
    assert importers == ["tweann.kernels._jit"]


def test_kernels_import_only_kernels_and_the_floor_below() -> None:
    modules = sources()
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules.items()
        if name.startswith("tweann.kernels")
        for imported in imports(path, set(modules))
        if imported.startswith("tweann") and floor(imported) > FLOORS["tweann.kernels"]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "statement",
    [
        "import tweann; dir(tweann); tweann.__version__",
        "from tweann import hookimpl",
        "import tweann.records",
        "from tweann.registry import Registry; assert Registry.load().problems() == []",
        "from tweann.cli import main; main(['--help'])",
        "from tweann.cli import main; main(['--version'])",
        "from tweann.cli import main; main(['run', '--help'])",
        "from tweann.cli import main; main(['plugins'])",
    ],
)
def test_light_things_load_neither_numba_nor_zmq_nor_pydantic(statement: str) -> None:
    check = (
        f"import sys; {statement}; "
        "heavy = {'numba', 'numpy', 'zmq', 'pydantic', 'llvmlite', 'rich'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", check], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("name", [name for name in tweann.__all__ if name != "__version__"])
def test_every_name_of_the_facade_is_what_its_home_has(name: str) -> None:
    module, attribute = tweann._HOMES[name]
    assert getattr(tweann, name) is getattr(import_module(module), attribute)


def test_the_facade_knows_what_it_exports() -> None:
    assert set(tweann.__all__) == {*tweann._HOMES, "__version__"}
    assert set(tweann.__all__) <= set(dir(tweann))
    with pytest.raises(AttributeError, match="no attribute 'evolv'"):
        _ = tweann.evolv
    assert tweann.__version__ == project()["project"]["version"]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_package_list_matches_the_folders() -> None:
    folders = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sorted(project()["tool"]["setuptools"]["packages"]) == sorted(folders)


def test_every_package_has_an_init() -> None:
    # Without one it would be a namespace package, which an editable install treats differently.
    modules = sources()
    for name, path in modules.items():
        assert (path.parent / "__init__.py").exists(), (
            f"{name} lies in a folder without __init__.py"
        )


def test_installed_entry_points_match_pyproject() -> None:
    written = project()["project"]
    entry_points = distribution("tweann").entry_points
    for group, table in (
        ("tweann", written["entry-points"]["tweann"]),
        ("console_scripts", written["scripts"]),
    ):
        installed = {point.name: point.value for point in entry_points.select(group=group)}
        assert installed == table, (
            "run `pip install -e .` again: entry points are written at install"
        )


def test_built_in_entry_points_name_light_modules() -> None:
    for point in distribution("tweann").entry_points.select(group="tweann"):
        source = sources()[point.value]
        imported = set(imports(source, set(sources())))
        assert imported <= {"__future__", "collections.abc", "tweann.hookspecs"}, point


def test_nobody_imports_a_mapped_folder_by_its_own_name() -> None:
    pattern = re.compile(r"^\s*(?:from|import) (?:strategies|plugins|bridge)\b", re.MULTILINE)
    paths = [*sources().values(), *(ROOT / "tests").rglob("*.py")]
    assert [path for path in paths if pattern.search(path.read_text(encoding="utf-8"))] == []
