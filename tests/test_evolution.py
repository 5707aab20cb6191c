"""The loop: ask and tell, failures, champions, endings, events, interruption."""

from __future__ import annotations

import math
import signal
import threading
import time
import tomllib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from small_runs import QUIET, external, members, python, size, weight, xor

from tweann.codec import encode
from tweann.config import load
from tweann.errors import ConfigError, TaskError
from tweann.evolution import Evolution, Interrupted
from tweann.genes import Flag
from tweann.interfaces import Event
from tweann.network import Network, NetworkSlice
from tweann.tasks.base import ChampionTest, Evaluation
from tweann.tasks.python import PythonTask


class TestAskAndTell:
    def test_a_simulator_outside_evolves_what_it_scores(self) -> None:
        evolution = external(run={"generations": 15})
        while not evolution.finished:
            networks = evolution.ask()
            assert [(n.n_inputs, n.n_outputs) for n in networks] == [(2, 1)] * 10
            report = evolution.tell([weight(network) for network in networks])
        assert evolution.generation == 15
        assert evolution.n_evaluations == report.n_evaluations == 150
        assert evolution.stop_reason == "generations"
        assert evolution.champion is not None
        assert evolution.champion.fitness == weight(evolution.champion.network()) > 0.9
        assert [r.generation for r in evolution.history] == list(range(15))

    def test_it_finds_what_a_run_inside_finds(self) -> None:
        inside, outside = python(weight, run={"generations": 4}), external()
        inside.run()
        for _ in range(4):
            outside.tell([weight(network) for network in outside.ask()])
        assert members(outside) == members(inside)
        assert outside.champion is not None
        assert inside.champion is not None
        assert outside.champion.data() == inside.champion.data()

    def test_evaluations_may_say_more_than_a_number(self) -> None:
        evolution = external(
            task={
                "name": "external", "n_inputs": 2, "n_outputs": 1, "n_objectives": 1,
                "descriptor": [["height", 0.0, 1.0], ["width", 0.0, 1.0]],
            },
            strategy={"population": 3, "elitism": 0},
        )  # fmt: skip
        evolution.ask()
        evolution.tell(
            [
                Evaluation(1.0, [0.25, 0.5], [3.0], steps=7, n_evaluations=5),
                Evaluation(2.0, (0.0, 1.0), (4.0,)),
                Evaluation(3.0, [0.5], [4.0]),  # one value is missing
            ]
        )
        view = evolution.pool.view()
        assert view.descriptor[:2].tolist() == [[0.25, 0.5], [0.0, 1.0]]
        assert view.objectives[:, 0].tolist() == [3.0, 4.0, 0.0]
        assert view.steps.tolist() == [7, 0, 0]
        assert evolution.n_evaluations == 7
        assert evolution.n_failed == 1
        assert evolution.reasons == ["genome 2: expected 2 values of descriptor, came 1"]

    def test_who_is_told_as_solved_is_the_champion_and_the_end(self) -> None:
        evolution = external(strategy={"population": 4})
        evolution.ask()
        evolution.tell([9.0, 1.0, Evaluation(2.0, solved=True, n_evaluations=3), 5.0])
        assert evolution.stop_reason == "solved"
        assert evolution.champion is not None
        assert (evolution.champion.birth, evolution.champion.n_evaluations) == (2, 5)

    def test_order_is_kept(self) -> None:
        evolution = external()
        with pytest.raises(ConfigError, match="there is nothing to tell: ask first"):
            evolution.tell([1.0] * 10)
        evolution.ask()
        with pytest.raises(ConfigError, match="tell the 10 evaluations of the last ask first"):
            evolution.ask()
        with pytest.raises(ConfigError, match="tell the evaluations of the last ask first"):
            evolution.step()
        with pytest.raises(ConfigError, match=r"expected 10 evaluations.*came 9"):
            evolution.tell([1.0] * 9)
        evolution.tell([1.0] * 10)
        assert evolution.generation == 1

    def test_an_external_task_cannot_be_run_inside(self) -> None:
        evolution = external()
        with pytest.raises(TaskError, match=r"evaluated outside: .* Evolution\.ask"):
            evolution.run()
        assert evolution.generation == 0

    def test_a_run_that_is_over_is_not_run_again(self) -> None:
        evolution = python(size, run={"generations": 1})
        evolution.run()
        with pytest.raises(ConfigError, match="the run is over: make another Evolution"):
            evolution.run()


class TestFailures:
    def test_they_are_flagged_counted_and_told_with_their_reason(self) -> None:
        answers = [1.0, math.nan, "much", None, math.inf, ValueError("no wheels"), 2.0]

        def function(network: Network) -> Any:
            answer = answers[function.calls % len(answers)]  # type: ignore[attr-defined]
            function.calls += 1  # type: ignore[attr-defined]
            if isinstance(answer, Exception):
                raise answer
            return answer

        function.calls = 0  # type: ignore[attr-defined]
        evolution = python(
            function, strategy={"population": 7, "elitism": 0}, run={"generations": 1}
        )
        result = evolution.run()
        view = evolution.pool.view()
        failed = [False, True, True, True, True, True, False]
        assert np.isnan(view.fitness).tolist() == failed
        invalid = int(Flag.INVALID)
        assert view.flags.tolist() == [0, invalid, invalid, invalid, invalid, int(Flag.RAISED), 0]
        assert (result.n_failed, result.n_evaluations) == (5, 7)
        assert evolution.history[0].n_failed == 5
        assert (evolution.history[0].best, evolution.history[0].worst) == (2.0, 1.0)
        assert evolution.reasons == [
            "genome 1: expected the result to be a finite number, came float nan",
            "genome 2: expected the result to be a number or an Evaluation, came str 'much'",
            "genome 3: expected the result to be a number or an Evaluation, came NoneType None",
            "genome 4: expected the result to be a finite number, came float inf",
            "genome 5: ValueError: no wheels",
        ]
        assert result.champion is not None
        assert result.champion.fitness == 2.0

    def test_a_run_in_which_all_fail_goes_on_to_its_end_without_a_champion(self) -> None:
        result = python(lambda network: math.nan, run={"generations": 30}).run()
        assert (result.status, result.generations) == ("finished", 30)
        assert (result.champion, result.n_failed, result.solved) == (None, 300, False)

    def test_reasons_are_the_first_few_in_the_order_of_births_on_threads_too(self) -> None:
        expected = [f"genome {i}: expected the result to be a number or an Evaluation, came str 'x'"
                    for i in range(20)]  # fmt: skip
        for serial in (True, False):
            evolution = python(lambda network: "x", {"serial": serial}, run={"generations": 5})
            evolution.run()
            assert evolution.reasons == expected

    def test_a_first_generation_that_fails_is_recovered_from(self) -> None:
        calls = []

        def function(network: Network) -> float:
            calls.append(1)
            return math.nan if len(calls) <= 10 else weight(network) - 10.0

        evolution = python(function, run={"generations": 20})
        evolution.run()
        assert evolution.champion is not None
        assert evolution.champion.fitness > -9.5
        assert np.isfinite(evolution.pool.view().fitness).all()


class Rated(PythonTask):
    """A task whose validation says the opposite of its fitness, and, if wanted, tests champions."""

    def evaluate(self, networks: NetworkSlice, keys: Any) -> Any:
        found = super().evaluate(networks, keys)
        found.validation[:] = -found.fitness
        return found


class Examined(PythonTask):
    tests_champion: ClassVar[bool] = True
    passes: Callable[[float], bool] = staticmethod(lambda fitness: False)

    def __init__(self, passes: Callable[[float], bool], *, function: Any = weight) -> None:
        super().__init__(function, 2, 1)
        self.passes, self.tested = passes, list[float]()

    def test_champion(self, networks: NetworkSlice) -> ChampionTest:
        fitness = weight(networks[0])
        self.tested.append(fitness)
        return ChampionTest(self.passes(fitness), {"mark": fitness})


class TestChampion:
    def told(self, *generations: Sequence[float | Evaluation], **run: Any) -> Evolution:
        evolution = external(strategy={"population": len(generations[0])}, run=run)
        for evaluations in generations:
            evolution.ask()
            evolution.tell(evaluations)
        return evolution

    def test_it_is_the_best_so_far_and_of_equals_the_first(self) -> None:
        evolution = self.told([1.0, 3.0, 3.0], [3.0, 2.0, 1.0], [math.nan, 0.0, 0.0])
        assert evolution.champion is not None
        assert (evolution.champion.birth, evolution.champion.generation) == (1, 0)
        assert (evolution.champion.fitness, evolution.champion.n_evaluations) == (3.0, 3)
        evolution = self.told([1.0, 3.0, 3.0], [3.0, 4.0, 1.0])
        assert evolution.champion is not None
        assert (evolution.champion.birth, evolution.champion.n_evaluations) == (4, 6)
        assert [r.champion_fitness for r in evolution.history] == [3.0, 4.0]

    def test_validation_chooses_it_where_a_task_has_one(self) -> None:
        evolution = Evolution(
            QUIET | {"strategy": {"population": 10}, "run": {"generations": 3}},
            task=Rated(weight, 2, 1),
        )
        evolution.run()
        assert evolution.champion is not None
        assert evolution.champion.fitness == weight(evolution.champion.network())
        assert evolution.champion.fitness <= min(r.worst for r in evolution.history)

    def test_the_first_that_solves_it_counts_not_the_best(self) -> None:
        evolution = self.told(
            [5.0, Evaluation(1.0, solved=True), Evaluation(4.0, solved=True), 7.0]
        )
        assert evolution.champion is not None
        assert (evolution.champion.birth, evolution.champion.n_evaluations) == (1, 2)

    def test_where_a_run_goes_on_a_solver_makes_room_for_a_better_solver_only(self) -> None:
        solver = Evaluation(2.0, solved=True)
        better = Evaluation(3.0, solved=True)
        evolution = self.told(
            [solver, 9.0],
            [8.0, Evaluation(1.5, solved=True)],
            [better, 9.0],
            stop_when_solved=False,
        )
        assert evolution.champion is not None
        assert (evolution.champion.birth, evolution.champion.fitness) == (4, 3.0)
        assert evolution.champion.solved
        assert evolution.stop_reason is None

    def test_a_generations_best_is_tested_where_the_task_tests_champions(self) -> None:
        task = Examined(lambda fitness: False)
        evolution = Evolution(
            QUIET | {"strategy": {"population": 8}, "run": {"generations": 5}}, task=task
        )
        result = evolution.run()
        assert task.tested == [report.best for report in evolution.history]
        assert not result.solved
        assert result.n_evaluations == 40  # tests are no evaluations
        assert result.champion is not None
        assert result.champion.metrics == {"mark": result.champion.fitness}

    def test_passing_the_test_solves_the_task(self) -> None:
        task = Examined(lambda fitness: fitness > 0.9999)
        config = QUIET | {"strategy": {"population": 20}, "run": {"generations": 200}}
        result = Evolution(config, task=task).run()
        assert (result.stop_reason, result.solved) == ("solved", True)
        assert result.champion is not None
        assert result.champion.fitness == task.tested[-1] > 0.9999
        assert max(task.tested[:-1]) <= 0.9999
        assert result.n_evaluations == 20 * len(task.tested)

    def test_a_champion_that_passed_is_replaced_by_a_better_one_that_passes(self) -> None:
        task = Examined(lambda fitness: fitness > 0.5)
        run = {"generations": 12, "stop_when_solved": False}
        evolution = Evolution(QUIET | {"strategy": {"population": 20}, "run": run}, task=task)
        evolution.run()
        assert evolution.champion is not None
        assert evolution.champion.solved
        assert evolution.champion.fitness == max(r.best for r in evolution.history)


class TestEndings:
    @pytest.mark.parametrize(
        ("run", "reason", "generations"),
        [
            ({"generations": 3}, "generations", 3),
            ({"evaluations": 31}, "evaluations", 4),
            ({"evaluations": 30, "generations": 9}, "evaluations", 3),
            ({"target_fitness": -1.0, "generations": 9}, "target_fitness", 1),
            ({"target_fitness": 2.0, "generations": 2}, "generations", 2),
        ],
    )
    def test_the_first_that_is_met_ends_the_run(
        self, run: dict[str, Any], reason: str, generations: int
    ) -> None:
        result = python(weight, run=run).run()
        assert (result.status, result.stop_reason) == ("finished", reason)
        assert result.generations == generations
        assert result.n_evaluations == 10 * generations

    def test_seconds_end_it(self) -> None:
        result = python(weight, run={"seconds": 0.2}).run()
        assert result.stop_reason == "seconds"
        assert 0.2 <= result.seconds < 5.0

    def test_solved_is_reported_at_the_evaluation_that_solved(self) -> None:
        calls: list[float] = []

        def function(network: Network) -> float:
            calls.append(weight(network))
            return calls[-1]

        evolution = python(function, {"solved_at": 0.9}, run={"generations": 100})
        result = evolution.run()
        assert (result.stop_reason, result.solved) == ("solved", True)
        solved_at = next(i for i, fitness in enumerate(calls) if fitness >= 0.9)
        assert result.n_evaluations == solved_at + 1
        assert evolution.n_evaluations == 10 * result.generations == len(calls)

    def test_without_stop_when_solved_it_goes_on(self) -> None:
        run = {"generations": 6, "stop_when_solved": False}
        result = python(weight, {"solved_at": -2.0}, run=run).run()
        assert (result.stop_reason, result.solved, result.generations) == ("generations", True, 6)
        assert result.n_evaluations == 60

    def test_the_history_is_capped(self) -> None:
        evolution = python(size, run={"generations": 9, "history": 4})
        evolution.run()
        assert [report.generation for report in evolution.history] == [5, 6, 7, 8]


class TestEvents:
    def test_a_run_leaves_its_events_in_order(self) -> None:
        evolution = python(weight, run={"generations": 3, "name": "events", "seed": 5})
        result = evolution.run()
        assert evolution._recorder.storage is not None
        events: list[Event] = list(evolution._recorder.storage.events())
        assert [event.sequence for event in events] == list(range(len(events)))
        kinds = [event.kind for event in events]
        assert kinds[:2] == ["run_started", "champion"]
        assert kinds[-11:] == ["individual"] * 10 + ["run_finished"]
        assert kinds.count("generation") == 3
        assert events[0].data["name"] == "events"
        assert tomllib.loads(events[0].data["config"])["run"] == evolution.config.data()["run"]
        assert events[-1].data == {
            "status": "finished", "stop_reason": "generations", "solved": False,
            "n_evaluations": 30, "seconds": result.seconds,
        }  # fmt: skip
        genomes = [event.genome for event in events if event.kind == "individual"]
        assert genomes == [encode(genome) for genome in members(evolution)]
        champions = [event for event in events if event.kind == "champion"]
        assert result.champion is not None
        assert champions[-1].data["genome_id"] == result.champion.genome.genome_id


class TestInterruption:
    @pytest.mark.parametrize("serial", [True, False])
    def test_what_was_bred_is_evaluated_by_the_next_step_as_if_nothing_had_been(
        self, serial: bool
    ) -> None:
        calls: list[int] = []
        stop_at = [25]

        def function(network: Network) -> Any:
            calls.append(1)
            if len(calls) == stop_at[0]:
                evolution.interrupt()
            if 20 < len(calls) <= 30 and stop_at[0]:
                time.sleep(0.02)  # so that threads are not done before it is heard
            return "wrong" if len(calls) == 22 and stop_at[0] else weight(network)

        options: dict[str, Any] = {"evaluation": {"workers": 2}}
        evolution = python(function, {"serial": serial}, **options)
        whole = python(weight, **options)
        for run in (evolution, whole):
            run.step()
            run.step()
        before, reasons = (evolution.n_evaluations, evolution.generation), list(evolution.reasons)
        blocks = evolution.pool.n_blocks
        for _ in range(2):
            evolution.interrupt()
            with pytest.raises(Interrupted):
                evolution.step()
            assert evolution.pool.n_blocks == blocks + 10  # bred once
        with pytest.raises(Interrupted):
            evolution.step()
        assert (evolution.n_evaluations, evolution.generation) == before
        assert evolution.reasons == reasons
        assert members(evolution) == members(whole)
        stop_at[0] = 0
        evolution.step()
        whole.step()
        assert members(evolution) == members(whole)
        assert evolution.mutations == whole.mutations
        for run in (evolution, whole):
            run.close()

    def test_a_run_that_is_interrupted_ends_with_what_it_has(self) -> None:
        calls: list[int] = []

        def function(network: Network) -> float:
            calls.append(1)
            if len(calls) == 35:
                evolution.interrupt()
            return weight(network)

        evolution = python(function)
        result = evolution.run()
        assert (result.status, result.stop_reason) == ("interrupted", "interrupted")
        assert (result.generations, result.n_evaluations) == (3, 30)
        assert result.champion is not None
        assert len(calls) == 35

    def test_an_exception_of_the_core_ends_the_run_as_failed_and_closes_it(self) -> None:
        class Broken(PythonTask):
            def evaluate(self, networks: NetworkSlice, keys: Any) -> Any:
                raise RuntimeError("a bug")

        evolution = Evolution(QUIET, task=Broken(weight, 2, 1))
        with pytest.raises(RuntimeError, match="a bug"):
            evolution.run()
        storage = evolution._recorder.storage
        assert storage is not None
        last = list(storage.events())[-1]
        assert (last.kind, last.data["status"]) == ("run_finished", "failed")
        assert last.data["stop_reason"] == "RuntimeError: a bug"
        assert evolution.generation == 0

    def test_a_keyboard_interrupt_in_a_fitness_function_goes_through(self) -> None:
        def function(network: Network) -> float:
            signal.raise_signal(signal.SIGINT)
            return 0.0

        evolution = python(function)
        with pytest.raises(KeyboardInterrupt):
            evolution.run()

    def test_closing_ends_the_threads(self) -> None:
        before = threading.active_count()
        with xor(evaluation={"workers": 3}, strategy={"population": 400}) as evolution:
            evolution.step()
            assert threading.active_count() > before
        assert threading.active_count() == before


def test_resampling_is_by_generation_not_by_genome() -> None:
    """All genomes of a generation meet the same episodes; of another generation, others if wanted."""
    keys: list[tuple[int, int]] = []

    class Listening(PythonTask):
        def evaluate(self, networks: NetworkSlice, given_keys: Any) -> Any:
            keys.append((given_keys.seed, given_keys.generation))
            return super().evaluate(networks, given_keys)

    for resample in (False, True):
        keys.clear()
        evolution = Evolution(
            QUIET | {"strategy": {"population": 3}, "run": {"seed": 8, "generations": 3}}
            | {"evaluation": {"resample": resample}},
            task=Listening(weight, 2, 1),
        )  # fmt: skip
        evolution.run()
        assert sorted(set(keys)) == [(8, g) for g in ((0, 1, 2) if resample else (0,))]


def test_a_configuration_object_does_as_well_as_tables() -> None:
    config = load(QUIET | {"task": {"name": "xor"}, "run": {"generations": 2}})
    assert Evolution(config).run().generations == 2
