"""Self-adaptation: values of a genome's own, and rates learned from success, both reach the next breeding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pools import Nursery, changed
from reference_variation import Variation

from tweann.adaptation import LEAST, MEMORY, OperatorCredit
from tweann.evolution import Evolution
from tweann.genes import COLUMN_GROUPS, MUTATIONS, Operator
from tweann.genome import Genome
from tweann.layout import Layout
from tweann.pool import GenomePool

WEIGHTS = Variation(
    rates=(0.0,) * 7 + (1.0,), replace_rate=0.0, perturb_rate=1.0, power=0.05, bound=1e6
)
N = 200


def family(**factors: float) -> list[Genome]:
    """Return the children, by mutation, of one genome with factors of its own."""
    pool = GenomePool(Layout(3, 2, groups=("adaptive",)))
    nursery = Nursery(pool, WEIGHTS)
    nursery.fill(1)
    parent = pool.view().genome(0)
    brood = nursery.breed([], immigrants=[changed(parent, genome_extra=factors)])
    pool.keep(np.array([1]), None, {}, brood)
    children = nursery.breed([Operator.MUTATE] * N, [0] * N)
    return [pool.brood_view(children).genome(i) for i in range(N)]


def moves(children: list[Genome]) -> float:
    """Return the spread of what mutation added to the first weight."""
    return float(np.std([child.weight[0] for child in children]))


class TestGenes:
    def test_a_genomes_own_power_reaches_its_children(self) -> None:
        plain, strong = family(power_factor=1.0), family(power_factor=20.0)
        assert 10.0 < moves(strong) / moves(plain) < 40.0

    def test_a_genomes_own_rates_reach_its_children(self) -> None:
        never = family(weights_factor=0.01)
        assert len({child.weight[0] for child in never}) < N / 10
        assert len({child.weight[0] for child in family()}) > N / 2

    def test_factors_are_inherited_and_mutate(self) -> None:
        logs = np.log([child.genome_extra["power_factor"] for child in family(power_factor=20.0)])
        n = len(COLUMN_GROUPS["adaptive"].genome)
        assert abs(logs.mean() - np.log(20.0)) < 4.0 / np.sqrt(n * N)
        assert abs(logs.std() * np.sqrt(n) - 1.0) < 4.0 / np.sqrt(2 * N)

    def test_crossover_takes_the_dominant_parents_factors(self) -> None:
        pool = GenomePool(Layout(3, 2, groups=("adaptive",)))
        nursery = Nursery(pool, WEIGHTS)
        nursery.fill(1)
        genome = pool.view().genome(0)
        both = [changed(genome, genome_extra={"power_factor": x}) for x in (2.0, 3.0)]
        pool.keep(np.array([1, 2]), None, {}, nursery.breed([], immigrants=both))
        children = nursery.breed([Operator.CROSSOVER] * 2, [0, 1], [1, 0])
        found = [pool.brood_view(children).genome(i).genome_extra for i in range(2)]
        assert [extra["power_factor"] for extra in found] == [2.0, 3.0]

    def test_a_run_spreads_them(self) -> None:
        with Evolution(config("genes")) as evolution:
            for _ in range(5):
                evolution.step()
            view = evolution.pool.view()
            powers = [view.genome(i).genome_extra["power_factor"] for i in view.members]
        assert np.std(np.log(powers)) > 0.05


def config(adapt: str) -> dict[str, Any]:
    return {
        "run": {"generations": 30, "stop_when_solved": False},
        "task": {"name": "xor"},
        "mutation": {
            "adapt": adapt,
            "add_connection_rate": 0.3,
            "add_node_rate": 0.3,
            "toggle_connection_rate": 0.3,
        },
        "strategy": {"population": 60, "crossover_rate": 0.0},
        "evaluation": {"backend": "serial"},
        "storage": {"url": "memory:"},
        "observers": {},
    }


class TestSuccess:
    def test_rates_begin_as_configured_and_follow_success(self) -> None:
        credit = OperatorCredit(np.array([0.2, 0.4, 0.0]))
        assert credit.rates.tolist() == pytest.approx([0.2, 0.4, 0.0])
        credit.learn(np.array([1, 1, 3, 2]), np.array([True, True, True, False]))
        # Thierens (2005), eq. 1, from 1: three of three, and one of two
        assert credit.quality.tolist() == pytest.approx([1.0, 1.0 - MEMORY / 2, 1.0])
        for _ in range(400):
            credit.learn(np.array([1, 2]), np.array([True, False]))
        assert credit.rates[0] == pytest.approx(0.2 * (2.0 - LEAST))
        assert credit.rates[1] == pytest.approx(0.4 * LEAST)
        assert credit.rates[2] == 0.0

    def test_no_rate_exceeds_one_and_nothing_learned_changes_nothing(self) -> None:
        credit = OperatorCredit(np.array([0.9, 0.9]))
        for _ in range(400):
            credit.learn(np.array([1, 2]), np.array([True, False]))
        assert credit.rates[0] == 1.0
        before = credit.rates.tolist()
        credit.learn(np.zeros(0, np.int64), np.zeros(0, np.bool_))
        assert credit.rates.tolist() == before
        none = OperatorCredit(np.array([0.5, 0.5]))
        none.restore({"quality": np.zeros(2)})
        assert none.rates.tolist() == [0.5, 0.5]

    def test_what_is_learned_is_restored(self) -> None:
        credit = OperatorCredit(np.array([0.2, 0.4]))
        credit.learn(np.array([1, 2]), np.array([True, False]))
        other = OperatorCredit(np.array([0.2, 0.4]))
        other.restore(credit.state())
        assert other.rates.tolist() == credit.rates.tolist()

    def test_what_is_learned_reaches_the_next_breeding(self) -> None:
        """Splitting a connection is to help and toggling one to harm: then nodes are added more often than toggled."""

        def counts(adapt: str) -> tuple[int, int]:
            sections = config(adapt) | {"task": {"name": "external", "n_inputs": 2, "n_outputs": 1}}
            sections["genome"] = {"initial": "full"}
            with Evolution(sections) as evolution:
                for _ in range(30):
                    networks = evolution.ask()
                    evolution.tell([network.n_nodes + 1.0 for network in networks])
                made = evolution.mutations
            return sum(made["add_node"]), sum(made["toggle_connection"])

        plain, learned = counts("none"), counts("success")
        assert plain[0] / plain[1] == pytest.approx(1.0, abs=0.3)
        assert learned[0] / learned[1] > 1.3

    def test_a_generation_of_new_genomes_teaches_nothing(self) -> None:
        with Evolution(config("success")) as evolution:
            evolution.step()
            assert evolution._breeder.control is not None
            credit = evolution._breeder.control.credit
            assert credit is not None
            assert (credit.quality == 1.0).all()
            evolution.step()
            learned = dict(zip(MUTATIONS, credit.quality.tolist(), strict=True))
            assert learned["weights"] < 1.0
            assert learned["delete_node"] == 1.0
