"""What time and learning cost: a tick of a network with dynamics or plasticity against one without, by turns.

    python bench/dynamics.py [--quick]

Ends with 1 if a mixed LTC/CfC network costs more than 3 times a static one, except with ``--quick``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from networks import FIFTY, ForwardPasses, random_genome, slice_of
from timing import Row, Side, interleave, print_rows

from tweann.genes import COLUMN_GROUPS, DYNAMICS, PLASTICITY_RULES
from tweann.genome import Genome
from tweann.tasks import EvaluationKeys

KEYS = EvaluationKeys(1)
TICKS = 200


def with_dynamics(genome: Genome, kinds: Sequence[str]) -> Genome:
    """Return the genome with dynamics in all nodes but the inputs, kinds by turns."""
    computed = np.arange(genome.n_nodes) >= genome.n_inputs
    codes = np.array([float(DYNAMICS.index(kind)) for kind in kinds])
    columns = {name: np.full(genome.n_nodes, v) for name, v in COLUMN_GROUPS["dynamics"].node}
    columns["dynamics"] = np.where(computed, codes[np.arange(genome.n_nodes) % codes.size], 0.0)
    return replace(genome, node_extra=columns)


def with_rule(genome: Genome, rule: str) -> Genome:
    """Return the genome with one rule of plasticity in all connections, its weights almost at rest."""
    n, group = genome.n_connections, COLUMN_GROUPS["plasticity"]
    columns = {name: np.full(n, value) for name, value in group.connection}
    columns["rule"][:] = PLASTICITY_RULES.index(rule)
    columns["learning_rate"][:] = 1e-9
    nodes = {name: np.full(genome.n_nodes, value) for name, value in group.node}
    return replace(genome, node_extra=nodes, connection_extra=columns)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that it works")
    quick = parser.parse_args().quick
    rng = np.random.default_rng(1)
    n = 5 if quick else 50
    genomes = [random_genome(rng, FIFTY, recurrent=True, weight=0.3) for _ in range(n)]
    variants = {"LTC and CfC, half each": [with_dynamics(g, ("ltc", "cfc")) for g in genomes]}
    for kind in DYNAMICS[1:]:
        variants[kind] = [with_dynamics(g, (kind,)) for g in genomes]
    variants["all kinds, static too"] = [with_dynamics(g, DYNAMICS) for g in genomes]
    for rule in PLASTICITY_RULES[1:]:
        variants[f"plastic: {rule}"] = [with_rule(g, rule) for g in genomes]
    task = ForwardPasses([0.1] * FIFTY.n_inputs, FIFTY.n_outputs, TICKS)

    def side(some: list[Genome]) -> Side:
        networks = slice_of(some)
        return Side(lambda: task.evaluate(networks, KEYS), len(some) * TICKS)

    static, *found = interleave(
        side(genomes), *map(side, variants.values()), rounds=2 if quick else 15
    )
    rows = [
        Row(
            f"tick of 50 nodes, {name}",
            seconds,
            static,
            seconds / static,
            3.0 if i == 0 else None,
            at_least=False,
            unit="network and tick",
        )
        for i, (name, seconds) in enumerate(zip(variants, found, strict=True))
    ]
    print_rows("Time and learning, against a static network ('other')", rows)
    return 0 if quick or all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
