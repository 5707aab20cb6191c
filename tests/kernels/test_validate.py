"""The check of a genome's structure against its slow twin, on genomes that are sound and that are not quite."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import reference
from genomes import genomes
from hypothesis import given, settings
from hypothesis import strategies as st

from tweann.kernels.ids import FIRST_OUTPUT
from tweann.kernels.validate import examine


def examine_twin(genome: reference.Genome, n_inputs: int, n_outputs: int) -> int:
    """Return what `examine` does, each rule written out on its own."""
    ids = [n.id for n in genome.nodes]
    pairs = [(c.target, c.source) for c in genome.connections]
    inputs, outputs = range(n_inputs), range(FIRST_OUTPUT, FIRST_OUTPUT + n_outputs)
    sound = (
        ids == sorted(set(ids))
        and pairs == sorted(set(pairs))
        and all(i in inputs for i in ids if reference.is_input(i))
        and all(i in outputs for i in ids if reference.is_output(i))
        and all(i >= 0 for i in ids)
        and all(math.isfinite(n.bias) for n in genome.nodes)
        and all(n.bias == 0 for n in genome.nodes if reference.is_input(n.id))
        and all(math.isfinite(c.weight) for c in genome.connections)
        and all({c.source, c.target} <= set(ids) for c in genome.connections)
        and not any(reference.is_input(c.target) for c in genome.connections)
        and not any(
            reference.is_output(c.source) and c.source < c.target for c in genome.connections
        )
    )
    if not sound:
        return -1
    n_first = sum(map(reference.is_input, ids))
    return 2 * n_first + any(c.source >= c.target for c in genome.connections)


NUMBERS = st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf, -math.inf])
EDGES = (-1, 0, 1 << 24, FIRST_OUTPUT, FIRST_OUTPUT + 2, 2**63)
IDS = st.sampled_from([edge + step for edge in EDGES for step in (-1, 0) if edge + step < 2**63])


@settings(deadline=None)  # the first call compiles
@given(genomes(max_hidden=4, max_connections=10), st.data())
def test_sound_is_what_the_rules_say(genome: reference.Genome, data: st.DataObject) -> None:
    for node in genome.nodes:
        if reference.is_input(node.id):
            node.bias = 0.0
    for _ in range(data.draw(st.integers(0, 2))):
        nodes, links = genome.nodes, genome.connections
        what = data.draw(st.integers(0, 7))
        if what < 4 and nodes:
            k = data.draw(st.integers(0, len(nodes) - 1))
            if what == 0:
                nodes[k].bias = data.draw(NUMBERS)
            elif what == 1:
                nodes[k] = replace(nodes[k], id=data.draw(IDS))
            elif what == 2:
                del nodes[k]
            else:
                nodes.insert(data.draw(st.integers(0, len(nodes))), nodes[k])
        elif links:
            k = data.draw(st.integers(0, len(links) - 1))
            if what == 4:
                links[k].weight = data.draw(NUMBERS)
            elif what == 5:
                links[k] = replace(links[k], source=data.draw(IDS))
            elif what == 6:
                links[k] = replace(links[k], target=data.draw(IDS))
            else:
                links.insert(data.draw(st.integers(0, len(links))), links[k])
    found = examine(
        3,
        2,
        np.array([n.id for n in genome.nodes], np.int64),
        np.array([n.bias for n in genome.nodes], np.float64),
        np.array([c.source for c in genome.connections], np.int64),
        np.array([c.target for c in genome.connections], np.int64),
        np.array([c.weight for c in genome.connections], np.float64),
    )
    assert found == examine_twin(genome, 3, 2)
