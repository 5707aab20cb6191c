"""What every task must do."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel

from tweann.genes import ACTIVATIONS
from tweann.network import NetworkSlice
from tweann.tasks.base import ChampionTest, EvaluationKeys, Evaluations, Task
from tweann.testing.genomes import part, random_networks

_COLUMNS = (
    "fitness",
    "solved",
    "steps",
    "flags",
    "n_evaluations",
    "validation",
    "descriptor",
    "objectives",
)


def columns(found: Evaluations) -> dict[str, list[Any]]:
    """Return evaluations as lists, by name, to be compared."""
    return {name: np.asarray(getattr(found, name)).tolist() for name in _COLUMNS}


class TaskContract:
    """Subclass it and set ``task_class``; all of these tests must then hold.

    A fixture ``task`` that is overridden does instead, for a task that is made otherwise.

    Attributes:
        task_class: your class.
        settings: of the section [task], without ``name``.
        n_networks: how many random networks are evaluated; fewer where that is slow.
    """

    task_class: ClassVar[type[Any]]
    settings: ClassVar[Mapping[str, Any]] = {}
    n_networks: ClassVar[int] = 12

    @pytest.fixture
    def task(self) -> Task:
        """The task under test."""
        assert hasattr(self, "task_class"), (
            f"set `task_class = YourTask` in class {type(self).__name__}, or override the fixture task"
        )
        made = self.task_class(self.task_class.Settings(**self.settings))
        assert isinstance(made, Task), (
            f"{self.task_class.__name__} must be a subclass of tweann.tasks.Task"
        )
        return made

    @pytest.fixture
    def evaluated(self, task: Task) -> Task:
        """The task, if it can be evaluated here."""
        if task.info.kind == "external":
            pytest.skip("it is evaluated outside")
        return task

    @pytest.fixture
    def networks(self, evaluated: Task) -> NetworkSlice:
        """Random networks that fit the task."""
        return random_networks(evaluated, self.n_networks)

    def test_it_says_what_it_asks_of_a_network(self, task: Task) -> None:
        """It says of itself: name, version, inputs, outputs, their ranges, episodes."""
        info = task.info
        assert info.name, "info.name is empty"
        assert info.version >= 1, "info.version must be 1 or more: raise it when the task changes"
        assert info.output_activation in ACTIVATIONS, (
            f"info.output_activation = {info.output_activation!r} is no built-in activation"
        )
        assert info.n_outputs >= 1, "info.outputs is empty"
        for what, names in (("inputs", info.inputs), ("outputs", info.outputs)):
            assert len(set(names)) == len(names), f"a name occurs twice in info.{what}"
        for what, names, ranges in (
            ("input_ranges", info.inputs, info.input_ranges),
            ("output_ranges", info.outputs, info.output_ranges),
        ):
            assert len(ranges) in (0, len(names)), (
                f"info.{what} has {len(ranges)} ranges for {len(names)} names"
            )
            assert all(low <= high for low, high in ranges), f"info.{what}: low is above high"
        assert all(low < high for _, low, high in info.descriptor), (
            "info.descriptor: each dimension is (name, low, high) with low < high"
        )
        assert min(info.ticks, info.episodes) >= 1, "info.ticks and info.episodes must be 1 or more"
        assert info.dt > 0.0, "info.dt must be above 0"
        assert (type(task).__doc__ or "").strip(), (
            "give the class a docstring: its first line is what `tweann tasks` shows"
        )

    def test_its_settings_are_described(self, task: Task) -> None:
        """Each key of its Settings has a description."""
        settings = getattr(type(task), "Settings", None)
        if settings is None:
            pytest.skip("it is made without Settings")
        assert issubclass(settings, BaseModel)
        assert not {"name", "settings"} & set(settings.model_fields), (
            "`name` and `settings` are the section's own keys: call yours otherwise"
        )
        for name, field in settings.model_fields.items():
            assert field.description, (
                f"give field {name!r} of Settings a description: the reference of configurations is made of them"
            )

    def test_the_same_keys_give_the_same_result(
        self, evaluated: Task, networks: NetworkSlice
    ) -> None:
        """The same networks and keys give the same result, to the last bit."""
        one = columns(evaluated.evaluate(networks, EvaluationKeys(3)))
        other = columns(evaluated.evaluate(networks, EvaluationKeys(3)))
        for name in _COLUMNS:
            assert repr(one[name]) == repr(other[name]), (
                f"{name} differs the second time: draw from the key that reset is given, and keep nothing "
                "from one evaluation to the next"
            )

    def test_a_result_depends_neither_on_the_slice_nor_on_the_order(
        self, evaluated: Task, networks: NetworkSlice
    ) -> None:
        """A network's result depends neither on the others in its slice nor on their order."""
        keys, n = EvaluationKeys(3), len(networks)
        together = columns(evaluated.evaluate(networks, keys))
        order = [(7 * k + 3) % n for k in range(n)] if n % 7 else list(reversed(range(n)))
        mixed = columns(evaluated.evaluate(part(networks, order), keys))
        alone = [columns(evaluated.evaluate(part(networks, [k]), keys)) for k in range(n)]
        for name in _COLUMNS:
            for k in range(n):
                assert repr(alone[k][name][0]) == repr(together[name][k]), (
                    f"{name} of a network alone differs from what it has in a slice: evaluate each on its own"
                )
            for position, k in enumerate(order):
                assert repr(mixed[name][position]) == repr(together[name][k]), (
                    f"{name} differs when the networks come in another order: evaluate each on its own"
                )

    def test_threads_do_not_meet(self, evaluated: Task, networks: NetworkSlice) -> None:
        """Several threads at once give the same; a task that is not made for that says so."""
        if evaluated.info.serial:
            pytest.skip("it says info.serial = True")
        keys = EvaluationKeys(3)
        expected = repr(columns(evaluated.evaluate(networks, keys)))
        with ThreadPoolExecutor(4) as threads:
            found = list(
                threads.map(lambda _: repr(columns(evaluated.evaluate(networks, keys))), range(8))
            )
        assert found == [expected] * 8, (
            "threads disturb one another: share nothing that is written, or set info.serial = True"
        )

    def test_threads_that_share_find_the_same(
        self, evaluated: Task, networks: NetworkSlice
    ) -> None:
        """What threads find together, where the task can share, is what one finds alone."""
        keys = EvaluationKeys(3)
        shared = None if evaluated.info.serial else evaluated.share(networks, keys)
        if shared is None:
            pytest.skip("it does not share")
        with ThreadPoolExecutor(4) as threads:
            for each in [threads.submit(shared.work) for _ in range(4)]:
                each.result()
        expected = repr(columns(evaluated.evaluate(networks, keys)))
        assert repr(columns(shared.result())) == expected, (
            "share() gives another result than evaluate(): let both come from evaluation(), as in "
            "tweann.tasks.shared.SharingTask"
        )

    def test_every_evaluation_is_complete(self, evaluated: Task, networks: NetworkSlice) -> None:
        """Every column is filled: a finite fitness or a flag with a reason, and counts of 1 or more."""
        found = evaluated.evaluate(networks, EvaluationKeys(1))
        n, info = len(networks), evaluated.info
        for name in _COLUMNS[:6]:
            assert getattr(found, name).shape == (n,), f"{name} must have one entry a network"
        assert found.descriptor.shape == (n, len(info.descriptor)), (
            f"descriptor must be ({n}, {len(info.descriptor)}), as info.descriptor says"
        )
        assert found.objectives.shape == (n, info.n_objectives), (
            f"objectives must be ({n}, {info.n_objectives}), as info.n_objectives says"
        )
        for k in range(n):
            failed = not np.isfinite(found.fitness[k])
            assert failed == (k in found.reasons), (
                f"network {k} has fitness {found.fitness[k]} and reason {found.reasons.get(k)!r}: a failure has "
                "fitness NaN and a reason, by Evaluations.fail; a success has neither"
            )
            if not failed:
                assert np.isfinite(found.validation[k]), f"validation of network {k} is not finite"
                assert np.isfinite(found.descriptor[k]).all(), f"descriptor of {k} is not finite"
                assert np.isfinite(found.objectives[k]).all(), f"objectives of {k} are not finite"
        assert (found.n_evaluations >= 1).all(), "n_evaluations counts task runs: 1 at least"
        assert (found.steps >= 0).all(), "steps must not be negative"

    def test_descriptors_keep_their_bounds(self, evaluated: Task, networks: NetworkSlice) -> None:
        """Descriptors lie within the bounds that it names, for most networks at least."""
        info = evaluated.info
        if not info.descriptor:
            pytest.skip("it has no descriptor")
        found = evaluated.evaluate(networks, EvaluationKeys(1)).descriptor
        low = np.array([b[1] for b in info.descriptor])
        high = np.array([b[2] for b in info.descriptor])
        inside = ((found >= low) & (found <= high)).all(axis=1).mean()
        assert inside >= 0.5, (
            f"only {inside:.0%} of random networks have a descriptor within the bounds of info.descriptor: "
            "widen them, or scale the descriptor; an archive clips or rejects what is outside"
        )

    def test_networks_gone_wild_do_no_harm(self, evaluated: Task) -> None:
        """Networks with huge weights give a fitness or a flagged failure, never an exception."""
        wild = random_networks(evaluated, self.n_networks, seed=2, power=1e150)
        found = evaluated.evaluate(wild, EvaluationKeys(1))
        assert not np.isinf(found.fitness).any(), (
            "an infinite fitness: report it by Evaluations.fail or fail_invalid"
        )
        for k in np.flatnonzero(np.isnan(found.fitness)).tolist():
            assert found.reasons.get(k), f"network {k} failed without a reason"

    def test_an_empty_slice_gives_empty_columns(
        self, evaluated: Task, networks: NetworkSlice
    ) -> None:
        """No networks give no results, and no exception."""
        found = columns(evaluated.evaluate(part(networks, []), EvaluationKeys(1)))
        assert all(values == [] for values in found.values())

    def test_a_champion_can_be_tested(self, evaluated: Task, networks: NetworkSlice) -> None:
        """Figures on a champion, and its test where there is one, are finite numbers."""
        one = part(networks, [0])
        figures = dict(evaluated.metrics(one))
        if evaluated.tests_champion:
            found = evaluated.test_champion(one)
            assert isinstance(found, ChampionTest)
            figures |= found.metrics
        for name, value in figures.items():
            assert isinstance(value, float), f"metric {name!r} is a {type(value).__name__}"
            assert np.isfinite(value), f"metric {name!r} of a random network is {value}"
