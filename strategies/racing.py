"""Racing: a few topologies side by side, each with a CMA-ES on its weights; the leaders run more often.

A *slot* holds a topology and searches its weights from some *start*. The best of the slots runs in every round, the
others the more seldom the more slots lead them. A start that has come to a stand is over: its slot begins again, or
gets a structural mutant of a winner, which inherits the winner's mean or begins from scratch. So no slot waits
for another, and what leads nowhere costs little.

Where nodes have dynamics, or connections learn, mutants change in these as children of other strategies do; what a slot
searches is weights and biases, and time constants and coefficients are those of its topology.

Sources: `tweann.cma`; short starts rather than long ones: Luby, Sinclair & Zuckerman, "Optimal speedup of
Las Vegas algorithms" (1993).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final, Literal, NamedTuple, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field

from tweann.cma import CMA, offspring
from tweann.config.sections import Rate, Section
from tweann.genes import Bool, Float, Int, Operator, Origin
from tweann.genome import Genome
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.kernels.ids import HASH_BITS, hash_pair
from tweann.pool import BroodView, PoolView

_SET_VALUES: Final = np.uint8(Operator.SET_VALUES)
_GROW, _GROW_WIRED = np.uint8(Operator.GROW), np.uint8(Operator.GROW_WIRED)
_IMMIGRANT: Final = int(Origin.IMMIGRANT)
#: Columns whose change makes another network of the same structure.
_KINDS: Final = ("dynamics", "modulatory", "rule")
#: How often a mutant may come out as a topology that races already, before it is taken as it is.
_TRIES: Final = 5
#: A step size below this share of the first one moves nothing any more.
_MIN_SIGMA: Final = 1e-8


class RacingSettings(Section):
    """Settings of strategy ``racing``."""

    population: int = Field(64, ge=4, description="Evaluations a generation, at most.")
    slots: int = Field(4, ge=1, description="Topologies that race.")
    opening: int = Field(
        0, ge=0, description="Generations between the opening of one slot and of the next."
    )
    sigma: float = Field(1.0, gt=0, description="First step size of a slot's first start.")
    sigma_range: float = Field(
        4.0,
        ge=1,
        description="Where a topology begins again, its first step size is up to so many times larger.",
    )
    inherited_sigma: float = Field(
        1.0, gt=0, description="First step size of a start from a mean that is inherited."
    )
    constant_scale: float = Field(
        0.01,
        gt=0,
        description="Factor on the first step size for weights of inputs that never change, and for biases.",
    )
    offspring: int = Field(
        0, ge=0, description="Samples a generation of a CMA-ES; 0: 4 + ⌊3 ln n⌋ for n weights."
    )
    full_covariance: int = Field(
        100,
        ge=0,
        description="Weights up to which a covariance matrix is full; beyond, only its diagonal is learned.",
    )
    grace: int = Field(
        5, ge=0, description="Generations of a start for which a slot runs in every round."
    )
    decay: Rate = Field(
        0.5, description="How much more seldom a slot runs for each slot that leads it."
    )
    patience: int = Field(
        12,
        ge=1,
        description="Generations of a slot over which it must improve, or its start is over.",
    )
    least_gain: Rate = Field(
        0.05,
        description="What counts as an improvement: this share of all that the start has gained.",
    )
    again_rate: Rate = Field(
        0.3,
        description="How often a slot begins again with the same topology when its start is over.",
    )
    inherit_rate: Rate = Field(
        0.5,
        description="How often a mutant inherits its parent's mean, rather than beginning from scratch.",
    )
    new_nodes: Literal["split", "wired"] = Field(
        "wired",
        description="`split`: a new node splits a connection, as in NEAT. `wired`: it stands beside the connection, "
        "which stays, and reads all inputs.",
    )
    restart: int = Field(
        3000,
        ge=0,
        description="Evaluations after which all begins anew from the seed network; 0: never.",
    )


class Slot:
    """A topology, and how far the search on its weights has come.

    Attributes:
        keys: (n, 2) what each value is of: (target, source) of a connection, (node, -1) of a bias; in gene order.
        values: (n,) those that do not evolve: of disabled connections, of biases where nodes have none.
        free: (n,) bool, which evolve.
        topology: a hash of what is enabled, and of the kinds of nodes and connections.
        cma: on the free values.
        best: the best fitness that the topology ever had.
        lead: the best of this start. low: the worst of its first generation.
        leads: (<= patience + 1,) ``lead`` after each of the last generations.
        credit: at 1 it runs.
        parent: the slot whose mutant comes in its place; -1: it races.
        inherits: whether that mutant inherits.
        tries: mutants that were none.
    """

    def __init__(self, genome: Genome, biases: bool) -> None:
        first = count_inputs(genome)
        nodes = genome.node_id[first:]
        ends = np.stack((genome.target, genome.source), axis=1)
        self.keys: Int = np.concatenate((ends, np.stack((nodes, np.full_like(nodes, -1)), axis=1)))
        self.values: Float = np.concatenate((genome.weight, genome.bias[first:]))
        self.free: Bool = np.concatenate((genome.enabled, np.full(nodes.size, biases)))
        on = self.keys[np.concatenate((genome.enabled, np.ones(nodes.size, np.bool_)))]
        self.topology = _hash(np.concatenate((on, _kinds(genome))))
        self.cma = CMA(np.zeros(0), 1.0)
        self.best = self.lead = -np.inf
        self.low = np.inf
        self.leads: list[float] = []
        self.credit = 0.0
        self.parent, self.inherits, self.tries = -1, False, 0

    def begin(self, mean: Float, sigma: float, full: int, scale: Float | None = None) -> None:
        """Begin a start.

        Args:
            mean: (n,) values in gene order.
            sigma: the first step size.
            full: numbers up to which the covariance matrix is full.
            scale: (n,) factors on the step size; absent: 1.
        """
        free = mean[self.free]
        factors = None if scale is None else scale[self.free]
        self.cma = CMA(free, sigma, free.size > full, factors)
        self.lead, self.low, self.leads, self.credit, self.parent = -np.inf, np.inf, [], 0.0, -1

    def mean(self) -> Float:
        """(n,) the centre of the search, in gene order."""
        mean = self.values.copy()
        mean[self.free] = self.cma.mean
        return mean

    def complete(self, samples: Float) -> Float:
        """Return (λ, n) values in gene order for (λ, n_free) samples."""
        whole = np.tile(self.values, (len(samples), 1))
        whole[:, self.free] = samples
        return whole

    def sample(self, genome: Genome) -> Float:
        """(n_free,) the values that evolve, of a genome of this topology."""
        return np.concatenate((genome.weight, genome.bias[count_inputs(genome) :]))[self.free]

    def inherited(self, parent: Slot) -> Float:
        """Return (n,) the parent's mean; what the parent has not stays as the genome has it."""
        pairs = zip(map(tuple, parent.keys.tolist()), parent.mean().tolist(), strict=True)
        known = dict(pairs)
        own = zip(map(tuple, self.keys.tolist()), self.values.tolist(), strict=True)
        return np.array([known.get(key, value) for key, value in own])

    def take(self, samples: Float, fitness: Float) -> bool:
        """Tell the search of a generation; return whether its best is the best that the topology ever had."""
        if fitness.size > 1:  # one alone is neither better nor worse
            self.cma.tell(samples, fitness)
        best = float(fitness.max())
        if not self.leads:
            self.low = float(fitness.min())
        self.lead = max(self.lead, best)
        self.leads.append(self.lead)
        better = best > self.best
        self.best = max(self.best, best)
        return better

    def over(self, patience: int, least_gain: float, sigma: float) -> bool:
        """Return whether the start has come to a stand; ``sigma`` is the first step size of starts."""
        if not self.cma.sigma > _MIN_SIGMA * sigma:
            return True
        if len(self.leads) <= patience:
            return False
        self.leads = self.leads[-1 - patience :]
        if self.lead == -np.inf:
            return True
        gained = self.lead - max(self.leads[0], self.low)
        return gained <= least_gain * (self.lead - self.low)

    def state(self) -> dict[str, Float | Int | float | int | bool]:
        """Return all that it remembers."""
        return {
            "keys": self.keys,
            "values": self.values,
            "free": self.free.astype(np.int64),
            "topology": self.topology,
            "best": self.best,
            "lead": self.lead,
            "low": self.low,
            "leads": np.array(self.leads),
            "credit": self.credit,
            "parent": self.parent,
            "inherits": self.inherits,
            "tries": self.tries,
            **self.cma.state(),
        }

    @classmethod
    def restored(cls, state: Mapping[str, object]) -> Slot:
        """Return one that goes on from what `state` gave."""
        slot = cls.__new__(cls)
        slot.keys, slot.values = cast(Int, state["keys"]), cast(Float, state["values"])
        slot.free = cast(Int, state["free"]).astype(np.bool_)
        slot.topology = cast(int, state["topology"])
        slot.best, slot.lead = cast(float, state["best"]), cast(float, state["lead"])
        slot.low, slot.credit = cast(float, state["low"]), cast(float, state["credit"])
        slot.leads = cast(Float, state["leads"]).tolist()
        slot.parent, slot.tries = cast(int, state["parent"]), cast(int, state["tries"])
        slot.inherits = cast(bool, state["inherits"])
        slot.cma = CMA.restored(state)
        return slot


class Job(NamedTuple):
    """What a slot does in a round."""

    slot: int
    start: int  #: rows of the brood
    stop: int
    founds: bool  #: its one child is a mutant that the slot begins with, not samples of its search


class Racing:
    """A strategy: racing topologies. Row i of the pool is the best genome of slot i."""

    Settings: ClassVar[type[BaseModel]] = RacingSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {}

    def __init__(self, settings: RacingSettings, context: StrategyContext) -> None:
        self._settings = settings
        #: A row a slot, at most.
        self.max_rows = settings.slots
        self._biases, self._bound = context.bias, context.weight_bound
        self._warm = context.warm
        # -1: what stands for the source of a bias
        ranges = context.task.input_ranges
        self._constants = np.array([-1, *(i for i, (a, b) in enumerate(ranges) if a == b)])
        self._slots: list[Slot] = []
        self._rounds = self._spent = self._tries = 0
        self._starts = self._restarts = 0
        # Made in `ask` for `tell`.
        self._jobs: list[Job] = []
        self._samples: Float = np.zeros((0, 0))  # a row a child, as wide as the largest search
        self._chance: Float = np.zeros((0, 4))

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for a round: a generation of each slot that is due."""
        del pool  # its rows are the slots
        n = min(n, self._settings.population)
        self._chance = rng.random((self._settings.slots, 4))
        if not self._slots:
            self._jobs = [Job(0, 0, 1, True)]
            return replace(BreedingPlan.fresh(1), tuned=np.zeros(1, np.bool_))
        self._jobs = self._due(n, rng)
        total = self._jobs[-1].stop
        width = max(slot.values.size for slot in self._slots)
        operator, parent = np.empty(total, np.uint8), np.empty(total, np.int64)
        values, group = np.zeros((total, width)), np.empty(total, np.int64)
        mutation = _GROW_WIRED if self._settings.new_nodes == "wired" else _GROW
        for k, job in enumerate(self._jobs):
            part = slice(job.start, job.stop)
            group[part] = k
            if job.founds:
                is_new = job.slot == len(self._slots)
                operator[part] = mutation
                parent[part] = 0 if is_new else self._slots[job.slot].parent
            else:
                slot = self._slots[job.slot]
                operator[part], parent[part] = _SET_VALUES, job.slot
                values[part, : slot.values.size] = slot.complete(self._samples_of(job))
        nobody, untuned = np.full(total, -1), np.zeros(total, np.bool_)
        return BreedingPlan(operator, parent, nobody, values=values, group=group, tuned=untuned)

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Tell each search of its generation, found slots, and end what has come to a stand."""
        fitness = np.where(np.isnan(brood.fitness), -np.inf, brood.fitness)
        self._spent += int(brood.n_evaluations.sum())
        self._rounds += 1
        before = list(self._slots)
        rows = list(range(len(pool) if before else 0))
        for k, job in enumerate(self._jobs):
            children = np.flatnonzero(brood.group == k)
            if children.size == 0:
                continue  # none came back
            at = int(children[0])
            if not job.founds:
                slot, part = self._slots[job.slot], fitness[children]
                samples = self._samples_of(job)
                if len(samples) > children.size:  # failures were dropped: see who is left
                    samples = np.stack([slot.sample(brood.genome(i)) for i in children.tolist()])
                if slot.take(samples, part):
                    rows[job.slot] = len(pool) + int(children[np.argmax(part)])
                if slot.over(
                    self._settings.patience, self._settings.least_gain, self._settings.sigma
                ):
                    self._end_start(job.slot)
            elif self._found(job.slot, brood.genome(at), float(fitness[at]), before):
                rows[job.slot : job.slot + 1] = [len(pool) + at]
        for k in np.flatnonzero(brood.origin == _IMMIGRANT).tolist():
            self._welcome(brood.genome(k), float(fitness[k]), len(pool) + k, rows)
        if self._settings.restart and self._spent >= self._settings.restart:
            self._slots, self._rounds, self._spent = [], 0, 0
            self._restarts += 1
        # nobody is founded if nothing came back: then all stay until something does
        return Survivors(np.array(rows or range(len(pool)), np.int64))

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the rows of the ``n`` best slots."""
        del rng
        fitness = np.where(np.isnan(pool.fitness), -np.inf, pool.fitness)
        return np.argsort(-fitness, kind="stable")[:n]

    def state(self) -> State:
        """Return what the strategy remembers."""
        counts: dict[str, Float | Int | float | int | str | bool] = {
            "n_slots": len(self._slots),
            "rounds": self._rounds,
            "spent": self._spent,
            "tries": self._tries,
            "starts": self._starts,
            "restarts": self._restarts,
            "jobs": np.array(self._jobs, np.int64).reshape(-1, 4),
            "samples": self._samples,
            "chance": self._chance,
        }
        for i, slot in enumerate(self._slots):
            counts |= {f"slot_{i}_{name}": value for name, value in slot.state().items()}
        return counts

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._rounds, self._spent = cast(int, state["rounds"]), cast(int, state["spent"])
        self._tries, self._starts = cast(int, state["tries"]), cast(int, state["starts"])
        self._restarts = cast(int, state["restarts"])
        jobs = cast(Int, state["jobs"]).tolist()
        self._jobs = [Job(slot, start, stop, bool(founds)) for slot, start, stop, founds in jobs]
        self._samples, self._chance = cast(Float, state["samples"]), cast(Float, state["chance"])
        self._slots = []
        for i in range(cast(int, state["n_slots"])):
            prefix = f"slot_{i}_"
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            self._slots.append(Slot.restored(own))

    def max_bytes(self, n_values: int) -> int:
        """Return samples and plans, and the covariances of the slots."""
        s = self._settings
        n_full = min(n_values, s.full_covariance)
        samples = 4 * s.population * n_values
        return 8 * (samples + s.slots * (4 * n_full * n_full + 12 * n_values))

    def metrics(self) -> Mapping[str, float]:
        """Return how many starts there were, restarts of all, and the mean number of weights searched."""
        sizes = [slot.cma.mean.size for slot in self._slots]
        return {
            "n_starts": float(self._starts),
            "n_restarts": float(self._restarts),
            "mean_weights": sum(sizes) / max(len(sizes), 1),
        }

    # ------------------------------------------------------------------ a round

    def _due(self, n: int, rng: Generator) -> list[Job]:
        """Return what is done in this round, with at most ``n`` children."""
        settings = self._settings
        racing = [slot for slot in self._slots if slot.parent < 0]
        for slot in racing:
            share = 1.0
            if len(slot.leads) >= settings.grace:
                share = settings.decay ** sum(other.lead > slot.lead for other in racing)
            slot.credit += share
        jobs: list[Job] = []
        used = 0
        self._samples = np.zeros((n, max(slot.cma.mean.size for slot in self._slots)))
        # those that have waited longest come first, if there is no room for all
        for i in sorted(range(len(self._slots)), key=lambda i: -self._slots[i].credit):
            slot = self._slots[i]
            if slot.parent >= 0:
                if used < n:
                    jobs.append(Job(i, used, used + 1, True))
                    used += 1
            elif slot.credit >= 1.0 - 1e-9:
                d = slot.cma.mean.size
                size = min(settings.offspring or offspring(d), n)
                if used + size <= n:
                    samples = slot.cma.ask(rng.standard_normal((size, d)))
                    samples = np.clip(samples, -self._bound, self._bound)
                    self._samples[used : used + size, :d] = samples
                    jobs.append(Job(i, used, used + size, False))
                    used += size
                    slot.credit -= 1.0
        opened = len(self._slots)
        if opened < settings.slots and used < n and self._rounds >= settings.opening * opened:
            jobs.append(Job(opened, used, used + 1, True))
        return jobs

    def _samples_of(self, job: Job) -> Float:
        """(λ, d) what a slot's search has drawn for its job."""
        return self._samples[job.start : job.stop, : self._slots[job.slot].cma.mean.size]

    def _found(self, i: int, genome: Genome, fitness: float, before: list[Slot]) -> bool:
        """Let slot ``i`` begin with a topology, unless that races already; return whether it did.

        Args:
            i: the slot; one behind the last is new.
            genome: the topology.
            fitness: what it was found to have.
            before: the slots as they were when it was bred.
        """
        slot = Slot(genome, self._biases)
        slot.best = fitness
        old = before[i] if i < len(before) else None
        others = [other.topology for k, other in enumerate(self._slots) if k != i]
        tries = self._tries if old is None else old.tries
        if slot.topology in others and tries < _TRIES:
            if old is None:
                self._tries += 1
            else:
                old.tries += 1
            return False
        inherits = self._warm or (old is not None and old.inherits)
        if inherits and before:
            parent = before[0 if old is None else old.parent]
            self._begin(slot, slot.inherited(parent), self._settings.inherited_sigma)
        else:
            self._begin(slot, slot.values if self._warm else np.zeros_like(slot.values))
        if old is None:
            self._tries = 0
            self._slots.append(slot)
        else:
            self._slots[i] = slot
        return True

    def _begin(self, slot: Slot, mean: Float, sigma: float | None = None) -> None:
        constant = np.isin(slot.keys[:, 1], self._constants)
        scale = np.where(constant, self._settings.constant_scale, 1.0)
        slot.begin(mean, sigma or self._settings.sigma, self._settings.full_covariance, scale)
        self._starts += 1

    def _end_start(self, i: int) -> None:
        """Begin slot ``i`` again, or mark it to be replaced by a mutant of a winner of two."""
        again, first, inherits, wide = self._chance[i].tolist()
        slot = self._slots[i]
        a = int(first * len(self._slots))
        if again < self._settings.again_rate or self._slots[a].best <= slot.best:
            sigma = self._settings.sigma * self._settings.sigma_range**wide
            self._begin(slot, slot.mean() if self._warm else np.zeros_like(slot.values), sigma)
            return
        slot.parent = a
        slot.inherits = inherits < self._settings.inherit_rate
        slot.tries = 0

    def _welcome(self, genome: Genome, fitness: float, row: int, rows: list[int]) -> None:
        """Give an immigrant the slot of the worst, if it is better than that one ever was."""
        worst = min(range(len(self._slots)), key=lambda i: self._slots[i].best, default=-1)
        if worst < 0 or not fitness > self._slots[worst].best:
            return
        slot = Slot(genome, self._biases)
        slot.best = fitness
        self._begin(slot, slot.values, self._settings.inherited_sigma)
        self._slots[worst], rows[worst] = slot, row


def count_inputs(genome: Genome) -> int:
    """Return how many input nodes a genome has; not all of the task's, perhaps."""
    return int(np.searchsorted(genome.node_id, 1 << HASH_BITS))


def _kinds(genome: Genome) -> Int:
    """Return (n, 2) the codes of all kinds, in gene order, each with a number that stands for what it is of."""
    found = [np.empty((0, 2), np.int64)]
    for i, name in enumerate(_KINDS):
        codes = genome.node_extra.get(name)
        if codes is None and name in genome.connection_extra:
            codes = genome.connection_extra[name][genome.enabled]
        if codes is not None:
            found.append(np.stack((codes.astype(np.int64), np.full(codes.size, -2 - i)), axis=1))
    return np.concatenate(found)


def _hash(keys: Int) -> int:
    """Return a hash of (n, 2) keys that is the same in every process."""
    found = np.uint64(keys.shape[0])
    for a, b in keys.tolist():
        found = hash_pair(int(found >> np.uint64(1)), int(hash_pair(a, b) >> np.uint64(1)))
    return int(found >> np.uint64(1))
