"""Who hears whom: everybody can be reached, and all agree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tweann.topologies import heard_by

NAMES = st.sets(st.text("abcxyz", min_size=1, max_size=4), min_size=2, max_size=12)


def reached(start: str, names: set[str], topology: str, **options: object) -> set[str]:
    """Return who gets, over others, what ``start`` sends."""
    heard = {name: set(heard_by(name, names, topology, **options)) for name in names}  # type: ignore[arg-type]
    found = {start}
    while more := {name for name in names - found if heard[name] & found}:
        found |= more
    return found


@given(NAMES)
def test_full_ring_and_star_reach_everybody_from_everywhere(names: set[str]) -> None:
    for topology in ("full", "ring", "star"):
        assert all(reached(name, names, topology) == names for name in names)


@given(NAMES, st.integers(1, 5))
def test_degrees(names: set[str], degree: int) -> None:
    for name in names:
        others = names - {name}
        assert heard_by(name, names, "full") == sorted(others)
        assert len(heard_by(name, names, "ring")) == 1
        chosen = heard_by(name, names, "random", degree=degree)
        assert len(set(chosen)) == len(chosen) == min(degree, len(others))
        assert name not in chosen
        assert heard_by(name, others, "random", degree=degree) == chosen


@given(NAMES, st.integers(1, 5))
def test_one_that_goes_changes_only_those_who_heard_it(names: set[str], degree: int) -> None:
    gone = min(names)
    for name in names - {gone}:
        before = heard_by(name, names, "random", degree=degree)
        after = heard_by(name, names - {gone}, "random", degree=degree)
        assert set(before) - {gone} <= set(after)
        if gone not in before:
            assert before == after


def test_a_star_has_a_middle() -> None:
    names = {"a", "b", "c"}
    assert heard_by("b", names, "star", centre="b") == ["a", "c"]
    assert heard_by("a", names, "star", centre="b") == ["b"]
    assert heard_by("a", names, "star") == ["b", "c"]
    assert heard_by("a", names, "star", centre="elsewhere") == []


def test_custom_hears_those_that_exist() -> None:
    assert heard_by("a", {"a", "b", "c"}, "custom", custom=("c", "z", "a")) == ["c"]


def test_alone_there_is_nobody_to_hear() -> None:
    for topology in ("full", "ring", "star", "random", "custom"):
        assert heard_by("a", set(), topology) == []
