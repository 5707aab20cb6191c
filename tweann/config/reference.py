"""What may stand in a configuration: as a JSON schema for editors, as a page for readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from tweann.config.loading import DEFAULT_OBSERVERS
from tweann.config.sections import (
    BridgeSection,
    CheckpointSettings,
    ComplexitySettings,
    EvaluationSection,
    GenomeSettings,
    LineageSettings,
    MutationSettings,
    PluginSection,
    RunSettings,
    Section,
    SpeciesSettings,
    StorageSection,
    StrategySection,
    TaskSection,
    TuningSettings,
)
from tweann.errors import TweannError
from tweann.registry import Registry

#: The sections without a plugin's part, by name.
_PLAIN: Final[dict[str, type[Section]]] = {
    "run": RunSettings,
    "genome": GenomeSettings,
    "mutation": MutationSettings,
    "complexity": ComplexitySettings,
    "species": SpeciesSettings,
    "tuning": TuningSettings,
    "checkpoint": CheckpointSettings,
    "lineage": LineageSettings,
}
#: The sections with a plugin's part: the model, the kind of plugin, the key that chooses it.
_SHARED: Final[dict[str, tuple[type[PluginSection], str, str]]] = {
    "task": (TaskSection, "task", "name"),
    "strategy": (StrategySection, "strategy", "name"),
    "evaluation": (EvaluationSection, "backend", "backend"),
    "storage": (StorageSection, "storage", "url"),
    "bridge": (BridgeSection, "exchange", "exchange"),
}

_HEAD = """\
# Configuration

A run is described by a TOML file. This page lists every section and key, with type, default and meaning;
it is what `tweann config schema --markdown` prints, and a test keeps the two equal.
`tweann config check FILE` reports every fault of a file at once, with its line; unknown keys are faults.
`tweann config show FILE` prints a file with all defaults filled in.

- `--set section.key=value` overrides a key for one run; the value is TOML, or a bare string.
- Relative paths are taken from the file's folder, in `--set` from the working folder.
- A run ends at whichever comes first of `generations`, `evaluations`, `seconds`, `target_fitness`, and, with
  `stop_when_solved`, when the task is solved.
- Without any `[observers]` table, `[observers.progress]` and `[observers.metrics]` are on; `progress = false`
  in `[observers]`, or `--set observers.progress=false`, switches one off.
- The run's folder holds `config.toml`, the resolved configuration: running it again repeats the run.
"""


def json_schema(registry: Registry) -> dict[str, Any]:
    """Return the JSON schema of a configuration, with the settings of all plugins that load."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        name: _model_schema(model, definitions) for name, model in _PLAIN.items()
    }
    for name, (section, kind, key) in _SHARED.items():
        own = _model_schema(section, definitions)
        own["properties"].pop("settings", None)
        choices = []
        for plugin, settings in _settings(registry, kind):
            theirs = _model_schema(settings, definitions)
            chosen = {"pattern": f"^{plugin}:"} if key == "url" else {"const": plugin}
            choices.append(
                {
                    "properties": {
                        **theirs.get("properties", {}),
                        **own["properties"],
                        key: {**own["properties"][key], **chosen},
                    },
                    "required": [*theirs.get("required", []), key],
                    "additionalProperties": theirs.get("additionalProperties", False),
                }
            )
        if key not in own.get("required", []):
            # The key may be left out: then the default is chosen, with the settings of that one.
            choices.append(_without_key(section, key, own, choices))
        properties[name] = {
            "type": "object",
            "description": own.get("description", ""),
            "anyOf": choices,
        }
    properties["observers"] = {
        "type": "object",
        "properties": {
            name: {"anyOf": [_model_schema(settings, definitions), {"type": "boolean"}]}
            for name, settings in _settings(registry, "observer")
        },
        "additionalProperties": False,
    }
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of a tweann run",
        "type": "object",
        "properties": properties,
        "required": ["task"],
        "additionalProperties": False,
    }
    return {**schema, "$defs": definitions} if definitions else schema


def _without_key(
    section: type[PluginSection], key: str, own: dict[str, Any], choices: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the alternative in which the choosing key is left out."""
    default = section.model_fields[key].default
    name = str(default).partition(":")[0]
    others = {other: value for other, value in own["properties"].items() if other != key}
    for choice in choices:
        chosen = choice["properties"][key]
        if name in (chosen.get("const"), str(chosen.get("pattern", "")).strip("^:")):
            theirs = {other: value for other, value in choice["properties"].items() if other != key}
            required = [other for other in choice["required"] if other != key]
            return {**choice, "properties": theirs, "required": required}
    return {"properties": others, "additionalProperties": False}


def _model_schema(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(schema.pop("$defs", {}))
    return schema


def markdown(registry: Registry) -> str:
    """Return the reference page of all sections and keys, with the plugins that load."""
    parts = [_HEAD]
    for name in (
        "run",
        "task",
        "genome",
        "mutation",
        "complexity",
        "species",
        "strategy",
        "evaluation",
        "storage",
        "bridge",
        "checkpoint",
        "lineage",
    ):
        if name in _PLAIN:
            model = _PLAIN[name]
            parts.append(f"## [{name}]\n\n{_first_line(model)}\n\n{_table(model)}")
            continue
        section, kind, key = _SHARED[name]
        parts.append(f"## [{name}]\n\n{_first_line(section)}\n\n{_table(section, ('settings',))}")
        for plugin, settings in _settings(registry, kind):
            choice = f'{key} = "{plugin}:…"' if key == "url" else f'{key} = "{plugin}"'
            table = _table(settings, section.own_keys())
            parts.append(f"### [{name}] with `{choice}`\n\n{table}")
    parts.append(
        "## [observers]\n\nOne table for each observer that acts in the run. On by default: "
        + ", ".join(f"`{name}`" for name in DEFAULT_OBSERVERS)
        + ".\n"
    )
    parts += [
        f"### [observers.{plugin}]\n\n{_table(settings)}"
        for plugin, settings in _settings(registry, "observer")
    ]
    return "\n".join(parts)


def _settings(registry: Registry, kind: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name in registry.names(kind):
        try:
            yield name, registry.resolve(kind, name).Settings
        except TweannError:  # a broken plugin cannot be described; `tweann plugins` says why
            continue


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0]


def _table(model: type[BaseModel], without: tuple[str, ...] = ()) -> str:
    schema = model.model_json_schema()
    rows = [
        f"| `{name}` | {_type(schema['properties'][name], schema.get('$defs', {}))} "
        f"| {_default(field.default, field.is_required())} | {_cell(field.description or '')} |"
        for name, field in model.model_fields.items()
        if name not in without
    ]
    if not rows:
        return "No keys of its own.\n"
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return a field's type and range in words, from its JSON schema."""
    if "$ref" in field:
        return _type(definitions[field["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in field:
        kinds = [_type(option, definitions) for option in field["anyOf"]]
        return " or ".join(kind for kind in kinds if kind != "null")
    if "const" in field:
        return f"`{_toml(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_toml(value)}`" for value in field["enum"])
    kind = str(field.get("type", "any"))
    if "prefixItems" in field:
        return f"[{', '.join(_type(item, definitions) for item in field['prefixItems'])}]"
    if kind == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    if kind == "object":
        return "table"
    if field.get("format") == "path":
        return "path"
    words = {
        "minimum": "≥ ",
        "exclusiveMinimum": "> ",
        "maximum": "≤ ",
        "exclusiveMaximum": "< ",
    }
    limits = ", ".join(
        f"{sign}{field[word]:g}" if isinstance(field[word], float) else f"{sign}{field[word]}"
        for word, sign in words.items()
        if word in field
    )
    return f"{kind} {limits}".strip()


def _default(value: Any, required: bool) -> str:
    if required:
        return "required"
    if value is None or value is PydanticUndefined:
        return "–"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    import tomlkit  # late: loading a configuration does not need it

    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    plain = value if isinstance(value, bool | int | float | str | dict) else str(value)
    return tomlkit.item(plain).as_string().strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
