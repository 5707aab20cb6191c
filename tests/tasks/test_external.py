"""External tasks: described here, evaluated elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from task_networks import KEYS, random_linear, slice_of

from tweann.errors import ConfigError, TaskError
from tweann.tasks.external import External


def test_it_says_how_large_the_networks_are_and_what_their_ends_are_called() -> None:
    info = External(External.Settings(n_inputs=2, n_outputs=1, outputs=("motor",))).info
    assert (info.inputs, info.outputs, info.kind) == (("x0", "x1"), ("motor",), "external")


def test_to_evaluate_it_is_an_error_that_says_what_to_do() -> None:
    task = External(External.Settings(n_inputs=2, n_outputs=1))
    with pytest.raises(TaskError, match=r"Evolution\.ask\(\).*Evolution\.tell\(\)"):
        task.evaluate(slice_of(task, random_linear(task, 1)), KEYS)


@pytest.mark.parametrize("names", [("a",), ("a", "a"), ("a", "b", "c")])
def test_names_that_do_not_match_the_size_are_refused(names: Any) -> None:
    with pytest.raises(ConfigError, match="expected 2 different names of inputs"):
        External(External.Settings(n_inputs=2, n_outputs=1, inputs=names))
