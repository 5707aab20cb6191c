"""tweann against neat-python, the same work in the same process, by turns; and against the machine.

    python bench/peers.py [--quick] [--json FILE] [--plain-tanh] [--only TEXT]

Ends with 1 if a ratio misses its target, except with ``--quick``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neat
import numpy as np
from numpy.random import Generator

import neat_side
from breeding import LIKE_NEAT_PYTHON, Litters, Reproduction, family
from neat_side import Translation
from networks import (
    FIFTY,
    FIFTY_SPARSE,
    TWO_HUNDRED,
    ForwardPasses,
    Size,
    random_genome,
    slice_of,
    with_activation,
)
from stopwatch import KERNELS, Stopwatch
from timing import Row, Side, interleave, print_rows, write_json
from tweann.evolution import Evolution
from tweann.genes import Operator
from tweann.genome import Genome
from tweann.interfaces import Job
from tweann.kernels.distance import DistanceCoefficients, distances
from tweann.kernels.random import next_uniform
from tweann.network import NetworkSlice, decode_genomes
from tweann.plugins.threads import ThreadsBackend
from tweann.tasks import EvaluationKeys
from tweann.tasks.single_pole import MAX_STEPS, SinglePole

KEYS = EvaluationKeys(1)
#: Ticks to settle in, before outputs of recurrent networks are compared.
_SETTLING = 400
#: Both tanh are approximate: tweann's to 3e-7, and what follows from that.
_TOLERANCE = 1e-4


class Disagreement(Exception):  # noqa: N818 - says what it is
    """The two sides do not do the same work, so that a ratio would mean nothing."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    long_rounds: int  #: of work that takes neat-python seconds
    genomes: int
    population: int
    generations: int
    quick: bool = False


FULL = Scale(rounds=12, long_rounds=3, genomes=100, population=1000, generations=100)
QUICK = Scale(rounds=2, long_rounds=1, genomes=10, population=100, generations=10, quick=True)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share."""

    scale: Scale
    plain: bool  #: a plain tanh on neat-python's side

    def rng(self) -> Generator:
        """Return the same generator for each measurement, so that any of them can be run alone."""
        return np.random.default_rng(1)

    def translation(self, genome: Genome, **settings: Any) -> Translation:
        """Return the way to neat-python."""
        return Translation(genome, **{"plain": self.plain, **settings})


# ------------------------------------------------------------------ networks


def forward_passes(bench: Bench) -> Iterator[Row]:
    """A tick of a network: in a batch, and one call from Python."""
    for size, batch, recurrent_batch, call in ((FIFTY, 80, 60, 20), (TWO_HUNDRED, 120, 80, 50)):
        genomes = [random_genome(bench.rng(), size) for _ in range(bench.scale.genomes)]
        unit = "network and tick"
        name = f"{size.hidden} nodes"
        yield compare_batch(bench, f"forward pass in a batch, {name}", genomes, batch, unit=unit)
        recurrent = [
            random_genome(bench.rng(), size, recurrent=True, weight=0.3)
            for _ in range(bench.scale.genomes)
        ]
        yield compare_batch(
            bench, f"the same, recurrent, {name}", recurrent, recurrent_batch, unit=unit
        )
        yield compare_call(bench, genomes[0], call)
        if not bench.plain:
            note = "neat-python with a tanh that its user wrote without the clamping"
            yield compare_batch(
                bench,
                f"forward pass in a batch, {name}, plain tanh",
                genomes,
                None,
                unit=unit,
                note=note,
                plain=True,
            )


def check_agreement(bench: Bench, genome: Genome, plain: bool) -> Any:
    """Return neat-python's network of a genome, after a look whether it gives tweann's outputs.

    A recurrent connection delays in neat-python wherever it leads, in tweann only where it leads back; so recurrent ones
    are compared where both come to rest, under constant inputs.
    """
    translation = bench.translation(genome, recurrent=genome.recurrent, plain=plain)
    theirs = translation.network(translation.genome(genome))
    ours = genome.network()
    hidden_and_outputs = genome.n_nodes - genome.n_inputs
    if not ours.n_nodes == len(theirs.node_evals) == hidden_and_outputs:
        raise Disagreement(
            f"{hidden_and_outputs} nodes were made, tweann computes {ours.n_nodes}, neat-python "
            f"{len(theirs.node_evals)}"
        )
    inputs = bench.rng().uniform(-1.0, 1.0, genome.n_inputs)
    ticks = _SETTLING if genome.recurrent else 1
    for _ in range(ticks):
        mine = ours.activate(inputs)
    yours = neat_side.outputs(theirs, inputs.tolist(), ticks)
    if not np.allclose(mine, yours, rtol=0.0, atol=_TOLERANCE):
        raise Disagreement(f"tweann's outputs are {mine}, neat-python's {yours}")
    return theirs


def compare_batch(
    bench: Bench,
    work: str,
    genomes: list[Genome],
    target: float | None,
    *,
    unit: str,
    note: str = "",
    plain: bool | None = None,
) -> Row:
    """Compare ticks of many networks, decoded before."""
    plain = bench.plain if plain is None else plain
    n_theirs = min(len(genomes), 5)
    theirs = [check_agreement(bench, genome, plain) for genome in genomes[:n_theirs]]
    networks = slice_of(genomes)
    inputs = bench.rng().uniform(-1.0, 1.0, genomes[0].n_inputs).tolist()
    ticks, their_ticks = 200, 40
    task = ForwardPasses(inputs, genomes[0].n_outputs, ticks)

    def activate_all() -> None:
        for network in theirs:
            activate = network.activate
            for _ in range(their_ticks):
                activate(inputs)

    a, b = interleave(
        Side(lambda: task.evaluate(networks, KEYS), len(genomes) * ticks),
        Side(activate_all, n_theirs * their_ticks),
        rounds=bench.scale.rounds,
    )
    return Row(work, a, b, b / a, target, unit=unit, note=note)


def compare_call(bench: Bench, genome: Genome, target: float) -> Row:
    """Compare single calls of ``activate``, tweann's with an array, neat-python's with a list."""
    theirs = check_agreement(bench, genome, bench.plain)
    inputs = bench.rng().uniform(-1.0, 1.0, genome.n_inputs)
    network, listed, n, m = genome.network(), inputs.tolist(), 3000, 200

    def call_ours() -> None:
        activate = network.activate
        for _ in range(n):
            activate(inputs)

    def call_theirs() -> None:
        activate = theirs.activate
        for _ in range(m):
            activate(listed)

    a, b = interleave(Side(call_ours, n), Side(call_theirs, m), rounds=bench.scale.rounds)
    hidden = genome.n_hidden
    return Row(f"one call of activate, {hidden} nodes", a, b, b / a, target, unit="call")


def decoding(bench: Bench) -> Iterator[Row]:
    """From genomes to networks."""
    for size, target, n_theirs in ((FIFTY, 400, 10), (TWO_HUNDRED, 2000, 2)):
        rng = bench.rng()
        genomes = [random_genome(rng, size) for _ in range(bench.scale.genomes)]
        networks = slice_of(genomes)
        translation = bench.translation(genomes[0])
        theirs = translation.genomes(genomes[:n_theirs])

        def decode_theirs(genomes: list[Any] = theirs, make: Any = translation.network) -> None:
            for genome in genomes:
                make(genome)

        def decode_ours(of: NetworkSlice = networks) -> None:
            decode_genomes(of.genes, of.blocks, of.layout)

        a, b = interleave(
            Side(decode_ours, len(genomes)),
            Side(decode_theirs, n_theirs),
            rounds=bench.scale.long_rounds,
        )
        yield Row(f"decode, {size.hidden} nodes", a, b, b / a, target, unit="genome")


# ------------------------------------------------------------------- genomes


def variation(bench: Bench) -> Iterator[Row]:
    """Mutation, crossover and distance of genomes with 50 hidden nodes and about 210 connections."""
    n = bench.scale.genomes
    genomes = family(bench.rng(), FIFTY_SPARSE, n)
    litters = Litters(genomes, LIKE_NEAT_PYTHON)
    translation = bench.translation(genomes[0])
    config = translation.config.genome_config
    m = min(n, 20)
    fresh: list[Any] = []

    def renew() -> None:
        fresh[:] = translation.genomes(genomes[:m])
        for i, genome in enumerate(fresh):
            genome.fitness = float(-i)  # the first parent is the fitter, as in tweann

    def mutate_theirs() -> None:
        for genome in fresh:
            genome.mutate(config)

    a, b = interleave(
        Side(lambda: litters.breed(Operator.MUTATE), n),
        Side(mutate_theirs, m, renew),
        rounds=bench.scale.rounds,
    )
    note = "tweann copies the parent first, neat-python changes it in place"
    yield Row("mutate", a, b, b / a, 50, unit="genome", note=note)

    renew()

    def cross_theirs() -> None:
        for i in range(m - 1):
            neat.DefaultGenome(0).configure_crossover(fresh[i], fresh[i + 1], config)

    a, b = interleave(
        Side(lambda: litters.breed(Operator.CROSSOVER), n),
        Side(cross_theirs, m - 1),
        rounds=bench.scale.rounds,
    )
    yield Row("crossover", a, b, b / a, 300, unit="child")

    genes, blocks = litters.table
    coefficients = DistanceCoefficients(1.0, 0.4, 20)
    out = np.empty((n, n))

    def distances_theirs() -> None:
        for one in fresh:
            for other in fresh:
                one.distance(other, config)

    a, b = interleave(
        Side(lambda: distances(genes, blocks, blocks, coefficients, out), n * n),
        Side(distances_theirs, m * m),
        rounds=bench.scale.rounds,
    )
    yield Row("compatibility distance", a, b, b / a, 30, unit="pair")


def reproduction(bench: Bench) -> Iterator[Row]:
    """Selection, breeding and speciation of a population in ten species."""
    n, rng = bench.scale.population, bench.rng()
    size = Size(10, 4, 5, 4, 1) if bench.scale.quick else FIFTY_SPARSE
    genomes = [genome for _ in range(10) for genome in family(rng, size, n // 10)]
    ours = Reproduction(genomes, rng)
    translation = bench.translation(genomes[0])
    theirs = neat_side.Population(translation, translation.genomes(genomes), seed=1)
    a, b = interleave(
        Side(ours.advance), Side(theirs.advance, prepare=theirs.rate), rounds=bench.scale.long_rounds
    )
    note = f"{ours.n_species} and {theirs.n_species} species"
    yield Row(
        f"reproduce and speciate, population {n:,}", a, b, b / a, 100, unit="generation", note=note
    )


# -------------------------------------------------------------------- CartPole


def episode_starts(task: SinglePole) -> list[list[float]]:
    """Return where the task's episodes begin: the same numbers for neat-python's side."""
    starts = []
    for key in KEYS.episodes(task.info.episodes):
        stream = np.array([key])
        starts.append([0.05 * (2.0 * next_uniform(stream) - 1.0) for _ in range(4)])
    return starts


def evaluate_on(backend: ThreadsBackend, task: SinglePole, networks: NetworkSlice) -> int:
    """Decode and evaluate on a back-end, in as many slices as a run would make; return the steps."""
    n = len(networks)
    edges = [n * i // (4 * backend.capacity) for i in range(4 * backend.capacity + 1)]

    def job(start: int, stop: int) -> Job:
        blocks = networks.blocks[start:stop]
        part = NetworkSlice(networks.genes, blocks, networks.layout, networks.scaling)
        return Job(start, stop, lambda: task.evaluate(part, KEYS))

    jobs = [job(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True)]
    for each in jobs:
        backend.submit(each)
    steps = done = 0
    while done < len(jobs):
        for finished in backend.collect():
            if finished.evaluations is None:
                raise finished.error or RuntimeError("a job was lost")
            steps += int(finished.evaluations.steps.sum())
            done += 1
    return steps


def lasting(rng: Generator, task: SinglePole, n: int) -> list[Genome]:
    """Return the ``n`` that last longest of three times as many random controllers.

    Long episodes are neat-python's advantage: the share of its slow decoding is smaller.
    """
    made = [random_genome(rng, Size(4, 3, 4, 4, 1)) for _ in range(3 * n)]
    steps = task.evaluate(slice_of(made), KEYS).steps
    return [made[i] for i in np.argsort(-steps, kind="stable")[:n]]


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

    # its processes are forked, which wants to be done before there are threads
    pool = neat.ParallelEvaluator(
        2,
        neat_side.balance_episodes,
        initializer=neat_side.set_episodes,
        initargs=(starts, MAX_STEPS),
    )
    one, two = ThreadsBackend(ThreadsBackend.Settings(), 1), ThreadsBackend(ThreadsBackend.Settings(), 2)
    try:
        steps, their_steps = evaluate_on(two, task, networks), run_theirs()
        if abs(steps - their_steps) > 0.02 * steps:
            raise Disagreement(f"{steps} steps in tweann, {their_steps} in neat-python")
        a, b, c = interleave(
            Side(lambda: evaluate_on(two, task, networks), steps),
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
        full = SinglePole(SinglePole.Settings())
        d, e = interleave(
            Side(lambda: evaluate_on(two, full, networks)),
            Side(lambda: evaluate_on(one, full, networks)),
            rounds=3 * bench.scale.rounds,
        )
    finally:
        pool.close()
        one.close()
        two.close()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Row(
        "evaluation, one thread against two",
        d,
        e,
        e / d,
        1.85,
        unit="population",
        note=f"two threads against one; the machine has {cores} cores",
    )


# ----------------------------------------------------------------- whole runs


@contextmanager
def xor_run(population: int, generations: int, workers: int = 0) -> Iterator[Evolution]:
    """Make a run of XOR with default storage and observers, in a folder that is then deleted."""
    config = {
        "run": {"generations": generations, "stop_when_solved": False},
        "task": {"name": "xor"},
        "strategy": {"population": population},
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
    """Whole runs of XOR from the first generation on."""
    generations = bench.scale.generations

    def run_ours() -> None:
        with xor_run(150, generations) as evolution:
            evolution.run()

    a, b = interleave(
        Side(run_ours, generations),
        Side(lambda: neat_side.evolve_xor(generations, seed=1), generations),
        rounds=bench.scale.long_rounds,
    )
    note = f"mean of {generations}, start and end of the run included; neat-python stores and shows nothing"
    yield Row(
        "XOR, population 150, storage and progress on", a, b, b / a, 15, unit="generation", note=note
    )


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


MEASUREMENTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    # first: it forks, and no thread has been started yet
    "cartpole": cart_pole,
    "forward": forward_passes,
    "decode": decoding,
    "variation": variation,
    "reproduction": reproduction,
    "xor": xor_generation,
    "python": python_side,
    "identity": activation_cost,
}


def main() -> int:
    """Measure, print, and say whether all targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--plain-tanh",
        action="store_true",
        help="give neat-python a tanh without its own one's clamping, everywhere",
    )
    parser.add_argument("--only", choices=tuple(MEASUREMENTS), nargs="*", default=MEASUREMENTS)
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    bench = Bench(scale, arguments.plain_tanh)
    rows = [row for name in arguments.only for row in MEASUREMENTS[name](bench)]
    print_rows("tweann and neat-python, least seconds a unit", rows)
    if arguments.json is not None:
        write_json(arguments.json, quick=scale.quick, rows=[row.data() for row in rows])
    missed = [row.work for row in rows if row.passed is False]
    if missed and not scale.quick:
        print(f"missed: {'; '.join(missed)}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
