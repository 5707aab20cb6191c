"""What a genome is made of, in numbers."""

from __future__ import annotations

import numpy as np
from genomes import PROPERTY
from hypothesis import given
from pools import changed, core_genomes
from test_columns import FULL, rich
from test_genome import sample

from tweann.genome import Genome


def test_the_sample_is_described() -> None:
    assert sample().describe() == {
        "n_inputs": 2,
        "n_outputs": 2,
        "n_hidden": 1,
        "n_connections": 5,
        "n_disabled": 1,
        "n_recurrent": 2,
        "depth": 2,
        "activations": {"sigmoid": 1, "sin": 1, "tanh": 1},
        "aggregations": {"max": 1, "sum": 2},
        "dynamics": {"static": 3},
        "rules": {},
        "n_modulatory": 0,
    }


def test_kinds_and_rules_are_counted() -> None:
    found = rich(**FULL).describe()
    assert found["dynamics"] == {"ctrnn": 1, "static": 2}
    assert found["rules"] == {"abcd": 1}
    assert found["n_modulatory"] == 1


def test_depth_is_of_enabled_forward_paths_alone() -> None:
    genome = sample()
    assert genome.describe()["depth"] == 2
    none = changed(genome, enabled=np.zeros(5, np.bool_))
    assert none.describe()["depth"] == 0
    direct = genome.enabled.copy()
    direct[2], direct[3] = True, False
    assert changed(genome, enabled=direct).describe()["depth"] == 1


@PROPERTY
@given(core_genomes(orphans=False))
def test_it_agrees_with_the_network_where_nothing_is_pruned(genome: Genome) -> None:
    told = genome.describe()
    network = genome.network().describe()
    assert told["depth"] >= network["depth"]
    if network["n_hidden"] == told["n_hidden"] and told["n_outputs"] == genome.n_outputs:
        for name in ("activations", "aggregations", "dynamics", "rules", "depth"):
            assert told[name] == network[name]
        assert told["n_connections"] - told["n_disabled"] == network["n_connections"]
