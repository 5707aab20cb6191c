"""What holds for every built-in task: whatever is registered is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_networks import random_linear, slice_of

import tweann.tasks
from tweann.genes import ACTIVATIONS
from tweann.strategies.descriptors import TASKS_WITH_DESCRIPTOR
from tweann.tasks import EvaluationKeys, Evaluations, Task
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
ENDLESS = ("arm", "table")


def made(name: str) -> Task:
    module, _, attribute = tweann_tasks()[name].partition(":")
    task_class = getattr(import_module(module), attribute)
    task: Task = task_class(task_class.Settings(**NEEDED.get(name, {})))
    return task


def columns(evaluations: Evaluations) -> list[Any]:
    return [
        np.asarray(getattr(evaluations, name)).tolist()
        for name in ("fitness", "solved", "steps", "flags", "n_evaluations", "validation")
    ]


@pytest.mark.parametrize("name", TASKS)
def test_it_says_all_there_is_to_say_of_itself(name: str) -> None:
    task = made(name)
    info = task.info
    assert info.name == name
    assert info.version >= 1
    assert info.output_activation in ACTIVATIONS
    assert info.n_outputs >= 1
    assert len(set(info.inputs)) == info.n_inputs
    assert min(info.ticks, info.episodes) >= 1
    assert info.dt > 0.0
    assert (type(task).__doc__ or "").strip()
    if name != "external":
        assert len(info.input_ranges) == info.n_inputs
        assert len(info.output_ranges) == info.n_outputs
        assert all(low <= high for low, high in info.input_ranges + info.output_ranges)
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
def test_a_result_depends_neither_on_the_slice_nor_on_the_thread(name: str) -> None:
    task, keys = made(name), EvaluationKeys(3)
    genomes = [random_linear(task, seed) for seed in range(12)]
    together = columns(task.evaluate(slice_of(task, *genomes), keys))
    one_by_one = [columns(task.evaluate(slice_of(task, genome), keys)) for genome in genomes]
    assert together == [
        [entry for single in column for entry in single] for column in zip(*one_by_one, strict=True)
    ]
    with ThreadPoolExecutor(4) as threads:
        found = list(
            threads.map(lambda _: columns(task.evaluate(slice_of(task, *genomes), keys)), range(8))
        )
    assert found == [together] * 8


@pytest.mark.parametrize("name", EVALUATED)
def test_every_evaluation_is_complete(name: str) -> None:
    task = made(name)
    found = task.evaluate(
        slice_of(task, *(random_linear(task, s) for s in range(5))), EvaluationKeys(1)
    )
    assert np.isfinite(found.fitness).all()
    assert np.isfinite(found.validation).all()
    assert (found.steps >= 1).all()
    assert found.n_evaluations.tolist() == [1] * 5
    assert found.reasons == {}


def test_strategies_that_need_a_descriptor_name_all_tasks_that_have_one() -> None:
    assert tuple(name for name in TASKS if made(name).info.descriptor) == TASKS_WITH_DESCRIPTOR


@pytest.mark.parametrize("name", EVALUATED)
def test_an_empty_slice_gives_empty_columns(name: str) -> None:
    task = made(name)
    some = slice_of(task, random_linear(task, 1))
    none = type(some)(some.genes, some.blocks[:0], some.layout, some.scaling)
    assert columns(task.evaluate(none, EvaluationKeys(1))) == [[]] * 6


@pytest.mark.parametrize("name", EVALUATED)
def test_figures_on_a_champion_are_finite_numbers(name: str) -> None:
    task = made(name)
    found = task.metrics(slice_of(task, random_linear(task, 1)))
    assert all(type(value) is float and np.isfinite(value) for value in found.values())


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
