"""tweann against neat-python, the same work in the same process, by turns; and against the machine.

    python bench/peers.py [--quick] [--json FILE] [--plain-tanh] [--only TEXT]

Ends with 1 if a ratio misses its target, except with ``--quick``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import neat
import neat_side
import numpy as np
from breeding import LIKE_NEAT_PYTHON, Litters, Reproduction, family
from networks import FIFTY, FIFTY_SPARSE, TWO_HUNDRED, ForwardPasses, Size, random_genome, slice_of
from peers_common import FULL, KEYS, QUICK, Bench, Disagreement
from peers_runs import activation_cost, cart_pole, python_side, xor_generation
from timing import Row, Side, interleave, print_rows, write_json

from tweann.genes import Operator
from tweann.genome import Genome
from tweann.kernels.distance import DistanceCoefficients, distances
from tweann.network import NetworkSlice, decode_genomes

#: Ticks to settle in, before outputs of recurrent networks are compared.
_SETTLING = 400
#: Both tanh are approximate: tweann's to 3e-7, and what follows from that.
_TOLERANCE = 1e-4
#: Litters that are timed together: one takes 0.3 ms, and behind 30 ms of neat-python's its time would be that of filling
#: the caches, twice as much as of breeding.
_LITTERS = 10

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
    # so many that decoding is less than one part in a hundred: neat-python has done its before
    ticks, their_ticks = 1000, 40
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

    def breed(operator: Operator) -> None:
        for _ in range(_LITTERS):
            litters.breed(operator)

    a, b = interleave(
        Side(lambda: breed(Operator.MUTATE), _LITTERS * n),
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
        Side(lambda: breed(Operator.CROSSOVER), _LITTERS * n),
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
        Side(ours.advance),
        Side(theirs.advance, prepare=theirs.rate),
        rounds=bench.scale.long_rounds,
    )
    note = f"{ours.n_species} and {theirs.n_species} species"
    yield Row(
        f"reproduce and speciate, population {n:,}", a, b, b / a, 100, unit="generation", note=note
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
    title = "tweann and neat-python, least seconds a unit"
    print_rows(title + (" (quick: ratios mean little)" if scale.quick else ""), rows)
    if arguments.json is not None:
        write_json(arguments.json, quick=scale.quick, rows=[row.data() for row in rows])
    missed = [row.work for row in rows if row.passed is False]
    if missed and not scale.quick:
        print(f"missed: {'; '.join(missed)}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
