"""Reads a configuration: file or mapping, overrides, plugins' settings; reports all faults at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from tweann.config.errors import Fault, FaultyConfigError, Key, unknown_keys
from tweann.config.lines import key_lines, line_of
from tweann.config.sections import (
    BridgeSection,
    CheckpointSettings,
    ComplexitySettings,
    Config,
    EvaluationSection,
    GenomeSettings,
    LineageSettings,
    MutationSettings,
    NoSettings,
    PluginSection,
    RunSettings,
    Section,
    SpeciesSettings,
    StorageSection,
    StrategySection,
    TaskSection,
    TuningSettings,
)
from tweann.config.validation import validate
from tweann.errors import TweannError
from tweann.genes import ACTIVATIONS, AGGREGATIONS, COLUMN_GROUPS, DYNAMICS, PLASTICITY_RULES
from tweann.registry import Registry, default_registry, suggestion

#: A configuration is written by hand: a larger file is something else.
MAX_FILE_BYTES: Final = 1_000_000
#: The observers of a configuration that says nothing of observers.
DEFAULT_OBSERVERS: Final = ("progress", "metrics")

SECTIONS: Final = tuple(Config.model_fields)

M = TypeVar("M", bound=BaseModel)
S = TypeVar("S", bound=Section)
P = TypeVar("P", bound=PluginSection)
Overrides = Mapping[str, Any] | Sequence[str]


def load(
    source: str | Path | Mapping[str, Any],
    overrides: Overrides = (),
    registry: Registry | None = None,
    *,
    task: TaskSection | None = None,
) -> Config:
    """Read a configuration and return it resolved.

    Relative paths are taken from the file's folder, those of overrides and mappings from the working one.

    Args:
        source: a TOML file, or the same as nested tables.
        overrides: "section.key=value" texts, the value in TOML or a bare string; or values by
            "section.key". ``observers.NAME=false`` switches an observer off.
        registry: where the plugins are; by default the installed ones.
        task: a task that is no plugin; then there must be no section [task].

    Raises:
        FaultyConfigError: the file cannot be read, or one value or more is wrong. All are reported.
    """
    lines: dict[Key, int] = {}
    if isinstance(source, Mapping):
        name, folder, tables = "configuration", Path.cwd(), _copied(source)
    else:
        path = Path(source)
        name, folder = str(path), path.parent
        tables, lines = _read(path)
    faults: list[Fault] = []
    overridden = _override(tables, overrides, faults)
    loader = _Loader(
        registry or default_registry(), Path(os.path.abspath(folder)), overridden, faults
    )
    config = loader.config(tables, task)
    if config is None or faults:
        placed = [_placed(fault, name, lines, overridden) for fault in faults]
        raise FaultyConfigError(
            sorted(placed, key=lambda fault: (fault.line is None, fault.line or 0))
        )
    return config


class _Loader:
    """Turns tables into sections; what is wrong goes to ``faults`` and the section is None."""

    def __init__(
        self, registry: Registry, folder: Path, overridden: Mapping[Key, Any], faults: list[Fault]
    ) -> None:
        self._registry = registry
        self._folder = folder
        self._overridden = overridden
        self._faults = faults

    def config(self, tables: dict[str, Any], task: TaskSection | None) -> Config | None:
        for name in tables:
            if name not in SECTIONS:
                hint = suggestion(name, SECTIONS) or f" (known: {', '.join(SECTIONS)})"
                self._fault((name,), f"no such section{hint}")
        for name in SECTIONS:
            if not isinstance(tables.get(name, {}), dict):
                self._fault((name,), f"expected a table, [{name}], came {tables.pop(name)!r}")
        if task is None:
            task = self._plugin_section(TaskSection, "task", tables, lambda section: section.name)
        elif "task" in tables:
            self._fault(("task",), "the task is given as an object: leave this section out")
        run = self._section(RunSettings, "run", tables)
        if run is not None:
            self._check_files(run)
            run = run.model_copy(update={"plugins": self._registry.files})
        sections = {
            "run": run,
            "task": task,
            "genome": self._section(GenomeSettings, "genome", tables),
            "mutation": self._section(MutationSettings, "mutation", tables),
            "complexity": self._section(ComplexitySettings, "complexity", tables),
            "species": self._section(SpeciesSettings, "species", tables),
            "tuning": self._section(TuningSettings, "tuning", tables),
            "strategy": self._plugin_section(
                StrategySection, "strategy", tables, lambda section: section.name
            ),
            "evaluation": self._plugin_section(
                EvaluationSection, "evaluation", tables, lambda section: section.backend, "backend"
            ),
            "storage": self._plugin_section(
                StorageSection, "storage", tables, lambda section: section.name
            ),
            "checkpoint": self._section(CheckpointSettings, "checkpoint", tables),
            "lineage": self._section(LineageSettings, "lineage", tables),
            "observers": self._observers(tables.get("observers")),
            "bridge": None
            if "bridge" not in tables
            else self._plugin_section(
                BridgeSection, "bridge", tables, lambda section: section.exchange, "exchange"
            ),
        }
        if isinstance(sections["genome"], GenomeSettings):
            self._check_names(sections["genome"])
        strategy = sections["strategy"]
        if isinstance(strategy, StrategySection):
            self._check_population(strategy)
        return None if self._faults else Config.model_validate(sections)

    def _section(self, model: type[S], name: str, tables: Mapping[str, Any]) -> S | None:
        return self._model(model, (name,), tables.get(name, {}))

    def _plugin_section(
        self,
        model: type[P],
        name: str,
        tables: Mapping[str, Any],
        chosen: Callable[[P], str | None],
        kind: str | None = None,
    ) -> P | None:
        """Return the section ``name``: its own keys, then its plugin's settings from the others."""
        table: Mapping[str, Any] = tables.get(name, {})
        own = {key: value for key, value in table.items() if key in model.own_keys()}
        rest = {key: value for key, value in table.items() if key not in own}
        kind = kind or name
        if (
            "name" in model.own_keys()
            and "name" not in own
            and model.model_fields["name"].is_required()
        ):
            known = ", ".join(self._registry.names(kind))
            self._fault(
                (name, "name"), f"is missing; expected the name of a {kind} (known: {known})"
            )
            return None
        section = self._model(model, (name,), own)
        if section is None:
            return None
        plugin = chosen(section)
        settings: BaseModel | None = NoSettings()
        if plugin is None:
            self._faults += unknown_keys((name,), rest, model.own_keys())
        else:
            key = "url" if isinstance(section, StorageSection) else kind if kind != name else "name"
            settings_model = self._settings_model(kind, plugin, (name, key))
            if settings_model is None:
                return None
            taken = set(settings_model.model_fields) & set(model.own_keys())
            if isinstance(section, StorageSection) and "url" in taken:
                # A storage finds its own place in the URL: that key it may share.
                rest["url"] = section.url
                taken.remove("url")
            if taken:
                self._fault(
                    (name, key),
                    f"the Settings of {kind} {plugin!r} must not have the key {min(taken)!r}: "
                    "it is the section's own",
                )
                return None
            settings = self._model(settings_model, (name,), rest, also_known=model.own_keys())
        return None if settings is None else section.model_copy(update={"settings": settings})

    def _observers(self, table: Mapping[str, Any] | None) -> dict[str, BaseModel]:
        """Return the settings of the observers that are on."""
        observers: dict[str, BaseModel] = {}
        chosen = dict.fromkeys(DEFAULT_OBSERVERS, True) if table is None else table
        for name, value in chosen.items():
            key = ("observers", name)
            if value is False:
                continue
            given = {} if value is True else value
            if not isinstance(given, dict):
                self._fault(key, f"expected a table, [observers.{name}], or false; came {value!r}")
                continue
            model = self._settings_model("observer", name, key)
            settings = None if model is None else self._model(model, key, given)
            if settings is not None:
                observers[name] = settings
        return observers

    def _settings_model(self, kind: str, name: str, key: Key) -> type[BaseModel] | None:
        try:
            model: type[BaseModel] = self._registry.resolve(kind, name).Settings
        except TweannError as error:
            self._fault(key, str(error))
            return None
        return model

    def _model(
        self, model: type[M], key: Key, table: Mapping[str, Any], also_known: Sequence[str] = ()
    ) -> M | None:
        """Return ``table`` as a ``model`` with absolute paths, or None and leave faults."""
        found, faults = validate(model, key, table, self._registry, also_known)
        self._faults += faults
        if found is None:
            return None
        return self._anchored(found, key)

    def _anchored(self, model: M, key: Key) -> M:
        """Return ``model`` with its relative paths made absolute.

        A path that equals its default is left alone: what that is relative to is the model's affair.
        """
        absolute: dict[str, Any] = {}
        for name in model.model_fields_set & set(type(model).model_fields):
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                absolute[name] = self._anchored(value, (*key, name))
            elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
                absolute[name] = tuple(self._anchored(inner, (*key, name)) for inner in value)
            elif isinstance(value, Path) and value != type(model).model_fields[name].default:
                given_here = any((*key, name)[: len(o)] == o for o in self._overridden)
                folder = Path.cwd() if given_here else self._folder
                absolute[name] = Path(os.path.abspath(folder / value.expanduser()))
        return model.model_copy(update=absolute) if absolute else model

    def _check_files(self, run: RunSettings) -> None:
        """Report one-file plugins that are named and were not given: data does not make code run."""
        given = {os.path.basename(file) for file in self._registry.files}
        for file in run.plugins:
            path = os.path.abspath(self._folder / file)
            if os.path.basename(path) not in given:
                self._fault(
                    ("run", "plugins"),
                    f"the plugin {path} is Python code, which runs only if you say so: if you trust it, add "
                    f"`--plugin {path}`, or from Python call Registry.register_file",
                )

    def _check_names(self, genome: GenomeSettings) -> None:
        activations = (*ACTIVATIONS, *self._registry.names("activation"))
        self._check_all(("genome", "activations"), genome.activations, activations)
        self._check_all(("genome", "aggregations"), genome.aggregations, AGGREGATIONS)
        self._check_all(
            ("genome", "output_activation"), [genome.output_activation], ("auto", *activations)
        )
        self._check_all(("genome", "column_groups"), genome.column_groups, tuple(COLUMN_GROUPS))
        self._check_all(("genome", "dynamics"), genome.dynamics, DYNAMICS)
        self._check_all(("genome", "plasticity"), genome.plasticity, PLASTICITY_RULES)
        for name in ("initial_inputs", "initial_outputs"):
            chosen = getattr(genome, name)
            if isinstance(chosen, tuple):
                self._check_all(("genome", name), chosen, None)
            elif chosen is not None and chosen < (name == "initial_outputs"):
                self._fault(("genome", name), f"expected names or how many, came {chosen}")
        self._check_all(("genome", "unconnected_inputs"), genome.unconnected_inputs, None)

    def _check_all(self, key: Key, names: Sequence[str], known: Sequence[str] | None) -> None:
        for n, name in enumerate(names):
            if known is not None and name not in known:
                hint = suggestion(name, known) or f" (known: {', '.join(known)})"
                self._fault(key, f"{name!r} is not known{hint}")
            elif name in names[:n]:
                self._fault(key, f"{name!r} comes twice")

    def _check_population(self, strategy: StrategySection) -> None:
        population = getattr(strategy.settings, "population", None)
        if not isinstance(population, int) or population < 1:
            self._fault(
                ("strategy", "name"),
                f"the Settings of strategy {strategy.name!r} must have `population`, an integer > 0; "
                f"came {population!r}",
            )

    def _fault(self, key: Key, message: str) -> None:
        self._faults.append(Fault(key, message))


def _read(path: Path) -> tuple[dict[str, Any], dict[Key, int]]:
    """Return the tables of a TOML file and the line of each key."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(f"expected a configuration of at most {MAX_FILE_BYTES} bytes")
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        return tomllib.loads(text), key_lines(text)
    except FileNotFoundError:
        message = "no such file"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        message = f"expected UTF-8 text: {error}"
    except tomllib.TOMLDecodeError as error:
        message = f"is not valid TOML: {error}"
    except ValueError as error:
        message = str(error)
    raise FaultyConfigError([Fault((), message, str(path))])


def _override(tables: dict[str, Any], overrides: Overrides, faults: list[Fault]) -> dict[Key, Any]:
    """Write the overrides into ``tables`` and return them by key."""
    found: dict[Key, Any] = {}
    for dotted, value in _override_items(overrides, faults):
        key = tuple(dotted.split("."))
        if len(key) < 2 or not all(key):
            faults.append(
                Fault((), f'expected "section.key=value", came key {dotted!r}', f"--set {dotted}")
            )
            continue
        if key[0] == "observers" and "observers" not in tables:
            tables["observers"] = dict.fromkeys(DEFAULT_OBSERVERS, True)
        table = tables
        for part in key[:-1]:
            inner = table.get(part)
            if inner is None or inner is True or inner is False:
                inner = table[part] = {}
            if not isinstance(inner, dict):
                message = f"{part!r} is no table but {inner!r}: it has no keys to set"
                faults.append(Fault((), message, f"--set {dotted}"))
                break
            table = inner
        else:
            table[key[-1]] = value
            found[key] = value
    return found


def _override_items(overrides: Overrides, faults: list[Fault]) -> Iterable[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        yield from overrides.items()
        return
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals:
            faults.append(Fault((), 'expected "section.key=value"', f"--set {text}"))
        else:
            yield dotted.strip(), toml_value(value.strip())


def toml_value(text: str) -> Any:
    """Return ``text`` as a TOML value; what is none is a bare string."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def _placed(fault: Fault, name: str, lines: dict[Key, int], overridden: Mapping[Key, Any]) -> Fault:
    """Return ``fault`` with the place that it comes from: an override, or a line of the file."""
    if fault.source != "configuration":
        return fault
    for key in overridden:
        shorter = min(len(key), len(fault.key))
        if key[:shorter] == fault.key[:shorter] and (len(key) == shorter or fault.key not in lines):
            return Fault(fault.key, fault.message, f"--set {'.'.join(key)}")
    return Fault(fault.key, fault.message, name, line_of(lines, fault.key))


def _copied(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested mappings as dicts of our own, for overrides to write into."""
    return {
        str(key): _copied(value) if isinstance(value, Mapping) else value
        for key, value in source.items()
    }
