"""The configuration: what it accepts, how it is resolved, and what it says of faults."""

from __future__ import annotations

import copy
import json
import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_plugins
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tweann.config import (
    Config,
    FaultyConfigError,
    GenomeSettings,
    MutationSettings,
    NoSettings,
    RunSettings,
    SpeciesSettings,
    TaskSection,
    load,
)
from tweann.config.lines import key_lines
from tweann.config.reference import json_schema, markdown
from tweann.registry import KINDS_WITH_SETTINGS, Registry

ROOT = Path(__file__).parent.parent
MINIMAL = """
task = {name = "toy"}
strategy = {name = "still"}
storage = {url = "ledger:here"}
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Registry.load()
    registry.register_module(sample_plugins, distribution="samples")
    return registry


def loaded(registry: Registry, text: str, tmp_path: Path, *overrides: str) -> Config:
    file = tmp_path / "run.toml"
    file.write_text(text)
    return load(file, overrides, registry)


def faults(registry: Registry, text: str, tmp_path: Path, *overrides: str) -> list[str]:
    """The faults of a file, as texts; the folder is cut off."""
    with pytest.raises(FaultyConfigError) as caught:
        loaded(registry, text, tmp_path, *overrides)
    assert caught.value.exit_status == 2
    assert all(str(fault) in str(caught.value) for fault in caught.value.faults)
    return [str(fault).replace(f"{tmp_path}/", "") for fault in caught.value.faults]


# --- what is accepted, and how it is resolved ---


def test_defaults_are_filled_in(registry: Registry, tmp_path: Path) -> None:
    config = loaded(registry, MINIMAL, tmp_path)
    assert (config.run.seed, config.run.generations, config.run.stop_when_solved) == (1, 500, True)
    assert config.genome.activations == ("tanh",)
    assert config.mutation == MutationSettings()
    assert config.species == SpeciesSettings()
    assert config.strategy.name == "still"
    assert config.strategy.settings == sample_plugins.Still.Settings()
    assert config.evaluation.backend is None
    assert config.storage.name == "ledger"
    assert config.storage.settings == sample_plugins.Ledger.Settings(url="ledger:here")
    assert list(config.observers) == ["progress", "metrics"]


@pytest.mark.parametrize(
    ("given_ending", "generations"),
    [("", 500), ("evaluations = 9", None), ("seconds = 1.5", None), ("target_fitness = 0", None)],
)
def test_500_generations_end_a_run_that_names_no_ending(
    registry: Registry, tmp_path: Path, given_ending: str, generations: int | None
) -> None:
    config = loaded(registry, f"{MINIMAL}[run]\n{given_ending}", tmp_path)
    assert config.run.generations == generations


def test_a_plugins_keys_stand_beside_the_sections_own(registry: Registry, tmp_path: Path) -> None:
    text = """
    [task]
    name = "grow"
    file = "data/table.csv"
    folds = 3
    [strategy]
    name = "still"
    population = 7
    layers = [1, 2]
    [evaluation]
    backend = "lane"
    workers = 2
    chunk = 4
    [storage]
    url = "ledger:x"
    pages = 2
    [observers.diary]
    name = "mine"
    """
    config = loaded(registry, text, tmp_path)
    assert config.task.settings == sample_plugins.Grow.Settings(
        file=tmp_path / "data/table.csv", folds=3
    )
    assert config.strategy.settings == sample_plugins.Still.Settings(population=7, layers=(1, 2))
    assert config.evaluation.settings == sample_plugins.Lane.Settings(chunk=4)
    assert config.evaluation.workers == 2
    assert config.storage.settings == sample_plugins.Ledger.Settings(url="ledger:x", pages=2)
    assert config.observers == {"diary": sample_plugins.Diary.Settings(name="mine")}


def test_relative_paths_start_at_the_file_and_in_overrides_at_the_working_folder(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    text = f'{MINIMAL}[genome]\nstart = "../seeds/a.tweann"\n[run]\nname = "a"\n'
    config = loaded(registry, text, tmp_path, "strategy.table=t.csv")
    assert config.genome.start == tmp_path.parent / "seeds/a.tweann"
    assert config.strategy.settings == sample_plugins.Still.Settings(table=elsewhere / "t.csv")
    assert load(tomllib.loads(text), registry=registry).genome.start == tmp_path / "seeds/a.tweann"


def test_the_resolved_file_gives_the_same_configuration(registry: Registry, tmp_path: Path) -> None:
    text = (
        '[task]\nname = "grow"\nfile = "a.csv"\n[strategy]\nname = "still"\npressure = 1.25e-3\n'
        '[storage]\nurl = "ledger:{run_dir}"\n[run]\nname = "a.b-c_d"\nseconds = 2.5\n'
        '[observers]\ndiary = {name = "with \\"quotes\\" and ü"}\nmetrics = true\n'
    ).replace("1.25e-3", "1.25")
    config = loaded(registry, text, tmp_path, f"run.seed={2**63 - 1}", "genome.activations=['sin']")
    other = tmp_path / "other"
    other.mkdir()
    again = loaded(registry, config.to_toml(), other)
    assert again == config
    assert again.to_toml() == config.to_toml()
    assert again.run.seed == 2**63 - 1


@given(
    seed=st.integers(0, 2**63 - 1),
    rate=st.floats(0, 1),
    bound=st.floats(1e-300, 1e300),
    fitness=st.floats(allow_nan=False, allow_infinity=False),
    names=st.lists(st.sampled_from(["sin", "cos", "tanh", "steep"]), min_size=1, unique=True),
    note=st.text(max_size=20),
)
def test_no_value_is_lost_on_the_way_through_a_file(
    seed: int, rate: float, bound: float, fitness: float, names: list[str], note: str
) -> None:
    registry = Registry.load()
    registry.register_module(sample_plugins)
    source = {
        "run": {"seed": seed, "target_fitness": fitness},
        "task": {"name": "toy"},
        "genome": {"activations": names, "weight_bound": bound},
        "mutation": {"weights_rate": rate},
        "strategy": {"name": "still"},
        "storage": {"url": "ledger:"},
        "observers": {"diary": {"name": note}},
    }
    config = load(source, registry=registry)
    assert load(tomllib.loads(config.to_toml()), registry=registry) == config
    assert config.run.target_fitness == fitness
    assert config.mutation.weights_rate == rate


def test_a_configuration_is_immutable_and_survives_pickle_and_copy(
    registry: Registry, tmp_path: Path
) -> None:
    config = loaded(registry, MINIMAL, tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        config.run.seed = 3  # type: ignore[misc] # that it must fail is the point
    assert pickle.loads(pickle.dumps(config)) == config
    assert copy.deepcopy(config) == config


def test_values_of_numpy_and_paths_may_come_from_python(registry: Registry) -> None:
    source = {
        "run": {"seed": np.int64(5)},
        "task": {"name": "grow", "file": Path("/data/a.csv")},
        "strategy": {"name": "still", "population": np.int32(4), "layers": (1,)},
        "storage": {"url": "ledger:"},
        "mutation": {"weights_rate": np.float64(0.5)},
    }
    config = load(source, {"strategy.pressure": 1.5}, registry)
    assert config.run.seed == 5
    assert config.task.settings == sample_plugins.Grow.Settings(file=Path("/data/a.csv"))
    assert config.strategy.settings == sample_plugins.Still.Settings(
        population=4, layers=(1,), pressure=1.5
    )
    assert source["run"] == {"seed": np.int64(5)}  # overrides are written into a copy


def test_a_task_may_be_given_as_an_object(registry: Registry) -> None:
    task = TaskSection(name="function", settings=NoSettings())
    source: dict[str, Any] = {"strategy": {"name": "still"}, "storage": {"url": "ledger:"}}
    assert load(source, registry=registry, task=task).task == task
    with pytest.raises(FaultyConfigError, match="task: the task is given as an object"):
        load({**source, "task": {"name": "toy"}}, registry=registry, task=task)


# --- overrides ---


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("strategy.layers=[5, 6]", (5, 6)),
        ("strategy.layers = [ 7 ]", (7,)),
    ],
)
def test_an_override_is_a_toml_value(
    registry: Registry, tmp_path: Path, override: str, value: tuple[int, ...]
) -> None:
    config = loaded(registry, MINIMAL, tmp_path, override)
    assert config.strategy.settings == sample_plugins.Still.Settings(layers=value)


@pytest.mark.parametrize(
    ("override", "name"),
    [("run.name=plain", "plain"), ('run.name="2024"', "2024"), ("run.name=a.b", "a.b")],
)
def test_an_override_that_is_no_toml_value_is_a_bare_string(
    registry: Registry, tmp_path: Path, override: str, name: str
) -> None:
    assert loaded(registry, MINIMAL, tmp_path, override).run.name == name


def test_the_last_override_of_a_key_counts(registry: Registry, tmp_path: Path) -> None:
    assert loaded(registry, MINIMAL, tmp_path, "run.seed=2", "run.seed=3").run.seed == 3


@pytest.mark.parametrize(
    ("text", "overrides", "names"),
    [
        ("", ["observers.progress=false"], ["metrics"]),
        ("", ["observers.diary.name=x"], ["progress", "metrics", "diary"]),
        ("", ["observers.metrics.max_lines=9"], ["progress", "metrics"]),
        ("[observers]", [], []),
        ("[observers]\nprogress = false\ndiary = true", [], ["diary"]),
        ("[observers.diary]", ["observers.progress=true"], ["diary", "progress"]),
        ("[observers.diary]", ["observers.progress=false"], ["diary"]),
    ],
)
def test_which_observers_are_on(
    registry: Registry, tmp_path: Path, text: str, overrides: list[str], names: list[str]
) -> None:
    assert list(loaded(registry, f"{MINIMAL}{text}", tmp_path, *overrides).observers) == names


# --- faults ---


def test_all_faults_are_reported_at_once_each_with_its_line(
    registry: Registry, tmp_path: Path
) -> None:
    text = """\
[run]
seed = -1
generatons = 3
[task]
name = "tooy"
[genome]
activations = [
    "tanh",  # ] not the end
    "tanhh",
]
initial = "ful"
max_nodes = 65536
[strategy]
name = "still"
population = "many"
pressure = 1
[mutations]
x = 1
[observers.diary]
nane = "x"
"""
    assert faults(registry, text, tmp_path, "species.c1=-1", "storage.url=ledger:") == [
        "run.toml:2: run.seed: expected a number >= 0, came -1",
        "run.toml:3: run.generatons: no such key; did you mean 'generations'?",
        "run.toml:5: task.name: no task 'tooy' is registered; did you mean 'toy'? "
        f"(known: {', '.join(registry.names('task'))})",
        "run.toml:11: genome.initial: expected 'full', 'none' or 'partial', came 'ful'; "
        "did you mean 'full'?",
        "run.toml:12: genome.max_nodes: expected a number <= 65535, came 65536",
        "run.toml:15: strategy.population: expected a valid integer, came 'many'",
        "run.toml:16: strategy.pressure: expected a number > 1, came 1",
        "run.toml:17: mutations: no such section; did you mean 'mutation'?",
        "run.toml:20: observers.diary.nane: no such key; did you mean 'name'?",
        "--set species.c1: expected a number >= 0, came -1",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[genome]\nactivations = ['tanhh']", "'tanhh' is not known; did you mean 'tanh'?"),
        ("[genome]\nactivations = []", "at least 1 item"),
        ("[genome]\nactivations = ['sin', 'sin']", "'sin' comes twice"),
        ("[genome]\naggregations = ['summ']", "'summ' is not known; did you mean 'sum'?"),
        ("[genome]\noutput_activation = 'atuo'", "did you mean 'auto'?"),
        ("[genome]\ncolumn_groups = ['birth']", "did you mean 'births'?"),
        ("[run]\nname = 'a/b'", "run.name: "),
        ("[run]\nseed = 9223372036854775808", "expected a number <= 9223372036854775807"),
        ("[run]\nseed = '5'", "expected a valid integer, came '5'"),
        ("[run]\nseed = true", "expected a valid integer, came True"),
        ("[run]\ntarget_fitness = nan", "expected a finite number, came nan"),
        ("[evaluation]\nchunk = 3", "evaluation.chunk: no such key (known: backend, "),
        ("[evaluation]\nbackend = 'lane'\nchunks = 3", "did you mean 'chunk'?"),
        ("[observers]\ndiary = 3", "expected a table, [observers.diary], or false; came 3"),
        ("[observers.dairy]", "no observer 'dairy' is registered; did you mean 'diary'?"),
        ("observers = 3", "expected a table, [observers], came 3"),
    ],
)
def test_a_fault_says_what_was_expected(
    registry: Registry, tmp_path: Path, text: str, fault: str
) -> None:
    first = "" if text.startswith("[") else f"{text}\n"
    (found,) = faults(registry, f"{first}{MINIMAL}{text if not first else ''}", tmp_path)
    assert fault in found


def test_a_missing_task_is_asked_for_by_name(registry: Registry, tmp_path: Path) -> None:
    text = MINIMAL.replace('task = {name = "toy"}', "")
    (found,) = faults(registry, text, tmp_path)
    assert found.startswith("run.toml: task.name: is missing; expected the name of a task (known: ")
    (found,) = faults(registry, f'{text}[task]\nfile = "x"', tmp_path)
    assert found.startswith("run.toml:5: task.name: is missing")


def test_a_plugin_may_not_use_a_key_of_the_section(registry: Registry, tmp_path: Path) -> None:
    (found,) = faults(registry, MINIMAL.replace("toy", "greedy"), tmp_path)
    assert found == (
        "run.toml:2: task.name: the Settings of task 'greedy' must not have the key 'name': "
        "it is the section's own"
    )


def test_a_missing_key_of_a_plugin_is_named(registry: Registry, tmp_path: Path) -> None:
    (found,) = faults(registry, MINIMAL.replace("toy", "grow"), tmp_path)
    assert found == "run.toml:2: task.file: is missing"


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("run.seed", '--set run.seed: expected "section.key=value"'),
        ("seed=3", "--set seed: expected \"section.key=value\", came key 'seed'"),
        ("run..seed=3", "--set run..seed: expected \"section.key=value\", came key 'run..seed'"),
        ("run.seed.x=3", "--set run.seed.x: 'seed' is no table but 5: it has no keys to set"),
        ("run.sed=3", "--set run.sed: no such key; did you mean 'seed'?"),
        ("stategy.x=3", "--set stategy.x: stategy: no such section; did you mean 'strategy'?"),
        ("run.seed=x\ny=3", "--set run.seed: expected a valid integer, came 'x\\ny=3'"),
    ],
)
def test_a_faulty_override_is_reported_as_such(
    registry: Registry, tmp_path: Path, override: str, fault: str
) -> None:
    assert faults(registry, f"{MINIMAL}[run]\nseed = 5", tmp_path, override) == [fault]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[run\nseed = 1", "is not valid TOML"),
        (b"seed = 1\nseed = = 2\n", "(at line 2, "),
        (b"\xff\xfe", "expected UTF-8 text"),
        (b"#" * 1_000_001, "expected a configuration of at most 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(
    registry: Registry, tmp_path: Path, content: bytes, fault: str
) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(content)
    with pytest.raises(FaultyConfigError) as caught:
        load(file, registry=registry)
    assert fault in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(FaultyConfigError, match=r"absent\.toml: no such file"):
        load(tmp_path / "absent.toml", registry=registry)
    with pytest.raises(FaultyConfigError, match="cannot be read"):
        load(tmp_path, registry=registry)


def test_faults_survive_pickle(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(FaultyConfigError) as caught:
        loaded(registry, f"{MINIMAL}[run]\nsed = 1", tmp_path)
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults


# --- where keys stand ---


def test_lines_are_found_behind_strings_arrays_comments_and_inline_tables() -> None:
    text = '''\
a = 1 # b = 2
"b.c" = """
x = 1
[no]""\\"
"""
'd' . e = [ # ]
  "]", \'[\', # [
  [1, 2],
]
[ t . "u v" ] # c
f = { g = 1, h = "}" }
w = "[[["
[[islands]]
n = \'\'\'
[x]
\'\'\'
[[islands]]
n = 2
'''
    tomllib.loads(text)
    assert key_lines(text) == {
        ("a",): 1,
        ("b.c",): 2,
        ("d",): 6,
        ("d", "e"): 6,
        ("t", "u v"): 10,
        ("t", "u v", "f"): 11,
        ("t", "u v", "w"): 12,
        ("islands",): 13,
        ("islands", "n"): 14,
    }


# --- the reference ---


def test_the_schema_has_every_section_key_and_plugin(registry: Registry) -> None:
    schema = json.loads(json.dumps(json_schema(registry)))
    properties = schema["properties"]
    assert list(Config.model_fields) == sorted(properties, key=list(Config.model_fields).index)
    for name, model in (("run", RunSettings), ("genome", GenomeSettings)):
        assert set(properties[name]["properties"]) == set(model.model_fields)
    tasks = {
        choice["properties"]["name"]["const"]: choice for choice in properties["task"]["anyOf"]
    }
    assert set(tasks["grow"]["properties"]) == {"name", "file", "folds"}
    assert set(tasks["grow"]["required"]) == {"name", "file"}
    assert "diary" in properties["observers"]["properties"]


def test_every_key_has_a_description() -> None:
    registry = Registry.load()
    models: list[type[BaseModel]] = [
        RunSettings,
        GenomeSettings,
        MutationSettings,
        SpeciesSettings,
    ]
    models += [
        registry.resolve(kind, name).Settings
        for kind in KINDS_WITH_SETTINGS
        for name in registry.names(kind)
    ]
    nameless = [
        f"{model.__module__}.{model.__qualname__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description and name != "url"  # described by its section
    ]
    assert nameless == []


def test_the_reference_page_is_what_the_models_say() -> None:
    written = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert written == markdown(Registry.load()), (
        "run `tweann config schema --markdown > docs/configuration.md`"
    )
