"""Whatever is registered keeps its contract: every built-in strategy, storage, back-end and task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tweann.registry import default_registry
from tweann.testing import BackendContract, StorageContract, StrategyContract, TaskContract

DATA = Path(__file__).parent.parent / "examples" / "data" / "breast_cancer.csv"

#: The contract of each kind, and the attribute that it takes the class in.
CONTRACTS: dict[str, tuple[type[Any], str]] = {
    "strategy": (StrategyContract, "strategy"),
    "storage": (StorageContract, "storage"),
    "backend": (BackendContract, "backend_class"),
    "task": (TaskContract, "task_class"),
}
#: What some need set in their contract class; most need nothing.
ATTRIBUTES: dict[tuple[str, str], dict[str, Any]] = {
    ("strategy", "novelty"): {"settings": {"archive_size": 20}},
    ("task", "external"): {"settings": {"n_inputs": 3, "n_outputs": 2}},
    ("task", "table"): {
        "settings": {"file": DATA, "target": "diagnosis", "kind": "classification"}
    },
    ("task", "double-pole"): {"settings": {"max_steps": 500}},
}


#: What needs more than a class to be tested: these have the contract in a file of their own.
ELSEWHERE = {("storage", "postgres"), ("storage", "postgresql")}


def contract_class(kind: str, name: str) -> type[Any]:
    """Return the contract's class for a registered plugin."""
    contract, attribute = CONTRACTS[kind]
    plugin = default_registry().resolve(kind, name)
    return type(
        f"Test{kind.title()}{''.join(part.title() for part in name.split('-'))}",
        (contract,),
        {attribute: plugin, "__module__": __name__, **ATTRIBUTES.get((kind, name), {})},
    )


def built_in(kind: str) -> list[str]:
    registry = default_registry()
    names = [n for n in registry.names(kind) if registry.find(kind, n).distribution == "tweann"]
    return [name for name in names if (kind, name) not in ELSEWHERE]


for _kind in CONTRACTS:
    for _name in built_in(_kind):
        _class = contract_class(_kind, _name)
        globals()[_class.__name__] = _class


@pytest.mark.parametrize("kind", CONTRACTS)
def test_every_built_in_is_here(kind: str) -> None:
    contract = CONTRACTS[kind][0]
    found = {
        value
        for value in globals().values()
        if isinstance(value, type) and issubclass(value, contract) and value is not contract
    }
    assert len(found) == len(built_in(kind)) >= 1


def test_no_attributes_are_left_of_what_is_gone() -> None:
    assert [key for key in ATTRIBUTES if key[1] not in built_in(key[0])] == []
