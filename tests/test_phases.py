"""Parsimony: phases of growth and pruning, and what connections cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.genes import MUTATIONS
from tweann.phases import Phases


def config(**sections: Any) -> dict[str, Any]:
    return {
        "run": {"generations": 60, "stop_when_solved": False},
        "task": {"name": "external", "n_inputs": 3, "n_outputs": 1},
        "mutation": {
            "add_connection_rate": 0.6,
            "add_node_rate": 0.4,
            "delete_connection_rate": 0.6,
        },
        "strategy": {"population": 40},
        "storage": {"url": "memory:"},
        "observers": {},
        **sections,
    }


class TestPhases:
    def test_growth_ends_above_its_room_and_pruning_when_it_falls_no_more(self) -> None:
        phases = Phases(room=5.0, patience=2)
        told = []
        for mean in (10.0, 14.0, 15.0, 15.5, 12.0, 9.0, 9.5, 9.2, 13.9, 14.1, 14.0):
            phases.look(mean)
            told.append(phases.pruning)
        assert told == [
            *(False, False, False),  # room for 5 above 10
            *(True, True, True, True),  # until the mean has not fallen twice
            *(False, False, True, True),  # room for 5 above 9, its lowest
        ]

    def test_each_phase_forbids_what_the_other_does(self) -> None:
        phases, rates = Phases(1.0, 1), np.full(len(MUTATIONS), 0.5)
        forbidden = {m for m, r in zip(MUTATIONS, phases.allowed(rates), strict=True) if r == 0.0}
        assert forbidden == {"delete_node", "delete_connection"}
        phases.look(0.0)
        phases.look(2.0)
        forbidden = {m for m, r in zip(MUTATIONS, phases.allowed(rates), strict=True) if r == 0.0}
        assert forbidden == {m for m in MUTATIONS if m.startswith("add_")}
        assert (rates == 0.5).all()

    def test_what_is_remembered_is_restored(self) -> None:
        means = [3.0, 9.0, 8.0, 8.5, 8.6, 9.0, 20.0]
        for cut in range(len(means)):
            whole, first, second = Phases(5.0, 2), Phases(5.0, 2), Phases(5.0, 2)
            for mean in means[:cut]:
                whole.look(mean)
                first.look(mean)
            second.restore(first.state())
            for mean in means[cut:]:
                whole.look(mean)
                second.look(mean)
            assert second.state() == whole.state()

    def test_a_run_grows_and_is_pruned_by_turns(self) -> None:
        sections = config(complexity={"phased": True, "room": 2.0, "patience": 2})
        phases, means, done = [], [], []
        with Evolution(sections) as evolution:
            for _ in range(60):
                before = dict(evolution.mutations)
                report = evolution.tell([0.0] * len(evolution.ask()))
                assert report is not None
                made = {k: sum(v) - sum(before[k]) for k, v in evolution.mutations.items()}
                done.append((made["add_connection"] + made["add_node"], made["delete_connection"]))
                means.append(report.mean_connections)
                assert evolution._breeder.control is not None
                assert evolution._breeder.control.phases is not None
                phases.append(evolution._breeder.control.phases.pruning)
        turns = np.flatnonzero(np.diff(np.array(phases, np.int64)))
        assert turns.size >= 3
        assert max(means) < means[0] + 8.0
        for pruned, (added, deleted) in zip([False, *phases], done, strict=False):
            assert (added == 0) if pruned else (deleted == 0)

    def test_without_deletion_there_is_no_pruning(self) -> None:
        with pytest.raises(ConfigError, match=r"set mutation.delete_connection_rate or mutation"):
            Evolution(config(complexity={"phased": True}, mutation={}))


class TestPenalty:
    def grown(self, penalty: float) -> tuple[float, Any]:
        with Evolution(config(complexity={"penalty": penalty})) as evolution:
            for _ in range(25):
                # a large fitness, the same for all: only the penalty tells them apart
                evolution.tell([100.0] * len(evolution.ask()))
            view = evolution.pool.view()
            found = view.fitness.copy(), view.n_connections.copy()
            champion = evolution.champion
            assert champion is not None
            assert champion.fitness == 100.0
            assert evolution.history[-1].best == 100.0
        return float(found[1].mean()), found

    def test_the_strategy_sees_fitness_less_what_connections_cost(self) -> None:
        free, (fitness, _) = self.grown(0.0)
        assert set(fitness.tolist()) == {100.0}
        lean, (fitness, sizes) = self.grown(0.5)
        assert fitness.tolist() == pytest.approx((100.0 - 0.5 * sizes).tolist())
        assert lean < 0.7 * free
