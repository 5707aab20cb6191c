"""The faults of a configuration: all of them at once, each with its place and a way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tweann.errors import ConfigError
from tweann.registry import suggestion

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

#: pydantic's names for limits: the sign, and where the limit is found.
_BOUNDS: Final = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}

#: Where something stands in a configuration: ("strategy", "population").
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        key: where in the configuration; empty: in all of it.
        message: what was expected and what came.
        source: the file, "--set KEY", or "configuration" for one made in Python.
        line: counted from 1; None where it is not in a file.
    """

    key: Key
    message: str
    source: str = "configuration"
    line: int | None = None

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        dotted = ".".join(self.key)
        if not dotted or place == f"--set {dotted}":
            return f"{place}: {self.message}"
        return f"{place}: {dotted}: {self.message}"

    def data(self) -> dict[str, Any]:
        """Return the values by name, for ``tweann config check --json``."""
        return {
            "source": self.source,
            "line": self.line,
            "key": ".".join(self.key),
            "message": self.message,
        }


class FaultyConfigError(ConfigError):
    """A configuration with one fault or more; ``faults`` has them in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        head = "" if len(self.faults) == 1 else f"{len(self.faults)} faults in the configuration:\n"
        super().__init__(head + "\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[FaultyConfigError], tuple[tuple[Fault, ...]]]:
        return type(self), (self.faults,)


def unknown_keys(key: Key, found: Iterable[str], known: Sequence[str]) -> list[Fault]:
    """Return a fault for each of the ``found`` names at ``key`` that is not a ``known`` one."""
    return [
        Fault((*key, name), f"no such key{_known(name, known)}")
        for name in found
        if name not in known
    ]


def validation_faults(key: Key, error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Return pydantic's findings on the section at ``key`` as faults."""
    return [_fault(key, details, model) for details in error.errors(include_url=False)]


def _fault(key: Key, details: ErrorDetails, model: type[BaseModel]) -> Fault:
    place = (*key, *(str(part) for part in details["loc"]))
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return Fault(place, f"is missing{_described(details['loc'], model)}")
    if kind == "extra_forbidden":
        return Fault(place, f"no such key{_known(place[-1], list(model.model_fields))}")
    came = _came(details["input"])
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
        value = details["input"]
        hint = suggestion(value, choices) if isinstance(value, str) else ""
        return Fault(place, f"expected {expected}, came {came}{hint}")
    message = details["msg"]
    if kind == "value_error" and "error" in context:
        # Raised by a validator of ours or a plugin's: it says what was expected.
        return Fault(place, f"{context['error']}{'' if not details['loc'] else f', came {came}'}")
    if kind in _BOUNDS:
        sign, name = _BOUNDS[kind]
        return Fault(
            place,
            f"expected a number {sign} {_came(context[name]).removesuffix('.0')}, came {came}",
        )
    for prefix in ("Input should be ", "Input should "):
        if message.startswith(prefix):
            return Fault(place, f"expected {message.removeprefix(prefix)}, came {came}")
    return Fault(place, f"{message[:1].lower()}{message[1:]}, came {came}")


def _known(name: str, known: Sequence[str]) -> str:
    return suggestion(name, known) or f" (known: {', '.join(known) or 'none'})"


def _described(place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    if len(place) != 1:
        return ""
    field = model.model_fields.get(str(place[0]))
    return "" if field is None or not field.description else f": {field.description}"


def _came(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
