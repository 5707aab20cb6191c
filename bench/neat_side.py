"""The same genomes and the same work in neat-python, set up as well as its users can.

Its configuration is a file, read before the clock runs; nothing is written. All nodes are tanh. Its own tanh multiplies
its argument by 2.5, so bias and response are 0.4 of what they would be; or a plain tanh is registered as a user's function.
"""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import neat
import numpy as np
from neat.genes import DefaultConnectionGene, DefaultNodeGene
from neat.reporting import ReporterSet

from tweann.genome import Genome
from tweann.kernels.ids import FIRST_OUTPUT

#: The example of XOR that comes with neat-python, except for what a benchmark needs otherwise.
XOR_SETTINGS: Mapping[str, Mapping[str, object]] = {
    "NEAT": {
        "fitness_criterion": "max",
        "fitness_threshold": 3.9,
        "pop_size": 150,
        "reset_on_extinction": False,
        "no_fitness_termination": True,
    },
    "DefaultGenome": {
        "activation_default": "sigmoid",
        "activation_mutate_rate": 0.0,
        "activation_options": "sigmoid",
        "aggregation_default": "sum",
        "aggregation_mutate_rate": 0.0,
        "aggregation_options": "sum",
        "bias_init_mean": 0.0,
        "bias_init_stdev": 1.0,
        "bias_max_value": 30.0,
        "bias_min_value": -30.0,
        "bias_mutate_power": 0.5,
        "bias_mutate_rate": 0.7,
        "bias_replace_rate": 0.1,
        "compatibility_disjoint_coefficient": 1.0,
        "compatibility_weight_coefficient": 0.5,
        "conn_add_prob": 0.5,
        "conn_delete_prob": 0.5,
        "enabled_default": True,
        "enabled_mutate_rate": 0.01,
        "feed_forward": True,
        "initial_connection": "full_direct",
        "node_add_prob": 0.2,
        "node_delete_prob": 0.2,
        "num_hidden": 0,
        "num_inputs": 2,
        "num_outputs": 1,
        "response_init_mean": 1.0,
        "response_init_stdev": 0.0,
        "response_max_value": 30.0,
        "response_min_value": -30.0,
        "response_mutate_power": 0.0,
        "response_mutate_rate": 0.0,
        "response_replace_rate": 0.0,
        "weight_init_mean": 0.0,
        "weight_init_stdev": 1.0,
        "weight_max_value": 30,
        "weight_min_value": -30,
        "weight_mutate_power": 0.5,
        "weight_mutate_rate": 0.8,
        "weight_replace_rate": 0.1,
    },
    "DefaultSpeciesSet": {"compatibility_threshold": 3.0},
    "DefaultStagnation": {
        "species_fitness_func": "max",
        "max_stagnation": 20,
        "species_elitism": 2,
    },
    "DefaultReproduction": {"elitism": 2, "survival_threshold": 0.2},
}


#: What undoes the factor in neat-python's own tanh.
_RESPONSE = 0.4


def plain_tanh(z: float) -> float:
    """Return tanh z, without the clamping of neat-python's own; it takes functions written in Python only."""
    return math.tanh(z)


def make_config(changes: Mapping[str, Mapping[str, object]]) -> Any:
    """Return neat-python's XOR configuration with changes by section and key."""
    text = ""
    for section, settings in XOR_SETTINGS.items():
        text += f"[{section}]\n"
        merged = {**settings, **changes.get(section, {})}
        text += "".join(f"{key} = {value}\n" for key, value in merged.items())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config"
        path.write_text(text, encoding="utf-8")
        return neat.Config(
            neat.DefaultGenome,
            neat.DefaultReproduction,
            neat.DefaultSpeciesSet,
            neat.DefaultStagnation,
            str(path),
        )


class Translation:
    """Genomes of tweann as genomes of neat-python; homologous genes keep common keys and numbers.

    Args:
        like: a genome with the inputs and outputs of all that will come.
        recurrent: whether the configuration allows cycles.
        plain: use `plain_tanh`, not neat-python's own.
        changes: further settings of neat-python's.
    """

    def __init__(
        self,
        like: Genome,
        *,
        recurrent: bool = False,
        plain: bool = False,
        changes: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        changes = changes or {}
        genome = {
            "num_inputs": like.n_inputs,
            "num_outputs": like.n_outputs,
            "feed_forward": not recurrent,
            # structure as often as in a usual run, and parameters that tweann has not are left alone
            "node_add_prob": 0.1,
            "node_delete_prob": 0.0,
            "conn_add_prob": 0.2,
            "conn_delete_prob": 0.0,
            "enabled_mutate_rate": 0.0,
            "bias_mutate_rate": 0.8,
            "activation_default": "tanh",
            "activation_options": "tanh",
        }
        changed = {**changes, "DefaultGenome": {**genome, **changes.get("DefaultGenome", {})}}
        self.config = make_config(changed)
        self.config.genome_config.add_activation("plain_tanh", plain_tanh)
        self._plain = plain
        self._n_inputs, self._n_outputs = like.n_inputs, like.n_outputs
        self._nodes: dict[int, int] = {}
        self._innovations: dict[tuple[int, int], int] = {}
        self._births = count(1)
        self.reproduction = neat.DefaultReproduction(
            self.config.reproduction_config,
            ReporterSet(),
            neat.DefaultStagnation(self.config.stagnation_config, ReporterSet()),
        )
        self.config.genome_config.innovation_tracker = self.reproduction.innovation_tracker

    def genome(self, genome: Genome) -> Any:
        """Return the same genome in neat-python: tanh, weights, biases, disabled genes."""
        made = neat.DefaultGenome(next(self._births))
        for i in range(genome.n_inputs, genome.n_nodes):
            key = self._key(int(genome.node_id[i]))
            node = DefaultNodeGene(key)
            node.activation = "plain_tanh" if self._plain else "tanh"
            node.response = 1.0 if self._plain else _RESPONSE
            node.bias = float(genome.bias[i]) * node.response
            node.aggregation, node.time_constant = genome.aggregation[i], 1.0
            made.nodes[key] = node
        for i in range(genome.n_connections):
            pair = self._key(int(genome.source[i])), self._key(int(genome.target[i]))
            innovation = self._innovations.setdefault(pair, len(self._innovations) + 1)
            connection = DefaultConnectionGene(pair, innovation=innovation)
            connection.weight = float(genome.weight[i])
            connection.enabled = bool(genome.enabled[i])
            made.connections[pair] = connection
        # what it adds from here on gets numbers of its own
        self.config.genome_config.node_indexer = count(self._n_outputs + len(self._nodes))
        self.reproduction.innovation_tracker.global_counter = len(self._innovations)
        return made

    def genomes(self, genomes: Iterable[Genome]) -> list[Any]:
        """Return several."""
        return [self.genome(genome) for genome in genomes]

    def network(self, genome: Any) -> Any:
        """Return what neat-python decodes a genome of its own to."""
        if self.config.genome_config.feed_forward:
            return neat.nn.FeedForwardNetwork.create(genome, self.config)
        return neat.nn.RecurrentNetwork.create(genome, self.config)

    def _key(self, node: int) -> int:
        if node < self._n_inputs:
            return -1 - node
        if node >= FIRST_OUTPUT:
            return node - FIRST_OUTPUT
        return self._nodes.setdefault(node, self._n_outputs + len(self._nodes))


class Population:
    """A population of neat-python's that reproduces and is put into species, its fitness being random."""

    def __init__(self, translation: Translation, genomes: Sequence[Any], seed: int) -> None:
        random.seed(seed)
        self._config, self._reproduction = translation.config, translation.reproduction
        self.members = {genome.key: genome for genome in genomes}
        self._reproduction.genome_indexer = count(max(self.members) + 1)
        self._species = neat.DefaultSpeciesSet(self._config.species_set_config, ReporterSet())
        self._species.speciate(self._config, self.members, 0)
        self._generation = 0

    @property
    def n_species(self) -> int:
        """How many species there are."""
        return len(self._species.species)

    def rate(self) -> None:
        """Give every member a random fitness."""
        for genome in self.members.values():
            genome.fitness = random.random()

    def advance(self) -> None:
        """Reproduce and put the children into species."""
        self._generation += 1
        self.members = self._reproduction.reproduce(
            self._config, self._species, len(self.members), self._generation
        )
        self._species.speciate(self._config, self.members, self._generation)


def evolve_xor(generations: int, seed: int) -> float:
    """Evolve XOR in neat-python, nothing reported and nothing stored; return the mean of connections at the end."""
    inputs = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    rows = list(zip(inputs, (0.0, 1.0, 1.0, 0.0), strict=True))

    def evaluate(genomes: list[tuple[int, Any]], config: Any) -> None:
        for _, genome in genomes:
            activate = neat.nn.FeedForwardNetwork.create(genome, config).activate
            fitness = 4.0
            for row, target in rows:
                fitness -= (activate(row)[0] - target) ** 2
            genome.fitness = fitness

    population = neat.Population(make_config({}), seed=seed)
    population.run(evaluate, generations)
    sizes = [len(genome.connections) for genome in population.population.values()]
    return sum(sizes) / len(sizes)


def balance(genome: Any, config: Any, starts: list[list[float]], max_steps: int) -> int:
    """Run a genome's network through episodes of CartPole-v1 and return the steps that it lasted in all."""
    activate = neat.nn.FeedForwardNetwork.create(genome, config).activate
    sin, cos, steps = math.sin, math.cos, 0
    for x, v, angle, spin in starts:
        for _ in range(max_steps):
            steps += 1
            force = 10.0 if activate((x, v, angle, spin))[0] > 0.0 else -10.0
            sine, cosine = sin(angle), cos(angle)
            pull = (force + 0.05 * spin * spin * sine) / 1.1
            turn = (9.8 * sine - cosine * pull) / (0.5 * (4.0 / 3.0 - 0.1 * cosine * cosine / 1.1))
            x += 0.02 * v
            v += 0.02 * (pull - 0.05 * turn * cosine / 1.1)
            angle += 0.02 * spin
            spin += 0.02 * turn
            if abs(x) > 2.4 or abs(angle) > 0.20943951023931953:
                break
    return steps


_episodes: tuple[list[list[float]], int] = ([], 0)


def set_episodes(starts: list[list[float]], max_steps: int) -> None:
    """Say, in each process once, which episodes `balance_episodes` runs."""
    global _episodes
    _episodes = starts, max_steps


def balance_episodes(genome: Any, config: Any) -> float:
    """`balance` as neat-python's ParallelEvaluator calls it."""
    return float(balance(genome, config, *_episodes))


def outputs(network: Any, inputs: Sequence[float], ticks: int = 1) -> Any:
    """Return a network's outputs after some ticks of the same inputs, as an array."""
    for _ in range(ticks):
        found = network.activate(inputs)
    return np.array(found)
