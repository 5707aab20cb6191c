"""What goes to another process, and what is believed of what comes back."""

from __future__ import annotations

import random
from dataclasses import fields

import numpy as np
import pytest
import task_toys
from hypothesis import given
from hypothesis import strategies as st
from small_runs import QUIET

from tweann.errors import ConfigError, FormatError, PluginError
from tweann.evolution import Evolution
from tweann.genes import Flag, Genes
from tweann.interfaces import Job
from tweann.network import NetworkSlice
from tweann.remote import (
    CONNECTION_COLUMNS,
    NODE_COLUMNS,
    Assignment,
    evaluate_piece,
    load,
    pack_evaluations,
    pack_piece,
    unpack_evaluations,
    warm_up,
)
from tweann.tasks.base import EvaluationKeys, Evaluations, Task, TaskInfo
from tweann.tasks.compiled import CompiledTask
from tweann.tasks.python import PythonTask

INFO = TaskInfo(
    "t", 1, "python", ("x",), ("y",), descriptor=(("a", 0, 1), ("b", 0, 1)), n_objectives=3
)


def same(left: Evaluations, right: Evaluations) -> None:
    for field in fields(Evaluations):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


def first_job(name: str, task: Task | None = None) -> Job:
    sections = QUIET | {"strategy": {"population": 40}, "genome": {"recurrent": True}}
    run = Evolution(sections if task else sections | {"task": {"name": name}}, task=task)
    for _ in range(3 if task is None else 0):
        run.step()
    networks = run._evaluator.networks(run._breed())
    keys, assignment = EvaluationKeys(3, 4), run._evaluator._assignment
    return Job(0, 40, lambda: run.task.evaluate(networks, keys), networks, keys, assignment)


def counter() -> CompiledTask:
    info = TaskInfo("counter", 1, "compiled", ("x",), ("y",), descriptor=(("d", 0, 1), ("s", 0, 9)))
    return CompiledTask(
        info,
        reset=task_toys.draw,
        observe=task_toys.see_counter,
        step=task_toys.count,
        score=task_toys.report,
        state_size=3,
        max_steps=5,
        params=[1.5],
    )


@pytest.mark.parametrize("name", ["parity", "double-pole", "counter"])
def test_a_piece_gives_elsewhere_what_it_gives_here(name: str) -> None:
    job = first_job(name, counter() if name == "counter" else None)
    assert job.assignment is not None
    there = load(job.assignment.payload)
    assert there.task is not job.assignment.task
    whole = job.evaluate()
    for start, stop in ((0, 40), (7, 19), (39, 40)):
        found = evaluate_piece(there, pack_piece(job, start, stop))
        np.testing.assert_array_equal(found.fitness, whole.fitness[start:stop])
        np.testing.assert_array_equal(found.descriptor, whole.descriptor[start:stop])
        np.testing.assert_array_equal(found.steps, whole.steps[start:stop])


def test_every_column_of_genes_is_cut() -> None:
    others = {"n_nodes", "n_connections", "genome_extra"}
    assert {*NODE_COLUMNS, *CONNECTION_COLUMNS} | others == set(Genes._fields)


def test_a_piece_is_as_small_as_its_genomes() -> None:
    job = first_job("parity")
    assert job.networks is not None
    n = int(job.networks.genes.n_connections[job.networks.blocks[:1]].sum())
    assert len(pack_piece(job, 0, 1)) < 2000 + 100 * n


def test_a_job_of_closures_cannot_be_sent() -> None:
    with pytest.raises(PluginError, match="lacks networks, keys"):
        pack_piece(Job(0, 1, lambda: Evaluations.empty(1, INFO)), 0, 1)


def test_warming_up_calls_no_function_of_the_users() -> None:
    calls = []
    task = PythonTask(lambda network: calls.append(1) or 1.0, 1, 1)
    warm_up(Evolution(QUIET, task=task)._evaluator._assignment)
    warm_up(first_job("xor").assignment or Assignment.__new__(Assignment))
    assert calls == []


def test_what_cannot_be_loaded_there_says_why() -> None:
    assignment = first_job("xor").assignment
    assert assignment is not None
    broken = Assignment(assignment.task, assignment.layout, assignment.scaling, "no.such:Task")
    with pytest.raises(PluginError, match="cannot be loaded in another process: ModuleNotFound"):
        load(broken.payload)


def test_a_compiled_function_travels_by_name_or_not_at_all() -> None:
    from toys import POINT

    task = counter()
    task.simulation = task.simulation._replace(reset=POINT[0])  # not at the top of its module
    with pytest.raises(ConfigError, match=r"task counter cannot be sent .*toys\.reset_point"):
        first_job("counter", task).assignment.payload  # type: ignore[union-attr] # noqa: B018


@given(st.integers(0, 20), st.randoms(use_true_random=False))
def test_evaluations_come_back_as_they_were(n: int, rng: random.Random) -> None:
    found = Evaluations.empty(n, INFO)
    for k in range(n):
        if rng.random() < 0.3:
            found.fail(k, Flag.RAISED, rng.choice(["", "é" * 400, "\ud800", "no"]))
            continue
        found.fitness[k] = found.validation[k] = rng.gauss(0, 1e9)
        found.solved[k] = rng.random() < 0.5
        found.steps[k] = rng.randrange(2**62)
        found.descriptor[k] = rng.random(), -rng.random()
        found.objectives[k] = rng.random()
    back = unpack_evaluations(pack_evaluations(found), n, INFO)
    reasons = {k: reason.replace("\ud800", "?") for k, reason in found.reasons.items()}
    assert back.reasons == reasons
    found.reasons = reasons
    same(back, found)


def test_another_number_of_evaluations_is_refused() -> None:
    data = pack_evaluations(Evaluations.empty(3, INFO))
    for n in (0, 2, 4):
        with pytest.raises(FormatError, match=r"bytes of|max_bin_len"):
            unpack_evaluations(data, n, INFO)
    infinite = Evaluations.empty(1, INFO)
    infinite.fitness[0] = np.inf
    with pytest.raises(FormatError, match="infinite"):
        unpack_evaluations(pack_evaluations(infinite), 1, INFO)


@given(st.data())
def test_nonsense_is_a_format_error_and_nothing_else(data: st.DataObject) -> None:
    good = bytearray(pack_evaluations(Evaluations.empty(3, INFO)))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    for message in (bytes(good), bytes(good[:cut]), data.draw(st.binary(max_size=60))):
        try:
            back = unpack_evaluations(message, 3, INFO)
        except FormatError:
            continue
        assert back.fitness.shape == (3,)
        assert not np.isinf(back.fitness).any()


def test_a_slice_without_connections_can_be_sent() -> None:
    sections = QUIET | {"genome": {"initial": "none"}, "task": {"name": "xor"}}
    run = Evolution(sections)
    networks = run._evaluator.networks(run._breed())
    assert isinstance(networks, NetworkSlice)
    keys, assignment = EvaluationKeys(1), run._evaluator._assignment
    job = Job(0, 5, lambda: run.task.evaluate(networks, keys), networks, keys, assignment)
    found = evaluate_piece(load(assignment.payload), pack_piece(job, 0, 5))
    np.testing.assert_array_equal(found.fitness, job.evaluate().fitness[:5])
