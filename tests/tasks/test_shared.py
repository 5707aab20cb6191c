"""Evaluations that several threads do together."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import numpy as np
import pytest
from task_networks import KEYS, random_linear, slice_of
from task_toys import count, leave_as_it_is, see_counter, shifted_sphere

from tweann.evolution import Evolution, Interrupted
from tweann.network import NetworkSlice
from tweann.tasks import CompiledTask, Evaluations, TaskInfo
from tweann.tasks.arm import Arm
from tweann.tasks.base import Task
from tweann.tasks.shared import SharedEvaluation
from tweann.tasks.single_pole import SinglePole
from tweann.tasks.table import Rows, TableTask
from tweann.tasks.vector import VectorTask

QUIET: dict[str, Any] = {
    "run": {"generations": 3, "stop_when_solved": False},
    "storage": {"url": "memory:"},
    "observers": {},
}


def sphere() -> VectorTask:
    info = TaskInfo("sphere", 1, "vector", inputs=("a", "b"), outputs=("y",))
    return VectorTask(info, shifted_sphere, params=[0.5], solved_at=-2.0)


def with_validation() -> TableTask:
    info = TaskInfo("rows", 1, "table", inputs=("a", "b"), outputs=("y",))
    rng = np.random.default_rng(1)
    parts = [Rows(rng.normal(size=(n, 2)), rng.integers(0, 2, (n, 1))) for n in (40, 30)]
    return TableTask(info, *parts[0], loss="squared", validation=parts[1], solved_share=0.5)


def arm() -> Arm:
    return Arm(Arm.Settings(encoding="network"))


def pole() -> SinglePole:
    return SinglePole(SinglePole.Settings())


def adder(max_steps: int, kind: type[CompiledTask] = CompiledTask) -> CompiledTask:
    """Return a task of that many additions."""
    info = TaskInfo("adder", 1, "compiled", ("count",), ("add",), output_ranges=((-1.0, 1.0),))
    return kind(
        info,
        reset=leave_as_it_is,
        observe=see_counter,
        step=count,
        state_size=3,
        max_steps=max_steps,
        params=[np.inf],
    )


def networks_for(task: Task, n: int = 400) -> NetworkSlice:
    return slice_of(task, *(random_linear(task, seed) for seed in range(n)))


def shared_by(task: Task, networks: NetworkSlice) -> SharedEvaluation:
    shared = task.share(networks, KEYS)
    assert shared is not None
    return shared


@pytest.mark.parametrize("make", [pole, with_validation, sphere, arm])
def test_threads_find_together_what_one_finds_alone(make: Callable[[], Task]) -> None:
    task = make()
    networks = networks_for(task)
    alone = task.evaluate(networks, KEYS)
    shared = shared_by(task, networks)
    threads = [Thread(target=shared.work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = shared.result()
    for name in (
        "fitness",
        "validation",
        "solved",
        "steps",
        "flags",
        "descriptor",
        "n_evaluations",
    ):
        assert getattr(found, name).tobytes() == getattr(alone, name).tobytes(), name
    assert np.unique(found.fitness).size > 10
    assert found.steps.min() > 0


def test_what_is_stopped_leaves_the_rest_alone() -> None:
    task = adder(max_steps=10)
    shared = shared_by(task, networks_for(task))
    shared.stop()
    shared.work()
    assert np.isnan(shared.evaluations.fitness).all()


class Upside(CompiledTask):
    """A task that makes something of what the simulation says."""

    def evaluate(self, networks: NetworkSlice, keys: Any) -> Evaluations:
        found = super().evaluate(networks, keys)
        found.fitness[:] = -1.0 - np.abs(found.fitness)
        return found


def test_a_subclass_with_an_evaluate_of_its_own_is_not_passed_over() -> None:
    task = adder(10, Upside)
    assert task.share(networks_for(task), KEYS) is None
    sections = {"strategy": {"population": 300}, "evaluation": {"workers": 2}}
    with Evolution(QUIET | sections, task=task) as evolution:
        evolution.run()
        assert (evolution.pool.view().fitness <= -1.0).all()


def test_threads_that_share_a_brood_stop_when_the_run_is_interrupted() -> None:
    """All of it would take minutes, a single genome some milliseconds."""
    sections = {"strategy": {"population": 20_000}, "evaluation": {"workers": 2}}
    with Evolution(QUIET | sections, task=adder(2_000_000)) as evolution:
        interrupter = Thread(target=lambda: (time.sleep(1.0), evolution.interrupt()))
        interrupter.start()
        with pytest.raises(Interrupted):
            evolution.step()
        interrupter.join(60)
        began = time.monotonic()
        evolution.close()  # which waits for the threads
        assert time.monotonic() - began < 10.0


def test_a_thread_is_at_work_until_its_last_genome_is_done() -> None:
    task = adder(20_000_000)  # a tenth of a second or more a genome
    shared = shared_by(task, networks_for(task, 40))
    thread = Thread(target=shared.work)
    assert not shared.at_work
    thread.start()
    deadline = time.monotonic() + 30.0
    while not shared.at_work and time.monotonic() < deadline:
        time.sleep(0.001)
    shared.stop()
    assert shared.at_work
    thread.join(30)
    assert not shared.at_work
    assert np.isnan(shared.evaluations.fitness).sum() >= 38
