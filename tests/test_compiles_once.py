"""One compilation, ever: in a second process nothing compiles, not even for a user's own compiled task."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

USERS_TASK = '''
"""A point on a line, as a user would write it."""

from tweann.tasks import CompiledTask, TaskInfo, task_function, task_observe, task_reset, task_score, task_step

@task_function
def moved(x, push):
    return x + 0.1 * push

@task_reset
def reset(state, params, key):
    state[0] = params[0]

@task_observe
def observe(state, params, observation):
    observation[0] = state[0]

@task_step
def step(state, params, action):
    state[0] = moved(state[0], action[0])
    return -abs(state[0]), abs(state[0]) > 2.0

@task_score
def score(state, params, out):
    out[1] = 1.0 if abs(state[0]) < 0.01 else 0.0

TASK = CompiledTask(
    TaskInfo("point", 1, "compiled", ("x",), ("push",), output_ranges=((-1.0, 1.0),)),
    reset=reset, observe=observe, step=step, score=score, state_size=1, max_steps=50, params=[1.0],
)
'''

#: Runs three tasks and says what was compiled on the way: functions, and passes of the compiler of any kind.
SCRIPT = """
import json
from numba.core import event

class Listener(event.Listener):
    def __init__(self):
        self.seen = []
    def on_start(self, event):
        data = event.data or {}
        function = data.get("dispatcher") or data.get("qualname") or data.get("name")
        self.seen.append(str(function))
    def on_end(self, event):
        pass

functions, passes = Listener(), Listener()
event.register("numba:compile", functions)
event.register("numba:run_pass", passes)

import tweann
from tweann.evolution import Evolution
from users_task import TASK

sections = {
    "run": {"generations": 3, "stop_when_solved": False},
    "genome": {"recurrent": True, "aggregations": ["sum", "max"], "column_groups": ["births"]},
    "mutation": {"mode": "all", "add_node_rate": 0.5, "delete_node_rate": 0.1},
    "strategy": {"population": 150},
    "evaluation": {"workers": 2},
    "storage": {"url": "memory:"},
    "observers": {},
}
for name in ("xor", "double-pole-no-velocities"):
    Evolution(sections | {"task": {"name": name}}).run()
result = Evolution(sections, task=TASK).run()
network = result.champion.network()
network.activate([0.5])
network.activate_rows([[0.5], [0.25]])
result.champion.genome.to_dict()

from tweann.kernels import breed, decode, distance, rollout, table, tick
kernels = [breed.breed, decode.decoded, distance.first_compatible, rollout.rollout, table.evaluate_table]
missed = {k.py_func.__name__: sum(k.stats.cache_misses.values()) for k in kernels}
used = {k.py_func.__name__: sum(k.stats.cache_hits.values()) for k in kernels}
print(json.dumps([functions.seen, passes.seen[:20], missed, used, result.champion.genome.genome_id]))
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What two processes say, one after the other: the first may find an empty cache of kernels."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "users_task.py").write_text(USERS_TASK)
    (folder / "script.py").write_text(SCRIPT)
    found = []
    for _ in range(2):
        process = subprocess.run(
            [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stderr
        found.append(json.loads(process.stdout))
    return found


def test_the_first_process_compiles_what_the_user_wrote(processes: list[Any]) -> None:
    """Otherwise the listeners would hear nothing, and the next test could not fail."""
    _, passes, _, _, _ = processes[0]
    assert passes


def test_in_the_second_process_nothing_compiles(processes: list[Any]) -> None:
    functions, passes, missed, used, _ = processes[1]
    assert functions == []
    assert passes == []
    assert set(missed.values()) == {0}
    assert min(used.values()) >= 1


def test_compiled_or_loaded_the_run_is_the_same(processes: list[Any]) -> None:
    assert processes[0][-1] == processes[1][-1]


def test_the_cache_of_a_users_task_lies_beside_it(
    processes: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(tmp_path_factory.getbasetemp())
    assert list(folder.rglob("users_task.step-*.nbi"))
