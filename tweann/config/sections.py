"""The sections of a configuration, as immutable models; their descriptions are the reference's text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, SerializeAsAny, field_validator, model_validator

from tweann.config.keeping import CheckpointSettings as CheckpointSettings
from tweann.config.keeping import LineageSettings as LineageSettings
from tweann.config.keeping import Section as Section
from tweann.config.tuning import TuningSettings as TuningSettings
from tweann.genes import COLUMN_GROUPS, MAX_CONNECTIONS, MAX_NODES

#: What ends a run that says nothing of its end.
DEFAULT_GENERATIONS: Final = 500
#: The keys of [run] that end a run.
ENDINGS: Final = ("generations", "evaluations", "seconds", "target_fitness")

Rate = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=0)]


class RunSettings(Section):
    """What the run is called, its seed, and when it ends."""

    name: str = Field(
        "run",
        pattern=r"^[A-Za-z0-9_.-]{1,100}$",
        description="Name of the run, part of its folder's name: letters, digits, `_`, `.` and `-`.",
    )
    seed: int = Field(
        1, ge=0, le=2**63 - 1, description="The same configuration and seed give the same run."
    )
    generations: int | None = Field(
        None,
        ge=1,
        description="End after this many generations. "
        f"{DEFAULT_GENERATIONS} where no other ending is given either.",
    )
    evaluations: int | None = Field(None, ge=1, description="End after this many evaluations.")
    seconds: float | None = Field(
        None, gt=0, description="End after this time; such a run is not reproducible to the bit."
    )
    target_fitness: float | None = Field(
        None, description="End when a genome's fitness reaches this."
    )
    stop_when_solved: bool = Field(
        True, description="End when the task counts as solved, by the task's own definition."
    )
    history: int = Field(
        1000, ge=1, description="Cap on the generation reports that are kept in memory."
    )
    plugins: tuple[str, ...] = Field(
        (),
        description="One-file plugins that the run uses. Written by `--plugin`; a file is run only where `--plugin` "
        "names it again.",
    )

    @field_validator("plugins", mode="before")
    @classmethod
    def _array(cls, value: Any) -> Any:
        # `_some_ending` makes Python's data of JSON, where strictness knows no array.
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="before")
    @classmethod
    def _some_ending(cls, data: Any) -> Any:
        if isinstance(data, dict) and all(data.get(ending) is None for ending in ENDINGS):
            return {**data, "generations": DEFAULT_GENERATIONS}
        return data


class GenomeSettings(Section):
    """What genomes are made of, how the first ones look, and how large they may grow."""

    activations: tuple[str, ...] = Field(
        ("tanh",), min_length=1, description="Names that hidden nodes draw their activation from."
    )
    aggregations: tuple[str, ...] = Field(
        ("sum",), min_length=1, description="Names that hidden nodes draw their aggregation from."
    )
    output_activation: str = Field(
        "auto", description="Activation of the output nodes; `auto`: what suits the task."
    )
    recurrent: bool = Field(
        False, description="Allow connections that read the value of the tick before."
    )
    initial: Literal["full", "none", "partial"] = Field(
        "full", description="Which inputs the seed network connects to the outputs."
    )
    initial_rate: Rate = Field(
        0.5, description='Share of connections in the seed network, for `initial = "partial"`.'
    )
    unconnected_inputs: tuple[str, ...] = Field(
        (), description="Names of inputs that the seed network leaves unconnected."
    )
    bias: bool = Field(True, description="Nodes have biases, which evolve.")
    init_distribution: Literal["normal", "uniform"] = Field(
        "normal", description="Distribution of new weights and biases."
    )
    init_power: float = Field(
        1.0,
        ge=0,
        description="Scale of new weights and biases: standard deviation, or half the width.",
    )
    weight_bound: float = Field(
        30.0, gt=0, description="Weights and biases are clipped to this magnitude."
    )
    max_nodes: int = Field(
        1000,
        ge=2,
        le=MAX_NODES,
        description="Cap on the nodes of a genome, with inputs and outputs.",
    )
    max_connections: int = Field(
        10_000, ge=1, le=MAX_CONNECTIONS, description="Cap on the connections of a genome."
    )
    start: Path | None = Field(
        None,
        description="File of a genome to start from (a warm start) instead of the seed network.",
    )
    initial_inputs: int | tuple[str, ...] | None = Field(
        None,
        description="Names of the inputs that the seed network has, or how many, drawn by the run's seed; by "
        "default all. Mutation `add_input` brings in the others.",
    )
    initial_outputs: int | tuple[str, ...] | None = Field(
        None, description="Likewise the outputs; what a network lacks is 0 to the task."
    )
    dynamics: tuple[str, ...] = Field(
        ("static",),
        min_length=1,
        description="Names that hidden and output nodes draw their dynamics from: `static`, `delay`, `leaky`, "
        "`ctrnn`, `cfc`, `ltc`, `izhikevich`.",
    )
    plasticity: tuple[str, ...] = Field(
        ("none",),
        min_length=1,
        description="Names that connections draw their rule of lifetime learning from: `none`, `hebbian`, `oja`, "
        "`abcd`, `trace`, `stdp`.",
    )
    modulatory: bool = Field(
        False,
        description="Hidden nodes may modulate the learning of others instead of driving them.",
    )
    lamarckian: bool = Field(
        False,
        description="What a network learns in its lifetime becomes its genome's own weights, which its children "
        "inherit; false: it ends with the network.",
    )
    column_groups: tuple[str, ...] = Field(
        (),
        description="Optional gene columns beside those that other keys ask for: `births` records when each node "
        "came to be.",
    )

    def groups(self) -> tuple[str, ...]:
        """Return the column groups that these settings ask for, in the order of the table."""
        wanted = {
            *self.column_groups,
            *(("dynamics",) if self.dynamics != ("static",) else ()),
            *(("izhikevich",) if "izhikevich" in self.dynamics else ()),
            *(("plasticity",) if self.plasticity != ("none",) or self.modulatory else ()),
            *(("stdp",) if "stdp" in self.plasticity else ()),
        }
        return tuple(name for name in COLUMN_GROUPS if name in wanted)


class MutationSettings(Section):
    """How often each mutation is tried, a child, and how far parameters move."""

    mode: Literal["one", "all"] = Field(
        "all",
        description="`one`: at most one kind of mutation a child, structural ones tried first in "
        "order, as in the NEAT paper's program; and at most one of those of dynamics, plasticity, inputs and "
        "outputs. `all`: each drawn independently.",
    )
    adapt: Literal["none", "genes", "success"] = Field(
        "none",
        description="`genes`: each genome has factors of its own for the power and for each rate, which mutate and "
        "are inherited. `success`: rates follow the share of children that are better than their parent. "
        "`none`: rates stay.",
    )
    add_connection_rate: Rate = Field(0.2, description="Rate of adding a connection.")
    recurrent_share: Rate = Field(
        0.5,
        description="How often an added connection is to be recurrent, where those are allowed and read anything: in a "
        "table of one tick a row they do not.",
    )
    add_node_rate: Rate = Field(0.1, description="Rate of splitting a connection by a new node.")
    add_delay_rate: Rate = Field(
        0.05,
        description="Rate of putting a delay into a connection, where `genome.dynamics` has it.",
    )
    add_leaky_rate: Rate = Field(
        0.05, description="Likewise a leaky integrator; the path's gain stays."
    )
    add_input_rate: Rate = Field(
        0.05,
        description="Rate of bringing in an input, where the seed network lacks some.",
    )
    add_output_rate: Rate = Field(0.05, description="Likewise an output.")
    delete_connection_rate: Rate = Field(0.0, description="Rate of deleting a connection.")
    delete_node_rate: Rate = Field(0.0, description="Rate of deleting a hidden node.")
    toggle_connection_rate: Rate = Field(
        0.0, description="Rate of enabling or disabling a connection."
    )
    change_activation_rate: Rate = Field(
        0.0, description="Rate of drawing a hidden node's activation anew."
    )
    change_aggregation_rate: Rate = Field(
        0.0, description="Rate of drawing a hidden node's aggregation anew."
    )
    change_dynamics_rate: Rate = Field(
        0.1, description="Rate of changing a node's dynamics, where there is a choice."
    )
    change_plasticity_rate: Rate = Field(
        0.1,
        description="Rate of changing a connection's rule of learning, where there is a choice.",
    )
    change_modulatory_rate: Rate = Field(
        0.05, description="Rate of making a hidden node modulatory or plain, where those may be."
    )
    weights_rate: Rate = Field(1.0, description="Rate of mutating the weights and biases.")
    weight_replace_rate: Rate = Field(
        0.1, description="Where they mutate: share of weights and biases that are drawn anew."
    )
    weight_perturb_rate: Rate = Field(
        0.5, description="Share of the other weights and biases that are perturbed."
    )
    weight_power: float = Field(
        1.5, ge=0, description="Scale of a perturbation: standard deviation, or half the width."
    )
    weight_distribution: Literal["normal", "uniform"] = Field(
        "normal", description="Distribution of perturbations."
    )
    time_constants_rate: Rate = Field(
        0.5,
        description="Rate of mutating time constants, bounds and time biases, where nodes have them.",
    )
    izhikevich_rate: Rate = Field(
        0.5, description="Rate of mutating the constants of spiking nodes."
    )
    coefficients_rate: Rate = Field(
        0.5, description="Rate of mutating learning rates and coefficients of plastic connections."
    )
    constant_replace_rate: Rate = Field(
        0.05, description="Where those mutate: share of constants that are drawn anew."
    )
    constant_perturb_rate: Rate = Field(
        0.5, description="Share of the other constants that are perturbed."
    )
    constant_power: float = Field(
        0.2,
        ge=0,
        description="Scale of a perturbation: of the logarithm of what is positive by nature, otherwise in "
        "widths of the range that new ones are drawn from.",
    )
    inherit_disabled_rate: Rate = Field(
        0.75, description="In crossover: a gene disabled in either parent is disabled in the child."
    )


class ComplexitySettings(Section):
    """What is done against genomes that grow for nothing, beside the caps of [genome]."""

    penalty: float = Field(
        0.0,
        ge=0,
        description="What each connection gene costs: the strategy sees the fitness less this much times their "
        "number; champions and reports keep the task's.",
    )
    phased: bool = Field(
        False,
        description="Phased searching (Green 2004): genomes grow, nothing being deleted, then are pruned, nothing "
        "being added, by turns. Needs a rate of deletion in [mutation].",
    )
    room: float = Field(
        20.0,
        gt=0,
        description="Growth ends when genomes have on average this many connections more than where it began.",
    )
    patience: int = Field(
        10,
        ge=1,
        description="Pruning ends when their average has not fallen for so many generations.",
    )


class SpeciesSettings(Section):
    """How genomes are told apart: δ = c1·(E + D)/N + c3·W̄ (NEAT, eq. 1, with c1 = c2)."""

    c1: Coefficient = Field(1.0, description="Weight of genes that only one genome has.")
    c3: Coefficient = Field(
        0.4, description="Weight of the mean weight difference of matching genes."
    )
    threshold: float = Field(
        3.0, gt=0, description="Distance up to which genomes are of one species, at the start."
    )
    target: int = Field(
        10,
        ge=0,
        description="Number of species that the threshold is steered to; 0: it stays fixed.",
    )
    threshold_factor: float = Field(
        1.1, ge=1, description="Factor by which the threshold moves, once a generation."
    )
    small_genome: int = Field(
        20, ge=0, description="N counts as 1 where both genomes have fewer genes than this."
    )
    max_species: int = Field(
        100, ge=1, description="Cap on species; beyond it a genome joins the nearest."
    )


class NoSettings(Section):
    """The settings of something that has none."""


class PluginSection(Section):
    """A section that a plugin shares: its own keys, and the plugin's ``Settings`` beside them."""

    settings: SerializeAsAny[BaseModel] = NoSettings()

    @classmethod
    def own_keys(cls) -> tuple[str, ...]:
        """Return the keys that are the section's, not the plugin's."""
        return tuple(name for name in cls.model_fields if name != "settings")

    def data(self) -> dict[str, Any]:
        """Return the section as it is written in a file: one flat table."""
        own = self.model_dump(mode="json", exclude_none=True, exclude={"settings"})
        return {**_settings_data(self.settings), **own}


class TaskSection(PluginSection):
    """What is to be solved. The other keys are the task's own."""

    name: str = Field(description="Name of the task; `tweann tasks` lists them.")


class StrategySection(PluginSection):
    """Who breeds and who stays. The other keys are the strategy's own."""

    name: str = Field("generational", description="Name of the strategy.")


class EvaluationSection(PluginSection):
    """Who evaluates. The other keys are the back-end's own, where one is named."""

    backend: str | None = Field(
        None,
        description="Name of the back-end. By default `threads`, and `serial` for a task in plain "
        "Python.",
    )
    workers: int = Field(0, ge=0, le=4096, description="How many workers; 0: one a core.")
    resample: bool = Field(
        False, description="The task's random episodes change from generation to generation."
    )
    repeats: int = Field(
        1,
        ge=1,
        le=10_000,
        description="How often each genome is evaluated, all genomes with the same random numbers. Every one counts "
        "as an evaluation.",
    )
    fitness_of: Literal["mean", "median", "worst", "quantile"] = Field(
        "mean", description="What the fitness is of the values of several repeats."
    )
    quantile: Rate = Field(0.25, description='Which quantile, for `fitness_of = "quantile"`.')
    reevaluate: bool = Field(
        False,
        description="Genomes that survive are evaluated again in each generation; their fitness is the mean of all "
        "their evaluations. For tasks with noise: then `resample` as well, so that the noise is another one.",
    )
    on_failure: Literal["worst", "drop", "stop"] = Field(
        "worst",
        description="What becomes of a genome whose evaluation failed. `worst`: it stays, below all "
        "others. `drop`: it is left out, unless all that are told together failed. `stop`: the run ends with an error.",
    )


class StorageSection(PluginSection):
    """Where the events of the run are kept. The other keys are the storage's own."""

    url: str = Field(
        "sqlite:///{run_dir}/run.db",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*:",
        description="Its scheme chooses the storage; `{run_dir}` stands for the run's folder.",
    )
    full_seconds: float = Field(
        600.0,
        ge=0,
        description="Patience with a full disk or a database that is away: what is to be written waits, no checkpoint is "
        "written, and the run goes on, until it ends with an error. 0: at once.",
    )
    max_waiting_bytes: int = Field(
        32_000_000,
        ge=0,
        description="Cap on what waits in memory meanwhile; at the cap the run pauses.",
    )

    @property
    def name(self) -> str:
        """Return the scheme of the URL: the name of the storage."""
        return self.url.partition(":")[0]


class BridgeSection(PluginSection):
    """Islands: genomes come from and go to other runs. Without this section there is no network.

    The other keys are the exchange's own.
    """

    exchange: str = Field("zmq", description="Name of the exchange.")
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="Name of this island among its peers, by default the run's; its random numbers depend on it.",
    )


class Config(Section):
    """A whole configuration, resolved: every default filled in, every path absolute."""

    run: RunSettings
    task: TaskSection
    genome: GenomeSettings
    mutation: MutationSettings
    complexity: ComplexitySettings
    species: SpeciesSettings
    tuning: TuningSettings = TuningSettings()
    strategy: StrategySection
    evaluation: EvaluationSection
    storage: StorageSection
    checkpoint: CheckpointSettings
    lineage: LineageSettings = LineageSettings()
    observers: Mapping[str, SerializeAsAny[BaseModel]] = Field(
        description="Settings of each observer that acts in the run, by name."
    )
    bridge: BridgeSection | None = None

    def data(self) -> dict[str, dict[str, Any]]:
        """Return the configuration as tables of JSON values; what is not set is left out."""
        tables: dict[str, dict[str, Any]] = {}
        for name in type(self).model_fields:
            section = getattr(self, name)
            if section is None:
                continue
            if name == "observers":
                tables[name] = {key: _settings_data(value) for key, value in section.items()}
            elif isinstance(section, PluginSection):
                tables[name] = section.data()
            else:
                tables[name] = _settings_data(section)
        return tables

    def to_toml(self) -> str:
        """Return the text of a file that gives this configuration again."""
        import tomlkit  # late: reading needs only the standard library

        return tomlkit.dumps(self.data())


def _settings_data(settings: BaseModel) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_none=True)
