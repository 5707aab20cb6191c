"""What a worker process does: load a task, evaluate pieces, say what came of them."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import socket
import sys
import time
import traceback
from typing import Any, Final, Never

import msgpack
import numpy as np

from tweann.kernels._jit import is_cached
from tweann.kernels.decode import decoded
from tweann.kernels.rollout import Scaling, rollout
from tweann.kernels.table import evaluate_table
from tweann.layout import Layout
from tweann.plugins.frames import FrameReader, send
from tweann.remote import Assignment, evaluate_piece, load, pack_evaluations, warm_up
from tweann.seed import seed_network
from tweann.tasks.base import Task, output_scaling
from tweann.tasks.parity import Xor
from tweann.tasks.single_pole import SinglePole

#: What the run may send is the run's affair.
_LIMIT: Final = 1 << 40

#: Whether this process is a worker: who starts a run here has a script without its guard.
is_worker = False


def prepare() -> None:
    """Load what most tasks need, once for all workers to be forked; what was never compiled is left to them."""
    layout = Layout(1, 1)
    networks = seed_network(layout, np.arange(1), "tanh").as_slice(
        layout, Scaling(*(np.ones(1) for _ in range(4)))
    )
    if is_cached(decoded):
        networks[0].activate([0.0])
    tasks: list[Task] = []
    if is_cached(rollout):
        tasks.append(SinglePole(SinglePole.Settings()))
    if is_cached(evaluate_table):
        tasks.append(Xor(Xor.Settings()))
    for task in tasks:
        warm_up(Assignment(task, Layout(task.info.n_inputs, 1), output_scaling(task.info, "tanh")))


def work(run: socket.socket) -> Never:
    """Do what the run asks until it closes the socket."""
    global is_worker
    is_worker = True
    status = 1
    try:
        _serve(run)
        status = 0
    except (EOFError, OSError):
        status = 0  # the run has closed the socket, or is gone
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)  # not the server's way out, which a fork of it would take


def _serve(run: socket.socket) -> None:
    reader, assignment = FrameReader(), None
    while True:
        kind, content = pickle.loads(reader.wait(run, _LIMIT))
        if kind == "load":
            answer, assignment = _load(*content)
        elif kind == "evaluate" and assignment is not None:
            answer = _evaluate(assignment, content)
        else:
            return
        send(run, msgpack.packb(answer))


def _load(payload: bytes, max_bytes: int | None) -> tuple[dict[str, Any], Assignment | None]:
    if max_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))
    try:
        assignment = load(payload)
        warm_up(assignment)
    except BaseException as error:
        return {"status": "error", "reason": str(error)}, None
    return {"status": "loaded"}, assignment


def _evaluate(assignment: Assignment, piece: bytes) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        found = evaluate_piece(assignment, piece)
    except MemoryError:
        return {"status": "failed", "reason": "out of memory"}
    except Exception:
        return {"status": "error", "reason": traceback.format_exc()[-2000:]}
    except BaseException as error:  # SystemExit: user code must not end the worker
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}".rstrip(": ")}
    seconds = time.perf_counter() - began
    return {"status": "done", "seconds": seconds, "evaluations": pack_evaluations(found)}
