"""The settings that observers may change as a run goes on: names, values, hard bounds, and what was changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tweann.errors import PluginError
from tweann.registry import suggestion


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a setting may be, both ends included, and where it was at first; ``whole``: integers only."""

    low: float
    high: float
    initial: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that a plugin has changed; ``number``: 0, 1, 2, … of the run."""

    number: int
    plugin: str
    name: str
    old: float
    new: float

    def data(self) -> dict[str, Any]:
        """Return the values by name, for an event."""
        return {name: getattr(self, name) for name in self.__slots__}


class ControlDesk:
    """All settings of a run that may change, for the core.

    Args:
        bounds: of each, by name.
        apply: called with all values, by name, when some have changed.

    Attributes:
        bounds: as given.
        values: as they are now.
        disabled: plugins that failed and are heard no more.
    """

    def __init__(
        self, bounds: Mapping[str, Bounds], apply: Callable[[Mapping[str, float]], None]
    ) -> None:
        self.bounds, self._apply = bounds, apply
        self.values = {name: found.initial for name, found in bounds.items()}
        self.disabled: list[str] = []
        self._memories: dict[str, dict[str, float | int | str | bool]] = {}
        self._changes: list[Change] = []
        self._n_changes = 0
        self.success_rate = math.nan

    def of(self, plugin: str) -> Controls:
        """Return what a plugin is given."""
        return Controls(self, plugin)

    def change(self, plugin: str, name: str, value: float) -> None:
        """Note a value that has been checked."""
        old = self.values[name]
        if value != old:
            self.values[name] = value
            self._changes.append(Change(self._n_changes, plugin, name, old, value))
            self._n_changes += 1

    def memory(self, plugin: str) -> dict[str, float | int | str | bool]:
        """Return what a plugin remembers."""
        return self._memories.setdefault(plugin, {})

    def settle(self) -> list[Change]:
        """Let the run use what was changed since the last call, and return that."""
        changes, self._changes = self._changes, []
        if changes:
            self._apply(self.values)
        return changes

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "values": dict(self.values),
            "memories": {plugin: dict(memory) for plugin, memory in self._memories.items()},
            "disabled": list(self.disabled),
            "n_changes": self._n_changes,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``.

        Raises:
            ValueError: it has other settings, or values out of bounds.
        """
        values: dict[str, float] = dict(state["values"])
        for name, value in values.items():
            if name not in self.bounds or not (
                self.bounds[name].low <= value <= self.bounds[name].high
            ):
                # the number of workers is that of this machine, and changes nothing of results
                if name == "evaluation.workers":
                    continue
                raise ValueError(f"a setting {name} = {value!r} that cannot be")
            self.values[name] = value
        self._memories = {plugin: dict(memory) for plugin, memory in state["memories"].items()}
        self.disabled, self._n_changes = list(state["disabled"]), state["n_changes"]
        if any(value != self.bounds[name].initial for name, value in self.values.items()):
            self._apply(self.values)


class Controls(Mapping[str, float]):
    """What a controller is given: the settings' values by name; `set` changes one.

    Attributes:
        success_rate: share of the generation's children that are better than their first parent, of those whose
            first parent still lives; NaN: there were none.
        memory: plain values that this plugin remembers, kept in checkpoints: nothing else may decide what it sets.
    """

    def __init__(self, desk: ControlDesk, plugin: str) -> None:
        self._desk, self._plugin = desk, plugin
        self.success_rate = desk.success_rate
        self.memory = desk.memory(plugin)

    def __getitem__(self, name: str) -> float:
        self.bounds(name)
        return self._desk.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._desk.values)

    def __len__(self) -> int:
        return len(self._desk.values)

    def bounds(self, name: str) -> Bounds:
        """Return the bounds of a setting, and its value at first.

        Raises:
            PluginError: there is no such setting, or it has no effect in this run.
        """
        found = self._desk.bounds.get(name)
        if found is None:
            known = tuple(self._desk.bounds)
            hint = suggestion(name, known) or f" (there are {', '.join(known)})"
            raise PluginError(
                f"{self._plugin}: no setting {name!r} may be changed in this run{hint}"
            )
        return found

    def set(self, name: str, value: float, *, clip: bool = False) -> None:
        """Change a setting, from the next breeding on.

        Args:
            name: of the setting.
            value: a finite number; rounded where only integers may be.
            clip: a value out of bounds becomes the bound.

        Raises:
            PluginError: there is no such setting, or ``value`` is out of bounds; then nothing changes.
        """
        bounds = self.bounds(name)
        if not math.isfinite(value):
            raise PluginError(f"{self._plugin}: {name}: expected a finite number, came {value!r}")
        value = float(round(value)) if bounds.whole else float(value)
        if clip:
            value = min(max(value, bounds.low), bounds.high)
        if not bounds.low <= value <= bounds.high:
            raise PluginError(
                f"{self._plugin}: {name}: expected {bounds.low:g} to {bounds.high:g}, came {value:g}"
            )
        self._desk.change(self._plugin, name, value)
