"""The portfolio: who has a turn, whose rows are whose, and shares that follow progress."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_runs import python, weight

from tweann.config import SpeciesSettings, load
from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.interfaces import StrategyContext
from tweann.strategies.portfolio import ARMS, Portfolio, PortfolioSettings
from tweann.tasks.base import TaskInfo

TASK = TaskInfo("toy", 1, "external", ("a", "b"), ("y",))


def portfolio(**settings: Any) -> Portfolio:
    return Portfolio(PortfolioSettings(**settings), StrategyContext(TASK, SpeciesSettings()))


def run(attempts: int = 0, **settings: Any) -> Evolution:
    small = {"neat": {"population": 20}, "memetic": {"population": 5, "restart": 0}}
    strategy = {"name": "portfolio", "population": 40, "head_start": 0, **small, **settings}
    return python(weight, strategy=strategy, tuning={"attempts": attempts})


def test_every_arm_gets_about_its_share() -> None:
    shares = {"racing": 0.5, "memetic": 0.25, "neat": 0.25}
    with run(shares=shares, half_life=1_000_000) as evolution:
        while evolution.n_evaluations < 4000:
            evolution.step()
        metrics = evolution.strategy.metrics()
        total = sum(metrics[f"{name}_evaluations"] for name in ARMS)
        assert total == evolution.n_evaluations
        for name, share in shares.items():
            assert metrics[f"{name}_evaluations"] / total == pytest.approx(share, abs=0.03)


def test_the_largest_share_has_a_head_start() -> None:
    with run(head_start=500) as evolution:
        while evolution.n_evaluations < 450:
            evolution.step()
        assert set(evolution.pool.rows["arm"].tolist()) == {0}
        while evolution.n_evaluations < 1500:
            evolution.step()
        assert set(evolution.pool.rows["arm"].tolist()) == {0, 1, 2}


def test_each_arm_keeps_its_own_rows_and_its_own_parents() -> None:
    with run(shares={"racing": 1.0, "memetic": 1.0, "neat": 1.0}) as evolution:
        arm_of: dict[int, int] = {}
        for _ in range(40):
            evolution.step()
            rows = evolution.pool.rows
            for birth, arm in zip(rows["id"].tolist(), rows["arm"].tolist(), strict=True):
                assert arm_of.setdefault(birth, arm) == arm
            for name in ("parent_a", "parent_b"):
                for parent, arm in zip(rows[name].tolist(), rows["arm"].tolist(), strict=True):
                    assert arm_of.get(parent, arm) == arm
        counts = np.bincount(rows["arm"], minlength=3).tolist()
        assert counts == [4, 5, 20]


def test_only_the_memetic_arm_is_tuned() -> None:
    with run(attempts=6, shares={"racing": 1.0, "memetic": 1.0, "neat": 1.0}) as evolution:
        for _ in range(20):
            evolution.step()
        rows = evolution.pool.rows
        for arm, name in enumerate(ARMS):
            n = rows["n_evaluations"][rows["arm"] == arm]
            assert (n == (7 if name == "memetic" else 1)).all(), name


def test_what_comes_to_a_stand_loses_its_share_but_for_the_least() -> None:
    strategy = portfolio(half_life=100, least_share=0.1)
    assert strategy._shares() == pytest.approx([0.1 + 0.7 * 0.8, 0.17, 0.17])
    strategy._account(0, 50, np.array([1.0, np.nan]))
    strategy._account(0, 10_000, np.array([1.0]))  # no better
    assert strategy._shares() == pytest.approx([0.1, 0.45, 0.45])
    strategy._account(0, 50, np.array([1.5]))  # better again
    assert strategy._shares()[0] == pytest.approx(0.1 + 0.7 * 0.8)


def test_an_arm_without_a_share_never_has_a_turn() -> None:
    with run(shares={"racing": 1.0, "memetic": 0.0, "neat": 1.0}) as evolution:
        for _ in range(30):
            evolution.step()
        assert set(evolution.pool.rows["arm"].tolist()) == {0, 2}


def test_arms_have_settings_of_their_own_and_faults_are_named() -> None:
    sections: dict[str, Any] = {"task": {"name": "xor"}, "strategy": {"name": "portfolio"}}
    sections["strategy"]["racing"] = {"slots": 7}
    assert load(sections).data()["strategy"]["racing"]["slots"] == 7
    for wrong, named in (
        ({"racing": {"slots": 0}}, "slots"),
        ({"shares": {"racing": 0.0, "memetic": 0.0, "neat": 0.0}}, "share above 0"),
    ):
        with pytest.raises(ConfigError, match=named):
            load({"task": {"name": "xor"}, "strategy": {"name": "portfolio", **wrong}})
