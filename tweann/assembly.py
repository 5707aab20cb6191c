"""From a configuration to the parts of a run."""

from __future__ import annotations

import difflib
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from pydantic import BaseModel

from tweann.adaptation import OperatorCredit, RateControl
from tweann.codec import decode
from tweann.columns import law_table
from tweann.config import Config
from tweann.errors import ConfigError, PluginError
from tweann.genes import (
    ACTIVATIONS,
    AGGREGATIONS,
    COLUMN_GROUPS,
    DYNAMICS,
    MUTATIONS,
    PLASTICITY_RULES,
    Float,
    Int,
)
from tweann.genome import Genome, check_fits
from tweann.interfaces import (
    Backend,
    Exchange,
    ExchangeContext,
    Storage,
    Strategy,
    StrategyContext,
)
from tweann.kernels.breed import BreedingParameters
from tweann.kernels.columns import ColumnParameters
from tweann.kernels.enrich import EnrichParameters
from tweann.kernels.mutation import N_PLAIN, MutationParameters
from tweann.kernels.random import EDGES, make_key
from tweann.kernels.rollout import Scaling
from tweann.layout import Layout
from tweann.phases import Phases
from tweann.registry import Registry
from tweann.remote import Assignment
from tweann.seed import seed_network
from tweann.tasks.base import Task, TaskInfo, output_scaling
from tweann.tasks.repeated import Repeats
from tweann.tuning import Tuner
from tweann.workers import usable_cores

_ZERO = np.uint64(0)


def make_task(config: Config, registry: Registry) -> Task:
    """Return the task that the configuration names."""
    task: Task = registry.resolve("task", config.task.name)(config.task.settings)
    return task


def make_layout(config: Config, info: TaskInfo, registry: Registry) -> Layout:
    """Return the shape of the genomes: the task's sizes, the configuration's caps, all activations."""
    genome = config.genome
    wanted = {*genome.activations, output_activation(config, info)} - set(ACTIVATIONS)
    plugins = tuple(sorted(wanted))
    addresses = [activation_address(name, registry) for name in plugins]
    return Layout(
        info.n_inputs,
        info.n_outputs,
        max_nodes=genome.max_nodes,
        max_connections=genome.max_connections,
        recurrent=genome.recurrent,
        groups=column_groups(config),
        dt=info.dt,
        weight_bound=genome.weight_bound,
        activations=(*ACTIVATIONS, *plugins),
        custom=np.array(addresses, dtype=np.uint64),
    )


def column_groups(config: Config) -> tuple[str, ...]:
    """Return the optional column groups of the run, in the order of the table."""
    wanted = set(config.genome.groups())
    if config.mutation.adapt == "genes":
        wanted.add("adaptive")
    if config.tuning.needs_births:
        wanted.add("births")
    return tuple(name for name in COLUMN_GROUPS if name in wanted)


def activation_address(name: str, registry: Registry) -> int:
    """Return where the compiled activation ``name`` of a plugin lies.

    Raises:
        PluginError: it is no compiled function.
    """
    function = registry.resolve("activation", name)
    address = getattr(function, "address", None)
    if not isinstance(address, int):
        raise PluginError(
            f"activation {name!r} of {registry.find('activation', name).origin} must be a compiled function "
            f"(tweann.kernels._jit.callback(ACTIVATION)), came {type(function).__name__}"
        )
    return address


def output_activation(config: Config, info: TaskInfo) -> str:
    """Return the activation of the outputs: the configuration's, or what suits the task."""
    chosen = config.genome.output_activation
    return info.output_activation if chosen == "auto" else chosen


def make_strategy(config: Config, info: TaskInfo, registry: Registry) -> Strategy:
    """Return the strategy that the configuration names."""
    genome = config.genome
    context = StrategyContext(
        info, config.species, genome.bias, genome.weight_bound, genome.start is not None, registry
    )
    strategy: Strategy = registry.resolve("strategy", config.strategy.name)(
        config.strategy.settings, context
    )
    return strategy


def make_scaling(config: Config, info: TaskInfo) -> Scaling:
    """Return how the networks' outputs become what the task takes."""
    return output_scaling(info, output_activation(config, info))


def make_seed(config: Config, info: TaskInfo, layout: Layout) -> Genome:
    """Return the genome that fresh ones are copies of: the seed network, or that of a file."""
    settings = config.genome
    if settings.start is not None:
        return read_start(settings.start, layout, settings.weight_bound)
    _check_known("unconnected_inputs", settings.unconnected_inputs, "input", info.inputs, info.name)
    rng = Generator(Philox(key=int(make_key(np.uint64(config.run.seed), _ZERO, _ZERO, EDGES))))
    inputs = choose_ends("initial_inputs", settings.initial_inputs, "input", info.inputs, rng, info)
    outputs = choose_ends(
        "initial_outputs", settings.initial_outputs, "output", info.outputs, rng, info
    )
    connected = np.array(
        [
            i
            for i in inputs
            if settings.initial != "none" and info.inputs[i] not in settings.unconnected_inputs
        ],
        dtype=np.int64,
    )
    if connected.size * outputs.size > layout.max_connections:
        raise ConfigError(
            f"genome.max_connections = {layout.max_connections} is less than the "
            f"{connected.size * outputs.size} connections of the seed network: raise it, or set "
            'genome.initial = "none"'
        )
    activation = output_activation(config, info)
    return seed_network(layout, connected, activation, inputs=inputs, outputs=outputs)


def choose_ends(
    key: str,
    chosen: int | tuple[str, ...] | None,
    what: str,
    names: tuple[str, ...],
    rng: Generator,
    info: TaskInfo,
) -> Int:
    """Return which inputs or outputs a seed network has, ascending.

    Raises:
        ConfigError: a name is not known, or there are not so many.
    """
    if chosen is None:
        return np.arange(len(names))
    if isinstance(chosen, int):
        if chosen > len(names):
            raise ConfigError(f"genome.{key} = {chosen}: task {info.name} has {len(names)} {what}s")
        return np.sort(rng.permutation(len(names))[:chosen])
    _check_known(key, chosen, what, names, info.name)
    return np.array(sorted(names.index(name) for name in chosen), dtype=np.int64)


def _check_known(
    key: str, chosen: tuple[str, ...], what: str, names: tuple[str, ...], task: str
) -> None:
    for name in chosen:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise ConfigError(
                f"genome.{key}: task {task} has no {what} {name!r}{hint} ({what}s: {', '.join(names)})"
            )


def read_start(path: Path, layout: Layout, weight_bound: float) -> Genome:
    """Return the genome of a file for a warm start.

    Raises:
        ConfigError: there is no such file, or its genome does not fit the task and its caps.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"genome.start: cannot read {path}: {error.strerror}") from None
    try:
        genome = decode(data)
        check_fits(genome, layout)
    except ValueError as error:
        raise ConfigError(f"genome.start: {path}: {error}") from None
    largest = float(np.abs(np.concatenate((genome.weight, genome.bias))).max(initial=0.0))
    if largest > weight_bound:
        raise ConfigError(
            f"genome.start: {path}: a weight or bias of {largest:g} is beyond genome.weight_bound = {weight_bound:g}"
        )
    return genome


def mutation_rates(config: Config, layout: Layout) -> Float:
    """Return the rate of each operator, 0 for those that never find a place in the run."""
    g = config.genome
    timed, plastic = "dynamics" in layout.groups, "plasticity" in layout.groups
    warm = g.start is not None
    idle = {
        "add_delay": "delay" not in g.dynamics,
        "add_leaky": "leaky" not in g.dynamics,
        "add_input": g.initial_inputs is None and not warm,
        "add_output": g.initial_outputs is None and not warm,
        "change_dynamics": not timed or len(g.dynamics) == 1,
        "change_plasticity": not plastic or len(g.plasticity) == 1,
        "change_modulatory": not g.modulatory,
        "time_constants": not timed,
        "izhikevich": "izhikevich" not in layout.groups,
        "coefficients": not plastic,
    }
    return np.array(
        [0.0 if idle.get(name) else getattr(config.mutation, f"{name}_rate") for name in MUTATIONS]
    )


def has_controllers(config: Config, registry: Registry) -> bool:
    """Return whether an observer of the run may change settings."""
    hook = "tweann_settings_controlled"
    return any(hasattr(registry.resolve("observer", name), hook) for name in config.observers)


def make_control(config: Config, layout: Layout, counts: bool) -> RateControl | None:
    """Return what changes the rates of mutation as the run goes on, or None if nothing does.

    Args:
        config: of the run.
        layout: of its genomes.
        counts: whether observers may change them, by the success of children.

    Raises:
        ConfigError: genomes are to be pruned, and nothing would be deleted.
    """
    m, complexity = config.mutation, config.complexity
    rates, credit, phases = mutation_rates(config, layout), None, None
    if m.adapt == "success":
        credit = OperatorCredit(rates)
    if complexity.phased:
        if m.delete_connection_rate == 0.0 and m.delete_node_rate == 0.0:
            raise ConfigError(
                "complexity.phased needs something to prune with: set mutation.delete_connection_rate or "
                "mutation.delete_node_rate"
            )
        phases = Phases(complexity.room, complexity.patience)
    if credit is None and phases is None and not counts:
        return None
    return RateControl(rates, credit, phases, counts)


def make_columns(config: Config, layout: Layout) -> ColumnParameters:
    """Return how the optional columns of genomes vary."""
    m, g = config.mutation, config.genome
    node = [name for name, _ in layout.node_columns]
    connection = [name for name, _ in layout.connection_columns]
    return ColumnParameters(
        node_laws=law_table(layout.node_columns, layout.dt),
        connection_laws=law_table(layout.connection_columns, layout.dt),
        dynamics_column=node.index("dynamics") if "dynamics" in node else -1,
        modulatory_column=node.index("modulatory") if "modulatory" in node else -1,
        rule_column=connection.index("rule") if "rule" in connection else -1,
        dynamics=np.array([DYNAMICS.index(name) for name in g.dynamics], np.uint8),
        rules=np.array([PLASTICITY_RULES.index(name) for name in g.plasticity], np.uint8),
        replace_rate=m.constant_replace_rate,
        perturb_rate=m.constant_perturb_rate,
        power=m.constant_power,
    )


def make_enrichment(config: Config, info: TaskInfo, layout: Layout) -> EnrichParameters | None:
    """Return the parameters of breeding's second pass, or None where there is nothing for it to do."""
    columns, rates = make_columns(config, layout), mutation_rates(config, layout)[N_PLAIN:]
    if not rates.any() and columns.dynamics_column < 0 and columns.rule_column < 0:
        return None
    return EnrichParameters(
        rates=rates,
        n_inputs=layout.n_inputs,
        n_outputs=layout.n_outputs,
        output_activation=layout.activations.index(output_activation(config, info)),
        columns=columns,
    )


def make_breeding(
    config: Config, layout: Layout, template: int, info: TaskInfo | None = None
) -> BreedingParameters:
    """Return what all children of the run have in common; ``template`` is the seed network's block."""
    m, g = config.mutation, config.genome
    forgets = info is not None and info.forgets
    mutation = MutationParameters(
        rates=mutation_rates(config, layout)[:N_PLAIN],
        one=m.mode == "one",
        recurrent_share=m.recurrent_share if g.recurrent and not forgets else 0.0,
        replace_rate=m.weight_replace_rate,
        perturb_rate=m.weight_perturb_rate,
        power=m.weight_power,
        uniform=m.weight_distribution == "uniform",
        init_power=g.init_power,
        init_uniform=g.init_distribution == "uniform",
        bound=g.weight_bound,
        biases=g.bias,
        activations=np.array([layout.activations.index(a) for a in g.activations], np.uint8),
        aggregations=np.array([AGGREGATIONS.index(a) for a in g.aggregations], np.uint8),
        max_nodes=layout.max_nodes,
        max_connections=layout.max_connections,
        node_extra=layout.node_defaults,
        connection_extra=layout.connection_defaults,
    )
    return BreedingParameters(
        seed=np.uint64(config.run.seed),
        stream=np.uint64(make_stream(config)),
        template=template,
        keep_rate=g.initial_rate if g.initial == "partial" else 1.0,
        warm=g.start is not None,
        disable_rate=m.inherit_disabled_rate,
        mutation=mutation,
    )


def make_tuner(config: Config, layout: Layout) -> Tuner | None:
    """Return what tunes genomes, or None where none does."""
    if config.tuning.attempts == 0:
        return None
    genome = config.genome
    stream = make_stream(config)
    return Tuner(config.tuning, layout, config.run.seed, stream, genome.weight_bound, genome.bias)


def island_name(config: Config) -> str:
    """Return what the run is called among its peers."""
    return config.run.name if config.bridge is None else config.bridge.name or config.run.name


def make_stream(config: Config) -> int:
    """Return which of its seed's random streams the run has: 0, or that of the island's name."""
    if config.bridge is None:
        return 0
    digest = hashlib.blake2b(island_name(config).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def make_exchange(
    config: Config, info: TaskInfo, layout: Layout, run_dir: Path | None, registry: Registry
) -> Exchange | None:
    """Return the exchange that the configuration names, or None if it has no [bridge]."""
    if config.bridge is None:
        return None
    context = ExchangeContext(
        name=island_name(config),
        run=config.run.name,
        seed=config.run.seed,
        stream=make_stream(config),
        task=info,
        task_settings=_portable(config.task.settings),
        layout=layout,
        species=config.species,
        run_dir=run_dir,
    )
    settings: Any = config.bridge.settings
    exchange: Exchange = registry.resolve("exchange", config.bridge.exchange)(settings, context)
    return exchange


def _portable(settings: BaseModel) -> dict[str, Any]:
    """Return settings as JSON values that mean the same on another machine: of a file, what is in it."""
    data = settings.model_dump(mode="json")
    for name in data:
        value = getattr(settings, name)
        if isinstance(value, Path) and value.is_file():
            data[name] = hashlib.blake2b(value.read_bytes(), digest_size=16).hexdigest()
    return data


def make_assignment(
    config: Config,
    task: Task,
    layout: Layout,
    scaling: Scaling,
    registry: Registry,
    *,
    plugin: bool,
) -> Assignment:
    """Return what other processes need to evaluate: the task as a plugin's name and settings, or as an object."""
    target = registry.find("task", config.task.name).target if plugin else ""
    names = layout.activations[len(ACTIVATIONS) :]
    activations = tuple(registry.find("activation", name).target for name in names)
    section = config.evaluation
    repeats = Repeats(section.repeats, section.fitness_of, section.quantile)
    return Assignment(task, layout, scaling, target, config.task.settings, activations, repeats)


def make_backend(config: Config, info: TaskInfo, registry: Registry) -> Backend:
    """Return the back-end: the configuration's, or ``threads``, or ``serial`` for user code in Python."""
    section = config.evaluation
    name = section.backend or ("serial" if info.serial else "threads")
    backend_class = registry.resolve("backend", name)
    settings: Any = section.settings if section.backend else backend_class.Settings()
    backend: Backend = backend_class(settings, section.workers)
    return backend


def make_storage(config: Config, run_dir: Path | None, registry: Registry) -> Storage:
    """Return the storage of the run.

    Raises:
        ConfigError: its URL names the run's folder, and the run has none.
    """
    settings: Any = config.storage.settings
    url = config.storage.url
    if "{run_dir}" in url:
        if run_dir is None:
            raise ConfigError(
                f'storage.url = {url!r} needs a run folder: use tweann.run, or set storage.url = "memory:"'
            )
        url = url.replace("{run_dir}", str(run_dir))
    if "url" in type(settings).model_fields:
        settings = settings.model_copy(update={"url": url})
    name = config.run.name if run_dir is None else run_dir.name
    storage: Storage = registry.resolve("storage", config.storage.name)(settings, name)
    return storage


def now() -> str:
    """Return the time, ISO 8601 with offset, for records alone."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def count_workers(config: Config) -> int:
    """Return how many threads the core's own kernels may use."""
    if config.evaluation.backend == "serial":
        return 1
    return config.evaluation.workers or usable_cores()
