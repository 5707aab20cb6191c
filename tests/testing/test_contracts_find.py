"""A contract that nothing can break is none: each flaw is found, and the message says what to do."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import flawed
import pytest

from tweann.errors import MissingExtraError
from tweann.network import NetworkSlice
from tweann.tasks import Task
from tweann.testing import BackendContract, StorageContract, StrategyContract, TaskContract
from tweann.testing.events import generation
from tweann.testing.genomes import random_networks


def strategy_contract(flawed_class: type[Any]) -> StrategyContract:
    made = type("TestFlawed", (StrategyContract,), {"strategy": flawed_class})()
    assert isinstance(made, StrategyContract)
    return made


@pytest.mark.parametrize(
    ("strategy", "test", "arguments", "message"),
    [
        ("DrawsGlobally", "the_same_seed_gives_the_same_run", (), "draw from the `rng`"),
        ("AsksTooMuch", "it_asks_for_no_more_children_than_it_may", (), "expected a plan for 1 to 1"),
        ("KeepsObjects", "its_state_is_plain_data", (), r"state\(\)\['best'\] is a set"),
        ("ForgetsTheBest", "a_restored_strategy_goes_on_in_the_same_way", (2,), r"missing in state\(\)"),
        ("RestoresNothing", "a_restored_strategy_goes_on_in_the_same_way", (2,), "restore every entry"),
        ("CountsLooks", "looking_at_the_state_changes_nothing", (), r"state\(\) must only read"),
        ("GivesItsArraysAway", "looking_at_the_state_changes_nothing", (), "give copies of arrays"),
        ("RanksFailuresFirst", "failed_evaluations_do_not_stop_it", (), "rank NaN last"),
        ("StumblesOverEquals", "equal_fitness_does_not_stop_it", (0.0,), "invalid value|NaN"),
        ("WantsChildren", "a_generation_without_children_does_not_stop_it", (), "keep some of the pool"),
        ("WantsTwo", "the_smallest_population_works", (), "nobody to cross with"),
        ("ExpectsNoGuests", "it_takes_immigrants", (), "who is this"),
        ("SendsTooMany", "emigrants_are_rows_of_the_pool", (1,), r"emigrants\(pool, 1, rng\) gave"),
        ("CountsInWords", "metrics_are_numbers", (), "is a str: give a number"),
        ("KeepsEverybody", "memory_is_capped", (), "return fewer survivors"),
        ("RemembersEverything", "memory_is_capped", (), "give what grows a cap"),
        ("WithoutDescriptions", "it_has_all_that_a_strategy_needs", (), "'population' of Settings a desc"),
    ],
)  # fmt: skip
def test_a_flaw_of_a_strategy_is_found(
    strategy: str, test: str, arguments: tuple[Any, ...], message: str
) -> None:
    contract = strategy_contract(getattr(flawed, strategy))
    with pytest.raises(BaseException, match=message):
        getattr(contract, f"test_{test}")(*arguments)


def test_a_strategy_without_a_flaw_passes() -> None:
    contract = strategy_contract(flawed.Sound)
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert len(tests) >= 15
    for name in tests:
        marks = getattr(getattr(contract, name), "pytestmark", [])
        values = marks[0].args[1] if marks else [None]
        for value in values:
            getattr(contract, name)(*([] if value is None else [value]))


@pytest.mark.parametrize(
    ("storage", "test", "arguments", "message"),
    [
        ("Backwards", "events_come_back_as_they_were", {}, "came back as"),
        ("LosesChampions", "champions_outlive_many_generations", {}, "keep champions apart"),
        ("TakesAnything", "a_sequence_number_is_taken_once", {"again": generation(3)}, "DID NOT RAISE"),
        ("SaysItIsDurable", "a_run_is_taken_up_where_it_was", {"durable": True}, "after it was closed and opened"),
        ("GrowsForEver", "the_newest_events_are_kept", {"kind": "champion"}, "the last 5 must be left"),
    ],
)  # fmt: skip
def test_a_flaw_of_a_storage_is_found(
    storage: str, test: str, arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    contract = type("TestFlawed", (StorageContract,), {"storage": getattr(flawed, storage)})()

    def open_storage(run: str = "r", **settings: Any) -> Any:
        storage_class = contract.storage
        return storage_class(
            storage_class.Settings(**contract.settings_in(tmp_path, **settings)), run
        )

    with pytest.raises(BaseException, match=message):
        getattr(contract, f"test_{test}")(open_storage=open_storage, **arguments)


@pytest.mark.parametrize(
    ("backend", "test", "message"),
    [
        ("MixesUp", "every_job_comes_back_once_with_its_own_result", "the very object"),
        ("Rounds", "a_run_gives_what_the_serial_backend_gives", "from the serial back-end"),
        ("Hoards", "it_does_not_keep_the_genomes_of_a_job_that_is_over", "still referred to"),
        ("NeverCloses", "close_ends_it_for_good_however_often", "drop what has not begun"),
    ],
)
def test_a_flaw_of_a_backend_is_found(
    backend: str, test: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweann.testing.backend.PATIENCE_SECONDS", 0.05)
    backend_class = getattr(flawed, backend)
    contract = type("TestFlawed", (BackendContract,), {"backend_class": backend_class})()
    with pytest.raises(BaseException, match=message):
        getattr(contract, f"test_{test}")(backend_class(backend_class.Settings(), 1))


@pytest.mark.parametrize(
    ("task", "test", "message"),
    [
        ("RemembersTheLast", "the_same_keys_give_the_same_result", "keep nothing from one evaluation"),
        ("ComparesWithItsNeighbours", "a_result_depends_neither_on_the_slice_nor_on_the_order", "evaluate each on its own"),
        ("FailsSilently", "every_evaluation_is_complete", "by Evaluations.fail"),
        ("SharesItsDesk", "threads_do_not_meet", "info.serial = True"),
    ],
)  # fmt: skip
def test_a_flaw_of_a_task_is_found(task: str, test: str, message: str) -> None:
    contract = type("TestFlawed", (TaskContract,), {"task_class": getattr(flawed, task)})()
    made: Task = contract.task_class(contract.task_class.Settings())
    networks: NetworkSlice = random_networks(made, 12)
    with pytest.raises(AssertionError, match=message):
        getattr(contract, f"test_{test}")(made, networks)


def test_a_setting_of_a_task_without_a_description_is_found() -> None:
    contract = type("TestFlawed", (TaskContract,), {"task_class": flawed.Secretive})()
    with pytest.raises(AssertionError, match="give field 'depth' of Settings a description"):
        contract.test_its_settings_are_described(flawed.Secretive(flawed.Secretive.Settings()))


def test_a_class_that_says_nothing_is_told_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="set `strategy = YourStrategy` in class Strategy"):
        StrategyContract().evolution()
    with pytest.raises(AssertionError, match="set `storage = YourStorage`"):
        StorageContract().settings_in(tmp_path)


def test_a_class_inside_a_function_is_told_where_to_go() -> None:
    class Local(flawed.Sound):
        pass

    with pytest.raises(AssertionError, match="at the top level of a module"):
        strategy_contract(Local).evolution()


def test_without_pytest_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import tweann.testing as testing

    monkeypatch.delitem(testing.__dict__, "TaskContract", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "pytest", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'tweann[test]'")):
        partial(getattr, testing)("TaskContract")
