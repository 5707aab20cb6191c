"""The registry with real distributions: what is found, what is broken, and whom the error names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sample_plugins
from distributions import install, registration

from tweann import hookimpl
from tweann.errors import MissingExtraError, PluginError
from tweann.registry import KINDS, Registry

STRATEGY_SOURCE = """
from pydantic import BaseModel
class Greedy:
    class Settings(BaseModel):
        population: int = 3
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path; modules that a test imports from it are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def status_of(registry: Registry, name: str) -> str:
    return next(row.status for row in registry.plugins() if row.name == name)


def test_built_ins_come_from_the_distribution_tweann() -> None:
    registry = Registry.load()
    for kind, name in (
        ("strategy", "generational"),
        ("task", "xor"),
        ("backend", "threads"),
        ("storage", "sqlite"),
        ("observer", "progress"),
        ("command", "run"),
    ):
        assert registry.find(kind, name).distribution == "tweann"


def test_a_plugin_is_listed_without_and_resolved_with_an_import(site: Path) -> None:
    install(
        site,
        "greedy-evolution",
        "2.1",
        entry_points={"greedy": "greedy_registration"},
        modules={
            "greedy_registration": registration(
                tweann_strategies="{'greedy': 'greedy_code:Greedy'}"
            ),
            "greedy_code": STRATEGY_SOURCE,
        },
    )
    registry = Registry.load()
    row = registry.find("strategy", "greedy")
    assert (row.distribution, row.version, row.status) == ("greedy-evolution", "2.1", "ok")
    assert "greedy" in registry.names("strategy")
    assert "greedy_code" not in sys.modules
    assert registry.resolve("strategy", "greedy").__name__ == "Greedy"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("1/0", "ZeroDivisionError: division by zero"),
        ("x = 1", "implements no hook"),
        (
            registration(tweann_stratgies="{}"),
            "there is no hook 'tweann_stratgies'; did you mean 'tweann_strategies'?",
        ),
        (
            registration(tweann_run_started="{}"),
            "never be called here: it goes into an observer class",
        ),
        (registration(tweann_tasks="['a']"), 'must return {name: "module:attribute"}, came list'),
        (registration(tweann_tasks="{'a': 'no_colon'}"), "came 'no_colon'"),
        (registration(tweann_tasks="{'a b': 'm:C'}"), "'a b' is no name"),
        (registration(tweann_tasks="1/0"), "tweann_tasks raised ZeroDivisionError"),
    ],
)
def test_a_broken_plugin_is_recorded_with_its_distribution_and_hurts_nobody(
    site: Path, source: str, reason: str
) -> None:
    install(
        site, "rotten", entry_points={"broken": "rotten_module"}, modules={"rotten_module": source}
    )
    install(
        site,
        "sound",
        entry_points={"sound": "sound_module"},
        modules={"sound_module": registration(tweann_tasks="{'sound-task': 'nowhere:Sound'}")},
    )
    registry = Registry.load()
    (problem,) = registry.problems()
    assert (problem.name, problem.distribution, problem.version) == ("broken", "rotten", "1.0")
    assert reason in problem.status
    assert {"xor", "sound-task"} <= set(registry.names("task"))
    with pytest.raises(PluginError, match=r"could not be loaded: broken of rotten 1\.0"):
        registry.resolve("task", "rotten-task")


def test_two_plugins_with_one_name_are_an_error_that_names_both(site: Path) -> None:
    for letter in "ab":
        install(
            site,
            f"dist-{letter}",
            entry_points={f"entry-{letter}": f"clash_{letter}"},
            modules={f"clash_{letter}": registration(tweann_tasks="{'twin': 'm:C', 'xor': 'm:C'}")},
        )
    registry = Registry.load()
    with pytest.raises(
        PluginError, match=r"task 'twin' is registered by dist-a 1\.0 and dist-b 1\.0"
    ):
        registry.resolve("task", "twin")
    with pytest.raises(PluginError, match=r"dist-a 1\.0 and dist-b 1\.0") as caught:
        registry.resolve("task", "xor")
    assert "tweann" in str(caught.value)
    assert not {"twin", "xor"} & set(registry.names("task"))
    assert "parity" in registry.names("task")
    assert [row.name for row in registry.problems()] == ["twin"] * 2 + ["xor"] * 3


def test_one_entry_point_name_in_two_distributions_loads_neither_and_names_both(site: Path) -> None:
    for letter in "ab":
        install(
            site,
            f"dist-{letter}",
            entry_points={"same": f"same_{letter}"},
            modules={f"same_{letter}": registration(tweann_tasks=f"{{'task-{letter}': 'm:C'}}")},
        )
    registry = Registry.load()
    assert not {"task-a", "task-b"} & set(registry.names("task"))
    for problem in registry.problems():
        assert "'same' is registered by dist-" in problem.status
        assert "dist-a 1.0" in problem.status
        assert "dist-b 1.0" in problem.status
    assert len(registry.problems()) == 2


def test_an_activation_may_not_take_the_name_of_a_built_in_one() -> None:
    registry = Registry()
    module = SimpleNamespace(tweann_activations=hookimpl(_mapping("tweann_activations", "tanh")))
    registry.register_module(module, name="mine", distribution="mine")
    with pytest.raises(PluginError, match="'tanh' of mine has the name of a built-in one"):
        registry.resolve("activation", "tanh")


def _mapping(hook: str, name: str) -> Any:
    def function() -> dict[str, str]:
        return {name: "module:attribute"}

    function.__name__ = hook
    return function


def test_every_kind_is_registered_and_resolved() -> None:
    registry = Registry()
    registry.register_module(sample_plugins)
    names = {kind: registry.names(kind) for kind in KINDS}
    assert names == {
        "strategy": ("still",),
        "storage": ("ledger",),
        "backend": ("lane",),
        "task": ("greedy", "grow", "toy"),
        "activation": ("steep",),
        "exchange": ("ferry",),
        "observer": ("deaf", "diary", "misplaced", "misspelt", "other-diary", "sleeper"),
        "command": ("greet",),
    }
    for kind in KINDS:
        target = registry.find(kind, names[kind][0]).target
        expected = getattr(sample_plugins, target.partition(":")[2])
        assert registry.resolve(kind, names[kind][0]) is expected


def test_a_registration_that_fails_leaves_nothing_behind() -> None:
    registry = Registry()
    bad = SimpleNamespace(
        tweann_tasks=hookimpl(_mapping("tweann_tasks", "fine")),
        tweann_storages=hookimpl(_mapping("tweann_storages", "not fine")),
    )
    with pytest.raises(PluginError, match="'not fine' is no name"):
        registry.register_module(bad, name="again")
    assert registry.plugins() == []
    del bad.tweann_storages
    registry.register_module(bad, name="again")
    assert registry.names("task") == ("fine",)
    with pytest.raises(PluginError, match="'again' is registered already"):
        registry.register_module(SimpleNamespace(), name="again")
    assert registry.names("task") == ("fine",)


def test_wrappers_defaults_and_unknown_arguments_are_refused() -> None:
    @hookimpl(wrapper=True)
    def wrapping() -> Any:
        return (yield)

    @hookimpl
    def with_default(limit: int = 3) -> dict[str, str]:
        return {}

    @hookimpl
    def with_unknown(limit: int) -> dict[str, str]:
        return {}

    for function, message in (
        (wrapping, "is a wrapper"),
        (with_default, "limit"),
        (with_unknown, "limit"),
    ):
        registry = Registry()
        with pytest.raises(PluginError, match=message):
            registry.register_module(SimpleNamespace(tweann_tasks=function), name="odd")
        registry.register_module(sample_plugins, name="odd")  # nothing of the odd one is left


def test_without_any_built_ins_the_error_says_how_to_install() -> None:
    with pytest.raises(PluginError, match=r"run `pip install -e \.`"):
        Registry.load([]).resolve("strategy", "generational")


def test_an_unknown_name_or_kind_gets_a_suggestion() -> None:
    registry = Registry.load()
    with pytest.raises(PluginError, match="did you mean 'generational'"):
        registry.resolve("strategy", "generatoinal")
    with pytest.raises(PluginError, match="unknown kind of plugin 'strategies'; did you mean"):
        registry.resolve("strategies", "generational")


def test_a_target_that_cannot_be_imported_names_its_distribution(site: Path) -> None:
    targets = "{'gone': 'gone_module:C', 'lacking': 'half:Lacking', 'bare': 'half:Bare'}"
    half = "class Bare: pass"
    install(
        site,
        "half-done",
        entry_points={"half-done": "half_registration"},
        modules={"half_registration": registration(tweann_tasks=targets), "half": half},
    )
    registry = Registry.load()
    for name, message in (
        ("gone", r"task 'gone' of half-done 1\.0 cannot be loaded .*No module named 'gone_module'"),
        ("lacking", r"'lacking' of half-done 1\.0 cannot be loaded .*has no attribute 'Lacking'"),
        ("bare", r"'bare' of half-done 1\.0 must have a class attribute Settings"),
    ):
        with pytest.raises(PluginError, match=message):
            registry.resolve("task", name)
    assert registry.problems() == []


def test_a_missing_extra_keeps_its_own_message(site: Path) -> None:
    source = (
        "from tweann.errors import MissingExtraError\n"
        "raise MissingExtraError('plots need matplotlib: pip install tweann[plot]')\n"
    )
    install(
        site,
        "plots",
        entry_points={"plots": "plots_registration"},
        modules={
            "plots_registration": registration(tweann_commands="{'plot': 'plots_code:plot'}"),
            "plots_code": source,
        },
    )
    with pytest.raises(MissingExtraError, match=r"pip install tweann\[plot\]"):
        Registry.load().resolve("command", "plot")
