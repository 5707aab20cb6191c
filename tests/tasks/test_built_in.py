"""What the built-in tasks do beyond what every task must: `tests/test_contracts.py` holds that."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_networks import random_linear, slice_of

import tweann.tasks
from tweann.strategies.descriptors import TASKS_WITH_DESCRIPTOR
from tweann.tasks import EvaluationKeys, Task
from tweann.tasks.registration import tweann_tasks

DATA = Path(__file__).parent.parent.parent / "examples" / "data" / "breast_cancer.csv"
NEEDED: dict[str, dict[str, Any]] = {
    "external": {"n_inputs": 3, "n_outputs": 2},
    "table": {"file": DATA, "target": "diagnosis", "kind": "classification"},
    "double-pole": {"max_steps": 500},
}
TASKS = sorted(tweann_tasks())
EVALUATED = [name for name in TASKS if name != "external"]
#: Where no result counts as solved.
ENDLESS = ("arm", "probabilistic-bandit", "table")


def made(name: str) -> Task:
    module, _, attribute = tweann_tasks()[name].partition(":")
    task_class = getattr(import_module(module), attribute)
    task: Task = task_class(task_class.Settings(**NEEDED.get(name, {})))
    return task


@pytest.mark.parametrize("name", TASKS)
def test_it_says_all_there_is_to_say_of_itself(name: str) -> None:
    task = made(name)
    info = task.info
    assert info.name == name
    assert (type(task).__doc__ or "").strip()
    if name != "external":
        assert len(info.input_ranges) == info.n_inputs
        assert len(info.output_ranges) == info.n_outputs
        assert info.baseline
        assert bool(info.solved) == (name not in ENDLESS)


@pytest.mark.parametrize("name", TASKS)
def test_its_settings_are_described_strict_and_immutable(name: str) -> None:
    module, _, attribute = tweann_tasks()[name].partition(":")
    settings = getattr(import_module(module), attribute).Settings
    assert settings.model_config["extra"] == "forbid"
    assert settings.model_config["frozen"]
    assert all(field.description for field in settings.model_fields.values())
    assert "name" not in settings.model_fields
    settings.model_json_schema()


@pytest.mark.parametrize("name", EVALUATED)
def test_every_random_network_gets_through(name: str) -> None:
    task = made(name)
    found = task.evaluate(
        slice_of(task, *(random_linear(task, s) for s in range(5))), EvaluationKeys(1)
    )
    assert np.isfinite(found.fitness).all()
    assert (found.steps >= 1).all()
    assert found.n_evaluations.tolist() == [1] * 5
    assert found.reasons == {}


def test_strategies_that_need_a_descriptor_name_all_tasks_that_have_one() -> None:
    assert tuple(name for name in TASKS if made(name).info.descriptor) == TASKS_WITH_DESCRIPTOR


def test_all_public_names_are_there() -> None:
    for name in tweann.tasks.__all__:
        assert getattr(tweann.tasks, name) is not None
        assert name in dir(tweann.tasks)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tweann.tasks.nothing


@pytest.mark.parametrize(
    "module", ["tweann.tasks", "tweann.tasks.registration", "tweann.tasks.base"]
)
def test_listing_tasks_loads_no_compiler(module: str) -> None:
    program = f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"numba", "zmq", "pydantic"}
