"""One table of a configuration as a model, with all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from tweann.config.errors import Fault, Key, unknown_keys, validation_faults
from tweann.registry import Registry

M = TypeVar("M", bound=BaseModel)


def validate(
    model: type[M],
    key: Key,
    table: Mapping[str, Any],
    registry: Registry,
    also_known: Sequence[str] = (),
) -> tuple[M | None, list[Fault]]:
    """Return ``table`` as a ``model``, or None, and what is wrong.

    Args:
        model: any plugin's, too.
        key: where the table stands.
        table: TOML values.
        registry: the validators of settings that name plugins find it as ``info.context["registry"]``.
        also_known: keys that are somebody else's, for suggestions.
    """
    faults: list[Fault] = []
    known = set(model.model_fields) | {
        field.alias for field in model.model_fields.values() if field.alias
    }
    if model.model_config.get("extra") != "allow":
        shown = [*also_known, *(name for name in model.model_fields if name not in also_known)]
        faults += unknown_keys(key, [name for name in table if name not in known], shown)
        table = {name: value for name, value in table.items() if name in known}
    try:
        # By way of JSON and strictly: a "5" is not a number, but a list may become a tuple and a
        # string a path, also in a plugin's model that does not ask for it.
        text = to_json(table, inf_nan_mode="constants", fallback=_plain)
        found = model.model_validate_json(text, strict=True, context={"registry": registry})
    except ValidationError as error:
        return None, faults + validation_faults(key, error, model)
    except (PydanticSerializationError, TypeError, ValueError) as error:
        return None, [*faults, Fault(key, f"expected TOML values: {error}")]
    return found, faults


def _plain(value: object) -> Any:
    """Return a number of numpy as one of Python, for JSON."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(f"a {type(value).__name__} cannot stand in a configuration")
