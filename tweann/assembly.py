"""From a configuration to the parts of a run."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tweann.codec import decode
from tweann.config import Config
from tweann.errors import ConfigError, PluginError
from tweann.genes import ACTIVATIONS, AGGREGATIONS
from tweann.genome import Genome, check_fits, seed_network
from tweann.interfaces import Backend, Storage
from tweann.kernels.breed import BreedingParameters
from tweann.kernels.mutation import MutationOperator, MutationParameters
from tweann.kernels.rollout import Scaling
from tweann.layout import Layout
from tweann.registry import Registry
from tweann.tasks.base import Task, TaskInfo, output_scaling
from tweann.workers import usable_cores


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
        groups=genome.column_groups,
        dt=info.dt,
        weight_bound=genome.weight_bound,
        activations=(*ACTIVATIONS, *plugins),
        custom=np.array(addresses, dtype=np.uint64),
    )


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


def make_scaling(config: Config, info: TaskInfo) -> Scaling:
    """Return how the networks' outputs become what the task takes."""
    return output_scaling(info, output_activation(config, info))


def make_seed(config: Config, info: TaskInfo, layout: Layout) -> Genome:
    """Return the genome that fresh ones are copies of: the seed network, or that of a file."""
    settings = config.genome
    if settings.start is not None:
        return read_start(settings.start, layout, settings.weight_bound)
    unknown = [name for name in settings.unconnected_inputs if name not in info.inputs]
    if unknown:
        close = difflib.get_close_matches(unknown[0], info.inputs, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"genome.unconnected_inputs: task {info.name} has no input {unknown[0]!r}{hint} "
            f"(inputs: {', '.join(info.inputs)})"
        )
    connected = [
        i
        for i, name in enumerate(info.inputs)
        if settings.initial != "none" and name not in settings.unconnected_inputs
    ]
    if len(connected) * layout.n_outputs > layout.max_connections:
        raise ConfigError(
            f"genome.max_connections = {layout.max_connections} is less than the "
            f"{len(connected) * layout.n_outputs} connections of the seed network: raise it, or set "
            'genome.initial = "none"'
        )
    return seed_network(
        layout, np.array(connected, dtype=np.int64), output_activation(config, info)
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


def mutation_rates(config: Config) -> dict[MutationOperator, float]:
    """Return the rate of each operator."""
    m = config.mutation
    return {
        MutationOperator.ADD_NODE: m.add_node_rate,
        MutationOperator.ADD_CONNECTION: m.add_connection_rate,
        MutationOperator.DELETE_NODE: m.delete_node_rate,
        MutationOperator.DELETE_CONNECTION: m.delete_connection_rate,
        MutationOperator.TOGGLE_CONNECTION: m.toggle_connection_rate,
        MutationOperator.CHANGE_ACTIVATION: m.change_activation_rate,
        MutationOperator.CHANGE_AGGREGATION: m.change_aggregation_rate,
        MutationOperator.WEIGHTS: m.weights_rate,
    }


def make_breeding(config: Config, layout: Layout, template: int) -> BreedingParameters:
    """Return what all children of the run have in common; ``template`` is the seed network's block."""
    m, g = config.mutation, config.genome
    rates = mutation_rates(config)
    mutation = MutationParameters(
        rates=np.array([rates[operator] for operator in MutationOperator]),
        one=m.mode == "one",
        recurrent_share=m.recurrent_share if g.recurrent else 0.0,
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
        stream=np.uint64(0),
        template=template,
        keep_rate=g.initial_rate if g.initial == "partial" else 1.0,
        warm=g.start is not None,
        disable_rate=m.inherit_disabled_rate,
        mutation=mutation,
    )


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
