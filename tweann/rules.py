"""The rules of genomes: what every genome must be before anybody works with it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from tweann.errors import GenomeError
from tweann.genes import AGGREGATIONS, MAX_CONNECTIONS, MAX_NODES
from tweann.kernels.ids import FIRST_OUTPUT, HASH_BITS
from tweann.kernels.validate import examine

if TYPE_CHECKING:
    from tweann.genome import Genome

#: The longest name of an activation.
MAX_NAME: Final = 64

_AGGREGATIONS: Final = frozenset(AGGREGATIONS)
_NAME: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_NAME}}}")
NODE_KEYS: Final = {"id", "kind", "depth", "activation", "aggregation", "bias"}
CONNECTION_KEYS: Final = {"source", "target", "innovation", "weight", "enabled", "recurrent"}


@lru_cache(256)
def is_name(text: str) -> bool:
    """Return whether an activation or an optional column may be called so."""
    return _NAME.fullmatch(text) is not None


def check_genome(g: Genome) -> bool:
    """Return whether some connection gene, enabled or not, is recurrent.

    Raises:
        GenomeError: a rule of genomes does not hold.
    """
    n, c = g.n_nodes, g.n_connections
    if g.n_inputs < 0 or g.n_outputs < 1 or g.n_inputs + g.n_outputs > MAX_NODES:
        raise GenomeError(
            f"{g.n_inputs} inputs and {g.n_outputs} outputs: expected 0 or more, 1 or more, and at "
            f"most {MAX_NODES} together"
        )
    if n > MAX_NODES or c > MAX_CONNECTIONS:
        raise GenomeError(f"{n} nodes and {c} connections exceed {MAX_NODES} and {MAX_CONNECTIONS}")
    lengths = [len(g.activation), len(g.aggregation), g.bias.size, *map(len, g.node_extra.values())]
    if lengths.count(n) < len(lengths):
        raise GenomeError(f"node columns of different lengths: {sorted({n, *lengths})}")
    lengths = [g.target.size, g.weight.size, g.enabled.size, *map(len, g.connection_extra.values())]
    if lengths.count(c) < len(lengths):
        raise GenomeError(f"connection columns of different lengths: {sorted({c, *lengths})}")
    if not _AGGREGATIONS.issuperset(g.aggregation):
        unknown = set(g.aggregation) - _AGGREGATIONS
        raise GenomeError(
            f"unknown aggregation {min(unknown)!r:.60}: known are {', '.join(AGGREGATIONS)}"
        )
    for extra, taken in ((g.node_extra, NODE_KEYS), (g.connection_extra, CONNECTION_KEYS)):
        for name in extra:
            if name in taken or not is_name(name):
                raise GenomeError(f"{name!r:.60} cannot be the name of an optional column")
    for name in g.genome_extra:
        if not is_name(name):
            raise GenomeError(f"{name!r:.60} cannot be the name of an optional value")
    for name in set(g.activation):
        if not is_name(name):
            raise GenomeError(
                f"activation {name!r:.60} is no name: expected up to {MAX_NAME} letters, digits, "
                "'_', '.' and '-'"
            )
    found = examine(g.n_inputs, g.n_outputs, g.node_id, g.bias, g.source, g.target, g.weight)
    if found >= 0:
        n_first = found >> 1
        first_names = g.activation[:n_first].count("identity"), g.aggregation[:n_first].count("sum")
        if first_names == (n_first, n_first) and all(
            np.isfinite(e).all() for e in (*g.node_extra.values(), *g.connection_extra.values())
        ):
            return bool(found & 1)
    # something is wrong: find out what
    for name, values in (
        ("bias", g.bias),
        ("weight", g.weight),
        *g.node_extra.items(),
        *g.connection_extra.items(),
        *((name, np.array([value])) for name, value in g.genome_extra.items()),
    ):
        if not np.isfinite(values).all():
            raise GenomeError(
                f"{name} {int(np.argmin(np.isfinite(values)))} is not a finite number"
            )
    ids = g.node_id
    if (ids[1:] <= ids[:-1]).any() or (n > 0 and ids[0] < 0):
        raise GenomeError("node ids must be non-negative and ascending, each once")
    wrong = ((ids >> HASH_BITS == 0) & (ids >= g.n_inputs)) | (ids >= FIRST_OUTPUT + g.n_outputs)
    if wrong.any():
        raise GenomeError(
            f"node {int(ids[wrong][0])} is an input or output beyond the "
            f"{g.n_inputs} inputs and {g.n_outputs} outputs"
        )
    for i in range(int(np.searchsorted(ids, 1 << HASH_BITS))):
        if (g.activation[i], g.aggregation[i], g.bias[i]) != ("identity", "sum", 0.0):
            raise GenomeError(
                f"input {int(ids[i])} has activation {g.activation[i]!r}, aggregation "
                f"{g.aggregation[i]!r} and bias {g.bias[i]}: an input's are 'identity', 'sum' and 0"
            )
    source, target = g.source, g.target
    unsorted = (target[1:] < target[:-1]) | (
        (target[1:] == target[:-1]) & (source[1:] <= source[:-1])
    )
    if unsorted.any():
        raise GenomeError("connections must be sorted by (target, source), each pair once")
    for name, ends in (("source", source), ("target", target)):
        at = np.searchsorted(ids, ends)
        dangling = ids[np.minimum(at, n - 1)] != ends if n else np.ones(c, np.bool_)
        if dangling.any():
            raise GenomeError(f"{name} {int(ends[dangling][0])} is not a node of the genome")
    if (target >> HASH_BITS == 0).any():
        raise GenomeError("an input is the target of a connection")
    if ((source >= FIRST_OUTPUT) & (source < target)).any():
        raise GenomeError("a forward connection leads from an output to an output")
    raise GenomeError("a rule of genomes is broken that no message is written for")
