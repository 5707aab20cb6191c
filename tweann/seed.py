"""The seed network: what fresh genomes are copies of."""

from __future__ import annotations

import numpy as np

from tweann.genes import Int
from tweann.genome import Genome
from tweann.kernels.ids import FIRST_OUTPUT
from tweann.layout import Layout


def seed_network(
    layout: Layout,
    connected_inputs: Int,
    activation: str,
    aggregation: str = "sum",
    *,
    inputs: Int | None = None,
    outputs: Int | None = None,
) -> Genome:
    """Return the genome that fresh ones are copies of: inputs, outputs, and connections between them.

    Args:
        layout: sizes.
        connected_inputs: (n,) which inputs are connected to every output.
        activation: of the outputs.
        aggregation: of the outputs.
        inputs, outputs: (n,) which ones exist as nodes, ascending; by default all.
    """
    inputs = np.arange(layout.n_inputs) if inputs is None else inputs
    outputs = np.arange(layout.n_outputs) if outputs is None else outputs
    ends = FIRST_OUTPUT + outputs
    c = connected_inputs.size * outputs.size
    return Genome(
        n_inputs=layout.n_inputs,
        n_outputs=layout.n_outputs,
        node_id=np.concatenate((inputs, ends)),
        activation=("identity",) * inputs.size + (activation,) * outputs.size,
        aggregation=("sum",) * inputs.size + (aggregation,) * outputs.size,
        bias=np.zeros(inputs.size + outputs.size),
        source=np.tile(np.sort(connected_inputs), outputs.size).astype(np.int64),
        target=np.repeat(ends, connected_inputs.size).astype(np.int64),
        weight=np.zeros(c),
        enabled=np.ones(c, np.bool_),
    )
