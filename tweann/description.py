"""What a genome is made of, in numbers, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tweann.columns import names_of
from tweann.kernels.ids import FIRST_OUTPUT, HASH_BITS

if TYPE_CHECKING:
    from tweann.genome import Genome


def describe(genome: Genome) -> dict[str, Any]:
    """Return what a genome is made of: counts, by name where things have names, and how deep it is.

    Returns:
        ``n_inputs``, ``n_outputs``: those that it has as nodes, which may be fewer than the task offers; ``n_hidden``;
        ``n_connections``, ``n_disabled``, ``n_recurrent`` connection genes; ``depth``, the number of enabled
        connections on the longest forward path to an output; ``activations``, ``aggregations``, ``dynamics`` of
        hidden and output nodes by name; ``rules`` of plastic connections by name; ``n_modulatory`` nodes.
    """
    nodes = genome.node_id
    first = int(np.searchsorted(nodes, 1 << HASH_BITS))  # the first that is no input
    dynamics, rules = genome.node_extra.get("dynamics"), genome.connection_extra.get("rule")
    modulatory = genome.node_extra.get("modulatory", np.zeros(0))
    kinds = ["static"] * (nodes.size - first)
    if dynamics is not None:
        kinds = names_of("dynamics", dynamics[first:])
    learns = [] if rules is None else [r for r in names_of("rule", rules) if r != "none"]
    return {
        "n_inputs": first,
        "n_outputs": int((nodes >= FIRST_OUTPUT).sum()),
        "n_hidden": genome.n_hidden,
        "n_connections": genome.n_connections,
        "n_disabled": genome.n_connections - int(genome.enabled.sum()),
        "n_recurrent": int((genome.source >= genome.target).sum()),
        "depth": _depth(genome),
        "activations": _counted(genome.activation[first:]),
        "aggregations": _counted(genome.aggregation[first:]),
        "dynamics": _counted(kinds),
        "rules": _counted(learns),
        "n_modulatory": int((modulatory != 0.0).sum()),
    }


def _depth(genome: Genome) -> int:
    """Return the length of the longest forward path to an output; connections are in order of evaluation."""
    longest: dict[int, int] = {}
    forward = genome.enabled & (genome.source < genome.target)
    pairs = zip(genome.source[forward].tolist(), genome.target[forward].tolist(), strict=True)
    for source, target in pairs:
        longest[target] = max(longest.get(target, 0), longest.get(source, 0) + 1)
    return max((n for node, n in longest.items() if node >= FIRST_OUTPUT), default=0)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
