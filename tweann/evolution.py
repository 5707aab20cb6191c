"""The loop: a strategy says who, the core breeds, decodes and evaluates, the strategy says who stays."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.random import Generator, Philox

from tweann import assembly
from tweann.champions import ChampionFinder
from tweann.codec import encode
from tweann.config import Config, TaskSection, load
from tweann.errors import ConfigError, PluginError, TaskError
from tweann.genome import Genome
from tweann.interfaces import Backend, Event, Exchange, Job, Storage, Strategy, StrategyContext
from tweann.kernels.breed import BreedingParameters
from tweann.kernels.mutation import MutationOperator
from tweann.kernels.random import ASK, make_key
from tweann.kernels.summary import Summary, count_genes, summarise
from tweann.network import Network, NetworkSlice
from tweann.observers import Observers
from tweann.pool import Brood, GenomePool
from tweann.records import Champion, GenerationReport, Result, RunInfo
from tweann.registry import Registry, default_registry
from tweann.tasks.base import Evaluation, EvaluationKeys, Evaluations, Task
from tweann.workers import Workers

#: Slices of a brood for each worker, at most: enough for workers to even out, while each costs some 100 µs.
SLICES = 3
#: Seconds of work that are worth a slice of their own.
_SLICE_SECONDS = 0.0005
#: Failures whose reasons are reported in full; more are only counted.
_MAX_REASONS = 20


class Evolution:
    """One run, step by step.

    Args:
        config: a `Config`, nested tables, or the path of a TOML file.
        task: a task that is no plugin; then the configuration has no section [task].
        registry: where the plugins are; by default the installed ones.
        run_dir: where storages and observers may write; None: nowhere.
        exchange: swaps genomes with elsewhere, before each ask.

    Attributes:
        generation: generations finished.
        n_evaluations: task runs so far; n_failed: how many of them failed.
        history: the last ``run.history`` reports.
        reasons: why evaluations failed, the first few.

    For a simulator or a robot outside::

        evolution = Evolution({"task": {"name": "external", "n_inputs": 4, "n_outputs": 1}, …})
        while not evolution.finished:
            networks = evolution.ask()
            evolution.tell([score(network) for network in networks])
    """

    def __init__(
        self,
        config: Config | Mapping[str, Any] | str | Path,
        *,
        task: Task | None = None,
        registry: Registry | None = None,
        run_dir: Path | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self._registry = registry or default_registry()
        if not isinstance(config, Config):
            section = None if task is None else TaskSection(name=task.info.name)
            config = load(config, registry=self._registry, task=section)
        self.config, self.run_dir = config, run_dir
        self.task = task or assembly.make_task(config, self._registry)
        info = self.task.info
        self.layout = assembly.make_layout(config, info, self._registry)
        self.scaling = assembly.make_scaling(config, info)
        self._strategy: Strategy = self._registry.resolve("strategy", config.strategy.name)(
            config.strategy.settings, StrategyContext(info, config.species)
        )
        self._population: int = config.strategy.settings.population  # type: ignore[attr-defined] # checked on loading
        self._workers = Workers(assembly.count_workers(config))
        self.pool = GenomePool(
            self.layout,
            self._strategy.columns,
            len(info.descriptor),
            info.n_objectives,
            self._workers,
        )
        seed = assembly.make_seed(config, info, self.layout)
        self._champions = ChampionFinder(self.task, self.pool, self.scaling)
        template = int(self.pool.insert([seed])[0])
        self._breeding = assembly.make_breeding(config, self.layout, template)
        self._rng = Generator(Philox(key=0))
        self._fresh_state: dict[str, Any] = dict(self._rng.bit_generator.state)
        self._exchange = exchange
        self._backend: Backend | None = None
        self._storage: Storage | None = None
        self._observers: Observers | None = None
        self._asked: Brood | None = None
        self._births = self._asks = self._sequence = 0
        self._cost: float | None = None  # seconds an evaluation, as last measured
        self._interrupted = False
        self._closed = False
        self._started = time.perf_counter()
        self._reached_target = False
        self.generation = self.n_evaluations = self.n_failed = 0
        self.history: deque[GenerationReport] = deque(maxlen=config.run.history)
        self.reasons: list[str] = []

    # ------------------------------------------------------------ ask and tell

    def ask(self) -> list[Network]:
        """Breed the next children and return their networks, to be evaluated outside.

        Raises:
            ConfigError: the children of the last ask have not been told.
        """
        if self._asked is not None:
            raise ConfigError(f"tell the {len(self._asked)} evaluations of the last ask first")
        self._asked = self._breed()
        return list(self._slice(self._asked.rows["block"]))

    def tell(self, evaluations: Sequence[float | Evaluation]) -> GenerationReport:
        """Take the evaluations of the networks that `ask` gave, in their order, and go on a generation.

        Args:
            evaluations: one for each; a plain number is the fitness, NaN a failure.

        Raises:
            ConfigError: nothing was asked, or another number of evaluations came.
        """
        brood = self._asked
        if brood is None:
            raise ConfigError("there is nothing to tell: ask first")
        if len(evaluations) != len(brood):
            raise ConfigError(
                f"expected {len(brood)} evaluations, one for each network, came {len(evaluations)}"
            )
        columns = Evaluations.empty(len(brood), self.task.info)
        for k, evaluation in enumerate(evaluations):
            columns.put(k, evaluation)
        self._write(brood, 0, columns)
        self._asked = None
        return self._finish_generation(brood)

    def step(self) -> GenerationReport:
        """Breed, evaluate and select: one generation.

        Raises:
            Interrupted: `interrupt` was called; the generation is given up, the run is as before it.
        """
        if self._asked is not None:
            raise ConfigError("tell the evaluations of the last ask first")
        births, asks, mutations = self._births, self._asks, self.pool.mutations.copy()
        brood = self._breed()
        try:
            self._evaluate(brood)
        except BaseException:
            backend, self._backend = self._backend, None
            if backend is not None:  # its threads may still read the brood
                backend.close()
            self.pool.release(brood.rows["block"])
            self._births, self._asks, self.pool.mutations = births, asks, mutations
            raise
        return self._finish_generation(brood)

    @property
    def champion(self) -> Champion | None:
        """The best genome so far."""
        return self._champions.champion

    @property
    def finished(self) -> bool:
        """Whether an ending of the configuration is met."""
        return self.stop_reason is not None

    @property
    def stop_reason(self) -> str | None:
        """Return which ending is met: "solved", "generations", …; None: none."""
        run = self.config.run
        if self.champion is not None and self.champion.solved and run.stop_when_solved:
            return "solved"
        if self._reached_target:
            return "target_fitness"
        if run.generations is not None and self.generation >= run.generations:
            return "generations"
        if run.evaluations is not None and self.n_evaluations >= run.evaluations:
            return "evaluations"
        if run.seconds is not None and self.seconds >= run.seconds:
            return "seconds"
        return None

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._started

    def interrupt(self) -> None:
        """Ask the run to stop as soon as it can; safe in a signal handler."""
        self._interrupted = True

    # ----------------------------------------------------------------- whole run

    def run(self) -> Result:
        """Evolve until an ending is met; write to storage and tell observers.

        Returns:
            How it ended; ``status`` is "interrupted" after `interrupt`.

        Raises:
            ConfigError: the run is over.
            TweannError: a plugin, the storage or the task failed; what was found until then is kept.
        """
        if self._closed:
            raise ConfigError("the run is over: make another Evolution")
        try:
            self._open()
            return self._run()
        finally:
            self.close()

    def _run(self) -> Result:
        status, reason = "failed", "error"
        try:
            while (ending := self.stop_reason) is None:
                self.step()
            status, reason = "finished", ending
        except Interrupted:
            status, reason = "interrupted", "interrupted"
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            result = self._result(status, reason)
            self._end(result)
        return result

    def close(self) -> None:
        """End threads and let go of files. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for part in (self._backend, self._storage, self._exchange):
            if part is not None:
                part.close()
        self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        """Make storage and observers, and report the start."""
        config = self.config
        info = RunInfo(config.run.name, config.run.seed, self.run_dir, config, self.task.info)
        self._started = time.perf_counter()
        self._storage = assembly.make_storage(config, self.run_dir, self._registry)
        self._observers = Observers(self._registry, config, info)
        self._record(
            "run_started",
            {
                "name": config.run.name,
                "seed": config.run.seed,
                "config": config.to_toml(),
                "version": version("tweann"),
                "started": assembly.now(),
            },
        )
        self._observers.run_started(info)

    def _result(self, status: str, reason: str) -> Result:
        champion = self.champion
        solved = champion is not None and champion.solved
        metrics = dict(self._strategy.metrics())
        if champion is not None:
            metrics |= champion.metrics
            if status != "failed":
                metrics |= self.task.metrics(champion.genome.as_slice(self.layout, self.scaling))
        n_evaluations = self.n_evaluations
        if champion is not None and reason == "solved":
            n_evaluations = champion.n_evaluations
        return Result(
            run_dir=self.run_dir,
            status=status,
            stop_reason=reason,
            solved=solved,
            generations=self.generation,
            n_evaluations=n_evaluations,
            seconds=self.seconds,
            champion=champion,
            n_failed=self.n_failed,
            metrics=metrics,
        )

    def _end(self, result: Result) -> None:
        """Record the final population and the ending."""
        view = self.pool.view()
        for row in view.members.tolist():
            genome = view.genome(row)
            data = {
                "position": row,
                "birth": int(view.id[row]),
                "species": int(view.species[row]),
                "fitness": float(view.fitness[row]),
                "genome_id": genome.genome_id,
                "n_nodes": genome.n_nodes,
                "n_connections": genome.n_connections,
            }
            self._record("individual", data, encode(genome))
        data = {key: result.data()[key] for key in ("status", "stop_reason", "solved")}
        data |= {"n_evaluations": result.n_evaluations, "seconds": result.seconds}
        self._record("run_finished", data)
        if self._storage is not None:
            self._storage.flush()
        if self._observers is not None:
            self._observers.run_finished(result)

    def _record(self, kind: str, data: Mapping[str, Any], genome: bytes | None = None) -> None:
        if self._storage is not None:
            event = Event(self._sequence, kind, self.generation, data, genome)
            self._storage.append([event])
            self._sequence += 1

    # ------------------------------------------------------------------ breeding

    def _breed(self) -> Brood:
        """Ask the strategy and breed what it wants; immigrants join the brood."""
        view = self.pool.view()
        rng = self._generator()
        immigrants: Sequence[Genome] = ()
        if self._exchange is not None and len(view):
            rows = self._strategy.emigrants(view, self._exchange.n_emigrants, rng)
            immigrants = self._exchange.swap([view.genome(int(row)) for row in rows])
            rng = self._generator()
        plan = self._strategy.ask(view, self._population, rng)
        plan.check(len(view), self.config.strategy.name)
        n = len(plan)
        if not 1 <= n <= self._population:
            raise PluginError(
                f"strategy {self.config.strategy.name}: expected a plan for 1 to {self._population} children, "
                f"came one for {n}"
            )
        births = np.arange(self._births, self._births + n + len(immigrants))
        self._births += births.size
        return self.pool.breed(
            plan.operator,
            plan.parent_a,
            plan.parent_b,
            plan.strength,
            plan.values,
            births,
            self.generation,
            self._parameters(),
            immigrants,
        )

    def _generator(self) -> Generator:
        """Return the generator of the next call of the strategy, from a key of its own."""
        key = make_key(self._breeding.seed, self._breeding.stream, np.uint64(self._asks), ASK)
        self._asks += 1
        # The same generator with another key: making one takes 14 µs, this takes 1.
        self._fresh_state["state"]["key"][0] = key
        self._rng.bit_generator.state = self._fresh_state
        return self._rng

    def _parameters(self) -> BreedingParameters:
        """Return the breeding parameters of this generation."""
        births = [i for i, (name, _) in enumerate(self.layout.node_columns) if name == "birth"]
        if not births:
            return self._breeding
        extra = self._breeding.mutation.node_extra.copy()
        extra[births] = self.generation
        return self._breeding._replace(mutation=self._breeding.mutation._replace(node_extra=extra))

    # ---------------------------------------------------------------- evaluation

    def _slice(self, blocks: Any) -> NetworkSlice:
        return NetworkSlice(self.pool.genes, blocks, self.layout, self.scaling)

    def _evaluate(self, brood: Brood) -> None:
        """Evaluate a brood on the back-end and write what came of it to its rows."""
        if self._backend is None:
            self._backend = assembly.make_backend(self.config, self.task.info, self._registry)
        backend, blocks = self._backend, brood.rows["block"]
        resample = self.config.evaluation.resample
        keys = EvaluationKeys(self.config.run.seed, self.generation if resample else 0)
        jobs = [
            Job(start, stop, self._evaluator(self._slice(blocks[start:stop]), keys))
            for start, stop in self._slices(len(brood), backend.capacity)
        ]
        self._check_interrupted()
        if len(jobs) == 1 and backend.in_process and self.task.info.kind != "python":
            self._write(brood, 0, jobs[0].evaluate())  # handing it over would cost as much again
            return
        for job in jobs:
            backend.submit(job)
        found: dict[int, Evaluations] = {}
        try:
            while len(found) < len(jobs):
                self._check_interrupted()
                for finished in backend.collect(0.1):
                    if finished.evaluations is None:
                        raise finished.error or TaskError("the back-end lost a job")
                    found[finished.job.start] = finished.evaluations
        except BaseException:
            for job in jobs:
                backend.cancel(job)
            raise
        for start in sorted(found):  # not as they came in: reasons in the order of births
            self._write(brood, start, found[start])

    def _check_interrupted(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise Interrupted

    def _evaluator(self, networks: NetworkSlice, keys: EvaluationKeys) -> Callable[[], Evaluations]:
        def evaluate() -> Evaluations:
            began = time.perf_counter()
            result = self.task.evaluate(networks, keys)
            self._cost = (time.perf_counter() - began) / len(networks)
            return result

        return evaluate

    def _slices(self, n: int, capacity: int) -> list[tuple[int, int]]:
        """Return the slices of a brood, none so small that handing it out costs more than it does.

        One a genome for Python tasks: their cost varies, and a Ctrl-C should not wait for all. The cost is measured, so
        slices differ from run to run; results do not depend on them.
        """
        if self.task.info.kind == "python":
            pieces = n
        elif capacity == 1:
            pieces = 1
        else:
            worth = n if self._cost is None else int(n * self._cost / _SLICE_SECONDS)
            pieces = max(1, min(n, capacity * SLICES, worth))
        edges = [n * i // pieces for i in range(pieces + 1)]
        return list(pairwise(edges))

    def _write(self, brood: Brood, start: int, e: Evaluations) -> None:
        rows, part = brood.rows, slice(start, start + e.fitness.size)
        for name in ("fitness", "validation", "solved", "steps", "flags", "n_evaluations"):
            rows[name][part] = getattr(e, name)
        rows["descriptor"][part] = e.descriptor
        rows["objectives"][part] = e.objectives
        for k, reason in e.reasons.items():
            if len(self.reasons) < _MAX_REASONS:
                self.reasons.append(f"genome {rows['id'][start + k]}: {reason}")

    # ----------------------------------------------------------------- selection

    def _finish_generation(self, brood: Brood) -> GenerationReport:
        """Find the champion, let the strategy select, and report."""
        rows = brood.rows
        found = summarise(
            rows["fitness"], rows["validation"], rows["solved"], rows["n_evaluations"]
        )
        if self._champions.look(brood, found, self.generation, self.n_evaluations):
            self._announce_champion()
        target = self.config.run.target_fitness
        if target is not None and found.best >= target:  # false for NaN: all failed
            self._reached_target = True
        self.n_evaluations += found.n_evaluations
        self.n_failed += found.n_failed
        survivors = self._strategy.tell(self.pool.view(), self.pool.brood_view(brood))
        self.pool.keep(
            survivors.index,
            survivors.role,
            survivors.columns,
            brood,
            f"strategy {self.config.strategy.name}",
        )
        report = self._report(found)
        self.history.append(report)
        self._record("generation", report.data())
        if self._observers is not None:
            self._observers.generation_finished(report)
        self.generation += 1
        return report

    def _announce_champion(self) -> None:
        champion = self.champion
        if champion is not None:
            self._record("champion", champion.data(), encode(champion.genome))
            if self._observers is not None:
                self._observers.champion_found(champion)

    def _report(self, found: Summary) -> GenerationReport:
        genes, rows = self.pool.genes, self.pool.rows
        members, nodes, connections = count_genes(
            genes.n_nodes, genes.n_connections, rows["block"], rows["role"]
        )
        return GenerationReport(
            generation=self.generation,
            n_evaluations=self.n_evaluations,
            n_failed=found.n_failed,
            best=found.best,
            mean=found.mean,
            std=found.std,
            worst=found.worst,
            champion_fitness=np.nan if self.champion is None else self.champion.fitness,
            mean_nodes=nodes / max(members, 1),
            mean_connections=connections / max(members, 1),
            seconds=self.seconds,
            metrics=self._strategy.metrics(),
        )

    @property
    def mutations(self) -> dict[str, tuple[int, int]]:
        """Return for each mutation operator how often it was applied, and found no legal place."""
        counts = self.pool.mutations.tolist()
        return {
            operator.name.lower(): (counts[operator][0], counts[operator][1])
            for operator in MutationOperator
        }


class Interrupted(Exception):  # noqa: N818 - a signal, not an error
    """The run was asked to stop."""
