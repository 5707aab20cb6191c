"""Every hook is documented with its exact signature, says what it promises, and has a real test."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tweann import hookspecs
from tweann.hookspecs import OBSERVER_HOOKS, PROJECT, REGISTRATION_HOOKS

ROOT = Path(__file__).parent.parent
SPECIFIED = sorted(
    name
    for name, function in vars(hookspecs).items()
    if hasattr(function, f"{PROJECT}_spec") and inspect.isfunction(function)
)


def test_the_tables_of_hooks_are_what_is_specified() -> None:
    assert sorted([*OBSERVER_HOOKS, *REGISTRATION_HOOKS.values()]) == SPECIFIED


@pytest.mark.parametrize("name", SPECIFIED)
def test_a_hook_is_documented_with_its_exact_signature(name: str) -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    signature = str(inspect.signature(getattr(hookspecs, name))).replace("'", "")
    headings = re.findall(rf"^### `({name}\b.*)`$", page, re.MULTILINE)
    assert headings == [f"{name}{signature}"]


def test_no_hook_is_documented_that_does_not_exist() -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"\btweann_[a-z_]+\b", page)) - {"tweann_greedy"}
    assert documented <= set(SPECIFIED)


@pytest.mark.parametrize("name", SPECIFIED)
def test_a_hook_says_when_it_is_called_and_what_an_exception_does(name: str) -> None:
    text = inspect.getdoc(getattr(hookspecs, name)) or ""
    assert "Called " in text
    assert "An exception " in text


@pytest.mark.parametrize("name", SPECIFIED)
def test_a_hook_has_a_plugin_that_implements_it_in_the_tests(name: str) -> None:
    # test_registry and test_observers call every hook of these plugins and look at what comes of it.
    source = (ROOT / "tests/sample_plugins.py").read_text(encoding="utf-8")
    assert re.search(rf"@hookimpl\s+def {name}\(", source)
