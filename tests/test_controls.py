"""Controllers: what they set is used by the next breeding, bounded, recorded, and the same after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import Field

from tweann.config import Section, load
from tweann.controls import Bounds, ControlDesk, Controls
from tweann.errors import ConfigError, PluginError
from tweann.evolution import Evolution
from tweann.hookspecs import hookimpl
from tweann.memory import Memory
from tweann.plugins.resources import ResourcesSettings, workers_wanted
from tweann.records import GenerationReport
from tweann.registry import Registry
from tweann.replay import replay
from tweann.stored_run import StoredRun
from tweann.testing.subjects import trace

POWER, ADD_NODE = "mutation.weight_power", "mutation.add_node_rate"
#: Settings of each built-in that act within a few generations.
CONTROLLERS: dict[str, dict[str, Any]] = {
    "stagnation": {"patience": 1, "factors": {POWER: 2.0, ADD_NODE: 4.0}},
    "one-fifth": {},
    "resources": {"free_memory": 1.0, "seconds": 0.0},
}


class Hand:
    """A controller made of settings: sets each value, in the generation that ``at`` says."""

    class Settings(Section):
        values: dict[str, float] = Field(default_factory=dict)
        at: int = 0

    def __init__(self, settings: Settings, run: object) -> None:
        del run
        self._settings = settings

    @hookimpl
    def tweann_settings_controlled(self, report: GenerationReport, controls: Controls) -> None:
        if report.generation == self._settings.at:
            for name, value in self._settings.values.items():
                controls.set(name, value)


@pytest.fixture
def registry() -> Registry:
    registry = Registry.load()

    class Registration:
        @staticmethod
        @hookimpl
        def tweann_observers() -> dict[str, str]:
            return {"hand": "test_controls:Hand"}

    registry.register_module(Registration(), name="hand", distribution="tests")
    return registry


def run(
    observers: dict[str, Any],
    generations: int = 6,
    registry: Registry | None = None,
    run_dir: Path | None = None,
    **sections: Any,
) -> Evolution:
    base: dict[str, Any] = {
        "run": {"generations": generations, "stop_when_solved": False},
        "task": {"name": "single-pole"},
        "strategy": {"population": 40},
        "storage": {"url": "memory:" if run_dir is None else "sqlite:///{run_dir}/run.db"},
        "observers": observers,
        "evaluation": {"workers": 2},
    }
    config = load(base | sections, registry=registry)
    return Evolution(config, registry=registry, run_dir=run_dir)


def changes(evolution: Evolution) -> list[Any]:
    storage = evolution._recorder.storage
    assert storage is not None
    return [(event.generation, dict(event.data)) for event in storage.events("control")]


def test_each_setting_reaches_the_next_breeding_and_is_recorded(registry: Registry) -> None:
    values = {POWER: 9.0, ADD_NODE: 0.75, "strategy.children": 10.0, "evaluation.workers": 1.0}
    with run({"hand": {"values": values, "at": 1}}, 2, registry) as evolution:
        evolution.run()
        breeder = evolution._breeder
        current = breeder._current(2)
        assert current.mutation.power == 9.0
        assert 0.75 in current.mutation.rates
        assert len(breeder.breed(2, 80, None)) == 10
        assert evolution._evaluator.limit == evolution._workers.n == 1
        recorded = changes(evolution)
    assert [generation for generation, _ in recorded] == [1] * 4
    assert {data["name"]: data["new"] for _, data in recorded} == values
    assert [data["number"] for _, data in recorded] == [0, 1, 2, 3]
    assert {data["plugin"] for _, data in recorded} == {"hand"}


def test_a_stronger_power_moves_weights_farther(registry: Registry) -> None:
    def spread(power: float) -> float:
        observer = {"hand": {"values": {POWER: power}}}
        with run(observer, 1, registry, genome={"weight_bound": 1e6}) as evolution:
            evolution.run()
            brood = evolution._breeder.breed(1, 40, None)
            weights = evolution.pool.genes.weight[brood.rows["block"], :4]
            return float(np.abs(weights).max())

    assert spread(150.0) > 10.0 * spread(0.1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({ADD_NODE: 1.5}, "hand: mutation.add_node_rate: expected 0 to 1, came 1.5"),
        ({POWER: 151.0}, "hand: mutation.weight_power: expected 0.015 to 150, came 151"),
        ({"strategy.children": 41.0}, "hand: strategy.children: expected 1 to 40, came 41"),
        ({"mutation.add_nod_rate": 0.5}, "did you mean 'mutation.add_node_rate'"),
    ],
)
def test_what_is_out_of_bounds_is_refused_and_the_run_goes_on(
    registry: Registry, values: dict[str, float], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with run({"hand": {"values": values}}, 3, registry) as evolution:
        assert evolution.run().generations == 3
        assert changes(evolution) == []
        assert evolution.desk.disabled == ["hand"]
    error = capsys.readouterr().err
    assert "observer 'hand' of tests is disabled for the rest of the run" in error
    assert message in error


def test_values_are_clipped_rounded_and_finite() -> None:
    bounds = {"a": Bounds(0.0, 1.0, 0.5), "n": Bounds(1.0, 8.0, 4.0, whole=True)}
    found: list[dict[str, float]] = []
    desk = ControlDesk(bounds, lambda values: found.append(dict(values)))
    controls = desk.of("me")
    controls.set("a", 3.0, clip=True)
    controls.set("n", 2.6)
    with pytest.raises(PluginError, match="me: a: expected a finite number, came nan"):
        controls.set("a", float("nan"), clip=True)
    assert dict(controls) == {"a": 1.0, "n": 3.0}
    assert len(desk.settle()) == 2
    assert desk.settle() == []
    assert found == [{"a": 1.0, "n": 3.0}]
    with pytest.raises(ValueError, match="a setting a = 7"):
        desk.restore({**desk.state(), "values": {"a": 7.0}})


@pytest.mark.parametrize("name", CONTROLLERS)
def test_each_built_in_acts_within_bounds_and_a_resumed_run_is_the_same(
    name: str, tmp_path: Path
) -> None:
    observers = {name: CONTROLLERS[name]}
    with run(observers, 8) as whole:
        whole.run()
        expected, values = trace(whole), dict(whole.desk.values)
        recorded = changes(whole)
    assert recorded
    for _, data in recorded:
        bounds = whole.desk.bounds[data["name"]]
        assert bounds.low <= data["new"] <= bounds.high
    with run(observers, 4) as first:
        first.run()
        state = first.state()
    with run(observers, 8) as second:
        second.restore(state)
        second.run()
        assert trace(second) == expected
        assert second.desk.values == values
        again = changes(second)
    assert again == [entry for entry in recorded if entry[0] >= 4]
    with run({}, 8) as plain:
        plain.run()
        assert (trace(plain) == expected) == (name == "resources")


def test_severity_rises_fast_and_falls_slowly() -> None:
    from tweann.plugins.stagnation import Stagnation, StagnationSettings

    desk = ControlDesk({POWER: Bounds(0.01, 100.0, 1.0)}, lambda values: None)
    controller = Stagnation(
        StagnationSettings(patience=2, rise=0.5, fall=0.1, factors={POWER: 4.0}),
        None,  # type: ignore[arg-type]
    )
    powers = []
    for generation, best in enumerate([1.0, 1.0, 1.0, 1.0, 2.0, 3.0]):
        report = GenerationReport(generation, 0, 0, 0.0, 0.0, 0.0, 0.0, best, 0.0, 0.0, 0.0)
        controller.tweann_settings_controlled(report, desk.of("stagnation"))
        powers.append(desk.values[POWER])
    severity = [0.0, 0.25, 0.625, 0.8125, 0.73125, 0.658125]
    assert powers == pytest.approx([4.0**s for s in severity])


@pytest.mark.parametrize(("success", "power"), [(0.3, 1 / 0.85), (0.1, 0.85), (0.2, 1.0)])
def test_the_one_fifth_rule(success: float, power: float) -> None:
    from tweann.plugins.one_fifth import OneFifth, OneFifthSettings

    desk = ControlDesk({POWER: Bounds(0.01, 100.0, 1.0)}, lambda values: None)
    desk.success_rate = success
    controller = OneFifth(OneFifthSettings(), None)  # type: ignore[arg-type]
    report = GenerationReport(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    controller.tweann_settings_controlled(report, desk.of("one-fifth"))
    assert desk.values[POWER] == pytest.approx(power)
    for _ in range(100):
        controller.tweann_settings_controlled(report, desk.of("one-fifth"))
    assert 0.1 <= desk.values[POWER] <= 10.0


def test_workers_go_while_memory_or_processors_are_short_and_come_back() -> None:
    settings = ResourcesSettings(free_memory=0.2, load=1.0)
    assert workers_wanted(8, Memory(100, 10), 0.1, settings) == 4
    assert workers_wanted(8, Memory(100, 50), 1.5, settings) == 7
    assert workers_wanted(4, Memory(100, 50), 0.5, settings) == 5
    assert workers_wanted(4, Memory(None, None), 0.5, settings) == 5


def test_a_replay_repeats_what_was_set(tmp_path: Path) -> None:
    import tweann

    sections = {
        "run": {"generations": 6, "stop_when_solved": False, "name": "controlled"},
        "task": {"name": "single-pole"},
        "strategy": {"population": 40},
        "observers": {"stagnation": CONTROLLERS["stagnation"]},
    }
    result = tweann.run(sections, out=tmp_path)
    assert result.run_dir is not None
    assert replay(StoredRun(result.run_dir)).same


def test_a_controller_without_its_settings_is_a_fault() -> None:
    with pytest.raises(ConfigError, match=r"observers\.one-fifth\.factor"):
        load({"task": {"name": "xor"}, "observers": {"one-fifth": {"factor": 2.0}}})
