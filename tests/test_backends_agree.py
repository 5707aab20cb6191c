"""Whoever evaluates, the results are the same to the last bit: over random configurations and kinds of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hostile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tweann.evolution import Evolution
from tweann.interfaces import Backend
from tweann.plugins.processes import ProcessesBackend, ProcessesSettings
from tweann.plugins.serial import SerialBackend
from tweann.plugins.threads import ThreadsBackend
from tweann.tasks.python import PythonTask


@pytest.fixture(scope="module")
def backends() -> Iterator[list[Backend]]:
    """All back-ends, `serial` first; they live for all examples."""
    nothing = SerialBackend.Settings()
    found: list[Backend] = [SerialBackend(nothing, 1)]
    found += [ThreadsBackend(nothing, n) for n in (1, 2, 3)]
    found += [ProcessesBackend(ProcessesSettings(), n) for n in (1, 2)]
    try:
        from tweann.plugins.dask import DaskBackend, DaskSettings
    except ImportError:
        pass
    else:
        found.append(DaskBackend(DaskSettings(), 2))
    yield found
    for backend in found:
        backend.close()


def outcome(sections: dict[str, Any], python: bool, backend: Backend) -> Any:
    task = PythonTask(hostile.raises, 2, 1) if python else None
    with Evolution(sections, task=task) as run:
        run._evaluator._backend = backend
        while not run.finished:
            run.step()
        run._evaluator._backend = None  # it is used again
        view = run.pool.view()
        columns = [
            view[name].tobytes()
            for name in ("id", "fitness", "validation", "descriptor", "species", "steps", "flags")
        ]
        genomes = [view.genome(i).genome_id for i in range(len(view))]
        champion = run.champion and run.champion.data()
        return columns, genomes, champion, run.n_evaluations, run.n_failed, run.reasons


CONFIGURATIONS = st.fixed_dictionaries(
    {
        "task": st.sampled_from(
            ["xor", "parity", "single-pole", "double-pole-no-velocities", "python", "python"]
        ),
        "seed": st.integers(0, 2**63 - 1),
        "population": st.integers(2, 70),
        "generations": st.integers(1, 4),
        "recurrent": st.booleans(),
        "resample": st.booleans(),
        "on_failure": st.sampled_from(["worst", "drop"]),
        "activations": st.sampled_from([["tanh"], ["sin", "relu", "sigmoid"]]),
        "aggregations": st.sampled_from([["sum"], ["max", "product", "sum"]]),
        "initial": st.sampled_from(["full", "none", "partial"]),
    }
)


# The fixture is the same for all examples on purpose.
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CONFIGURATIONS)
def test_all_backends_agree(backends: list[Backend], drawn: dict[str, Any]) -> None:
    python = drawn["task"] == "python"
    sections: dict[str, Any] = {
        "run": {"seed": drawn["seed"], "generations": drawn["generations"]},
        "genome": {k: drawn[k] for k in ("recurrent", "activations", "aggregations", "initial")},
        "mutation": {"add_node_rate": 0.4, "add_connection_rate": 0.6},
        "strategy": {"population": drawn["population"]},
        "evaluation": {"resample": drawn["resample"], "on_failure": drawn["on_failure"]},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    sections["run"]["stop_when_solved"] = False
    if not python:
        sections["task"] = {"name": drawn["task"]}
    expected, *others = (outcome(sections, python, backend) for backend in backends)
    for found in others:
        assert found == expected
