"""Whole runs with optional columns, and with seed networks that lack inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tweann.config import load
from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.genes import DYNAMICS, PLASTICITY_RULES
from tweann.genome import Genome
from tweann.kernels.ids import FIRST_OUTPUT, is_input


def sections(genome: dict[str, Any], **mutation: Any) -> dict[str, Any]:
    return {
        "run": {"generations": 8, "stop_when_solved": False, "seed": 2},
        "task": {"name": "external", "n_inputs": 6, "n_outputs": 3},
        "genome": genome,
        "mutation": mutation,
        "strategy": {"population": 60},
        "storage": {"url": "memory:"},
        "observers": {},
    }


def members(config: dict[str, Any], generations: int) -> list[Genome]:
    """Return the population after some generations without selection."""
    with Evolution(config) as evolution:
        for _ in range(generations):
            evolution.tell([0.0] * len(evolution.ask()))
        view = evolution.pool.view()
        return [view.genome(i) for i in view.members]


def used(genomes: list[Genome]) -> set[int]:
    return {int(i) for g in genomes for i in g.node_id if is_input(i) or i >= FIRST_OUTPUT}


class TestColumns:
    def test_groups_follow_from_what_is_allowed(self) -> None:
        def groups(**genome: Any) -> tuple[str, ...]:
            with Evolution(sections(genome)) as evolution:
                return evolution.layout.groups

        assert groups() == ()
        assert groups(dynamics=["ctrnn"]) == ("dynamics",)
        assert groups(dynamics=["static", "izhikevich"]) == ("dynamics", "izhikevich")
        assert groups(plasticity=["none", "oja"]) == ("plasticity",)
        assert groups(plasticity=["stdp"], column_groups=["births"]) == (
            "births",
            "plasticity",
            "stdp",
        )
        assert groups(modulatory=True) == ("plasticity",)
        with Evolution(sections({}) | {"mutation": {"adapt": "genes"}}) as evolution:
            assert evolution.layout.groups == ("adaptive",)

    def test_a_plain_run_has_no_second_pass(self) -> None:
        with Evolution(sections({})) as evolution:
            assert not evolution._breeder.enriches
        with Evolution(sections({"column_groups": ["births"]})) as evolution:
            assert not evolution._breeder.enriches

    def test_all_kinds_and_rules_come_into_the_population_and_no_others(self) -> None:
        genome = {"dynamics": ["static", "delay", "ltc"], "plasticity": ["none", "abcd"]}
        genomes = members(sections(genome, add_node_rate=0.5), 6)
        dynamics = {DYNAMICS[int(k)] for g in genomes for k in g.node_extra["dynamics"]}
        rules = {PLASTICITY_RULES[int(k)] for g in genomes for k in g.connection_extra["rule"]}
        assert dynamics == {"static", "delay", "ltc"}
        assert rules == {"none", "abcd"}
        assert not any(g.node_extra["modulatory"].any() for g in genomes)
        modulated = members(sections({"modulatory": True}, add_node_rate=0.5), 6)
        assert any(g.node_extra["modulatory"].any() for g in modulated)

    def test_fresh_genomes_draw_their_kinds(self) -> None:
        genomes = members(sections({"dynamics": ["cfc", "ctrnn"]}), 1)
        kinds = [DYNAMICS[int(k)] for g in genomes for k in g.node_extra["dynamics"][6:]]
        assert 0.3 < kinds.count("cfc") / len(kinds) < 0.7
        assert set(kinds) == {"cfc", "ctrnn"}
        assert all((g.node_extra["dynamics"][:6] == 0.0).all() for g in genomes)

    def test_mutations_of_columns_are_counted(self) -> None:
        with Evolution(sections({"dynamics": ["static", "cfc", "delay", "leaky"]})) as evolution:
            for _ in range(6):
                evolution.tell([0.0] * len(evolution.ask()))
            counts = evolution.mutations
        for name in ("change_dynamics", "time_constants", "add_delay", "add_leaky"):
            assert counts[name][0] > 0
        for name in ("change_plasticity", "izhikevich", "coefficients", "add_input"):
            assert counts[name] == (0, 0)

    def test_workers_change_no_bit(self) -> None:
        genome = {
            "recurrent": True,
            "dynamics": list(DYNAMICS),
            "plasticity": list(PLASTICITY_RULES),
            "initial_inputs": 2,
        }
        config = sections(genome, adapt="genes") | {"strategy": {"population": 300}}
        found = [
            [g.to_dict() for g in members(config | {"evaluation": evaluation}, 4)]
            for evaluation in ({"backend": "serial"}, {"backend": "threads", "workers": 4})
        ]
        assert found[0] == found[1]

    def test_an_unknown_name_is_refused_with_a_suggestion(self) -> None:
        for genome, message in (
            ({"dynamics": ["ctrn"]}, "did you mean 'ctrnn'"),
            ({"plasticity": ["hebian"]}, "did you mean 'hebbian'"),
            ({"dynamics": ["cfc", "cfc"]}, "'cfc' comes twice"),
        ):
            with pytest.raises(ConfigError, match=message):
                load(sections(genome))


class TestEdges:
    def test_a_seed_network_has_the_named_inputs_and_outputs(self) -> None:
        genome = {"initial_inputs": ["x4", "x1"], "initial_outputs": ["y2"]}
        (first, *_) = members(sections(genome), 1)
        assert first.node_id.tolist() == [1, 4, FIRST_OUTPUT + 2]
        assert (first.n_inputs, first.n_outputs, first.n_connections) == (6, 3, 2)
        assert first.network().activate([1.0] * 6)[:2].tolist() == [0.0, 0.0]

    def test_a_number_of_them_is_drawn_by_the_seed(self) -> None:
        def first(seed: int) -> list[int]:
            config = sections({"initial_inputs": 2, "initial_outputs": 1})
            config["run"]["seed"] = seed
            genomes = members(config, 1)
            assert len({tuple(g.node_id.tolist()) for g in genomes}) == 1
            return genomes[0].node_id.tolist()

        assert first(1) == first(1)
        assert all(len(first(seed)) == 3 for seed in range(5))
        assert len({tuple(first(seed)) for seed in range(8)}) > 2

    def test_mutation_brings_in_the_others(self) -> None:
        genome = {"initial_inputs": 1, "initial_outputs": 1}
        rates = {"add_input_rate": 0.3, "add_output_rate": 0.3}
        assert len(used(members(sections(genome, **rates), 12))) == 9
        none = {"add_input_rate": 0.0, "add_output_rate": 0.0}
        assert len(used(members(sections(genome, **none), 12))) == 2

    @pytest.mark.parametrize(
        ("genome", "message"),
        [
            ({"initial_inputs": ["x9"]}, r"genome.initial_inputs: task external has no input 'x9'"),
            ({"initial_inputs": 7}, "genome.initial_inputs = 7: task external has 6 inputs"),
            ({"initial_outputs": 0}, "expected names or how many, came 0"),
            ({"initial_inputs": -1}, "expected names or how many, came -1"),
            ({"initial_inputs": ["x1", "x1"]}, "'x1' comes twice"),
        ],
    )
    def test_what_the_task_does_not_have_is_refused(
        self, genome: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            Evolution(sections(genome))


def test_a_task_that_needs_few_inputs_is_solved_from_one() -> None:
    """XOR from a network that sees nothing but the constant: both bits come in by mutation."""
    config = {
        **sections({"initial_inputs": ["bias"], "weight_bound": 30.0}, add_input_rate=0.1),
        "run": {"evaluations": 60_000, "seed": 1},
        "task": {"name": "xor"},
        "strategy": {"population": 150},
    }
    with Evolution(config) as evolution:
        result = evolution.run()
    assert result.solved
    assert result.champion is not None
    assert np.isin([0, 1], result.champion.genome.node_id).all()
