"""Simulations and whole runs, compared with neat-python's and with the machine."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

import neat
import neat_side
import numpy as np
from networks import FIFTY, ForwardPasses, Size, random_genome, slice_of, with_activation
from numpy.random import Generator
from peers_common import KEYS, Bench, Disagreement
from stopwatch import KERNELS, Stopwatch
from timing import Row, Side, interleave, readable

from tweann.evolution import Evolution
from tweann.genome import Genome
from tweann.interfaces import Job
from tweann.kernels.random import next_uniform
from tweann.network import NetworkSlice
from tweann.plugins.threads import ThreadsBackend
from tweann.tasks.base import Evaluations
from tweann.tasks.single_pole import MAX_STEPS, SinglePole

# -------------------------------------------------------------------- CartPole


def episode_starts(task: SinglePole) -> list[list[float]]:
    """Return where the task's episodes begin: the same numbers for neat-python's side."""
    starts = []
    for key in KEYS.episodes(task.info.episodes):
        stream = np.array([key])
        starts.append([0.05 * (2.0 * next_uniform(stream) - 1.0) for _ in range(4)])
    return starts


def evaluate_on(backend: ThreadsBackend, task: SinglePole, networks: NetworkSlice) -> int:
    """Decode and evaluate on a back-end, as a run does: all threads share the work; return the steps."""
    shared = task.share(networks, KEYS)
    assert shared is not None

    def work() -> Evaluations:
        shared.work()
        return shared.evaluations

    for _ in range(backend.capacity):
        backend.submit(Job(0, len(networks), work))
    done = 0
    while done < backend.capacity:
        for finished in backend.collect():
            if finished.evaluations is None:
                raise finished.error or RuntimeError("a job was lost")
            done += 1
    return int(shared.result().steps.sum())


@contextmanager
def evaluated_by_two_processes(
    task: SinglePole, networks: NetworkSlice, times: int
) -> Iterator[Callable[[], None]]:
    """Give a function that evaluates in two processes which share nothing, half of the work each, ``times`` times.

    What the machine's second core brings at most: nothing is handed over but a byte each way. The networks are divided
    where half of the steps are done: with half of the networks each, the slower half would be measured.
    """

    def work(pipe: Connection, start: int, stop: int) -> None:
        blocks = networks.blocks[start:stop]
        part = NetworkSlice(networks.genes, blocks, networks.layout, networks.scaling)
        while pipe.recv():
            for _ in range(times):
                task.evaluate(part, KEYS)
            pipe.send(True)

    # like neat-python's they are forked, so that kernels are there: before there are threads
    context, n = multiprocessing.get_context("fork"), len(networks)
    steps = np.cumsum(task.evaluate(networks, KEYS).steps)
    half = int(np.searchsorted(steps, steps[-1] / 2))
    pipes, processes = [], []
    for start, stop in ((0, half), (half, n)):
        mine, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, start, stop), daemon=True)
        process.start()
        pipes.append(mine)
        processes.append(process)

    def evaluate() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    try:
        yield evaluate
    finally:
        for pipe in pipes:
            pipe.send(False)
        for process in processes:
            process.join(10)


def lasting(rng: Generator, task: SinglePole, n: int) -> list[Genome]:
    """Return the ``n`` that last longest of three times as many random controllers.

    Long episodes are neat-python's advantage: the share of its slow decoding is smaller.
    """
    made = [random_genome(rng, Size(4, 3, 4, 4, 1)) for _ in range(3 * n)]
    steps = task.evaluate(slice_of(made), KEYS).steps
    best = np.argsort(-steps, kind="stable")[:n]
    return [made[i] for i in np.sort(best)]  # as they were made, not the longest first


def cart_pole(bench: Bench) -> Iterator[Row]:
    """A population of controllers with 4 hidden nodes, decoding included; and what a second thread brings."""
    n = bench.scale.population
    task = SinglePole(SinglePole.Settings(episodes=2))
    starts = episode_starts(task)
    genomes = lasting(bench.rng(), task, n)
    networks = slice_of(genomes)
    translation = bench.translation(genomes[0])
    theirs, config = translation.genomes(genomes), translation.config
    numbered = list(enumerate(theirs))

    def run_theirs() -> int:
        return sum(neat_side.balance(genome, config, starts, MAX_STEPS) for genome in theirs)

    full = SinglePole(SinglePole.Settings())
    with ExitStack() as open_things:
        # these processes are forked, which wants to be done before there are threads
        pool = neat.ParallelEvaluator(
            2,
            neat_side.balance_episodes,
            initializer=neat_side.set_episodes,
            initargs=(starts, MAX_STEPS),
        )
        open_things.callback(pool.close)
        apart = open_things.enter_context(evaluated_by_two_processes(full, networks, 10))
        one, two = (ThreadsBackend(ThreadsBackend.Settings(), workers) for workers in (1, 2))
        open_things.callback(one.close)
        open_things.callback(two.close)
        steps, their_steps = evaluate_on(two, task, networks), run_theirs()
        if abs(steps - their_steps) > 0.02 * steps:
            raise Disagreement(f"{steps} steps in tweann, {their_steps} in neat-python")
        a, b, c = interleave(
            # several generations at a time: in a run, too, one follows the other
            Side(lambda: [evaluate_on(two, task, networks) for _ in range(10)], 10 * steps),
            Side(run_theirs, their_steps),
            Side(lambda: pool.evaluate(numbered, config), their_steps),
            rounds=bench.scale.long_rounds,
        )
        best = min(b, c)
        note = (
            f"{1 / a:,.0f} steps/s; neat-python {1 / b:,.0f} in one process, {1 / c:,.0f} in two; "
            f"{steps / n / len(starts):.0f} steps an episode"
        )
        work = f"CartPole, population {n:,}, two threads"
        yield Row(work, a, best, best / a, 50, unit="step", note=note)
        d, e, f = interleave(
            Side(lambda: [evaluate_on(two, full, networks) for _ in range(10)], 10),
            Side(lambda: [evaluate_on(one, full, networks) for _ in range(10)], 10),
            Side(apart, 10),
            rounds=3 * bench.scale.rounds,
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    note = f"two threads against one; the machine has {cores} cores"
    yield Row("evaluation, one thread against two", d, e, e / d, 1.85, unit="population", note=note)
    note = "what the second core brings at most; no comparison of ours, and no target"
    yield Row(
        "the same, by two processes that share nothing",
        f,
        e,
        e / f,
        None,
        unit="population",
        note=note,
    )


# ----------------------------------------------------------------- whole runs

#: The rates of neat-python's own XOR example, which `neat_side` runs: with others genomes grow to other sizes, and
#: a generation is other work.
XOR_MUTATION = {
    "add_node_rate": 0.2,
    "delete_node_rate": 0.2,
    "add_connection_rate": 0.5,
    "delete_connection_rate": 0.5,
    "toggle_connection_rate": 0.01,
    "weights_rate": 0.8,
    "weight_power": 0.5,
}


@contextmanager
def xor_run(population: int, generations: int, workers: int = 0) -> Iterator[Evolution]:
    """Make a run of XOR with default storage and observers, in a folder that is then deleted."""
    config = {
        "run": {"generations": generations, "stop_when_solved": False},
        "task": {"name": "xor"},
        "strategy": {"population": population},
        "mutation": XOR_MUTATION,
        "evaluation": {"workers": workers},
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        redirect_stderr(nowhere),
        Evolution(config, run_dir=Path(folder)) as evolution,
    ):
        yield evolution


def xor_generation(bench: Bench) -> Iterator[Row]:
    """Generations of XOR from the first on, by turns with neat-python's."""
    generations = bench.scale.generations
    ours = theirs = whole = float("inf")
    for _ in range(bench.scale.long_rounds + 1):
        began = perf_counter()
        places = {"tweann.evolution:Evolution.step": "generation"}
        with Stopwatch(places) as watch, xor_run(150, generations) as evolution:
            evolution.run()
            size = evolution.history[-1].mean_connections
        whole = min(whole, (perf_counter() - began) / generations)
        ours = min(ours, watch.whole["generation"] / generations)
        began = perf_counter()
        their_size = neat_side.evolve_xor(generations, seed=1)
        theirs = min(theirs, (perf_counter() - began) / generations)
    note = (
        f"mean of {generations}; with start and end of the run {readable(whole)}; genomes grow to "
        f"{size:.0f} and {their_size:.0f} connections; neat-python stores and shows nothing"
    )
    work = "XOR, population 150, storage and progress on"
    yield Row(work, ours, theirs, theirs / ours, 15, unit="generation", note=note)


def python_side(bench: Bench) -> Iterator[Row]:
    """What a generation costs outside the kernels."""
    n, generations = bench.scale.population, bench.scale.generations
    least = (float("inf"), 0.0)
    for _ in range(bench.scale.long_rounds + 1):
        places = {**KERNELS, "tweann.evolution:Evolution.step": "generation"}
        with Stopwatch(places) as watch, xor_run(n, generations, workers=1) as evolution:
            evolution.run()
        kernels = sum(watch.own[label] for label in set(KERNELS.values()))
        whole = watch.whole["generation"]
        least = min(least, ((whole - kernels) / generations, whole / generations))
    yield Row(
        f"outside the kernels, XOR, population {n:,}",
        *least,
        least[0] / 1e-3,
        2.0,
        at_least=False,
        unit="generation",
        note="the ratio is milliseconds; beside it the whole generation, one thread",
    )


def activation_cost(bench: Bench) -> Iterator[Row]:
    """The forward pass against the same loop with the identity for tanh."""
    rng = bench.rng()
    genomes = [random_genome(rng, FIFTY) for _ in range(bench.scale.genomes)]
    task = ForwardPasses([0.1, -0.2, 0.3, -0.4, 0.5], FIFTY.n_outputs, 200)
    networks = slice_of(genomes)
    linear = slice_of([with_activation(genome, "identity") for genome in genomes])
    amount = 200 * len(genomes)
    a, b = interleave(
        Side(lambda: task.evaluate(networks, KEYS), amount),
        Side(lambda: task.evaluate(linear, KEYS), amount),
        rounds=3 * bench.scale.rounds,
    )
    yield Row(
        "forward pass in a batch, 50 nodes, against identity",
        a,
        b,
        a / b,
        3.5,
        at_least=False,
        unit="network and tick",
    )
