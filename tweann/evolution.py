"""The loop: a strategy says who, the core breeds, decodes and evaluates, the strategy says who stays."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tweann import assembly
from tweann.breeding import Breeder
from tweann.champions import ChampionFinder
from tweann.checkpoints import Checkpoints
from tweann.config import Config, TaskSection, load
from tweann.controlling import make_desk
from tweann.errors import ConfigError, FormatError
from tweann.evaluating import Evaluator
from tweann.genes import Float, Int
from tweann.interfaces import Asynchronous, Exchange, Strategy
from tweann.kernels.mutation import MutationOperator
from tweann.kernels.summary import Summary, count_genes, summarise
from tweann.lineage import Children
from tweann.network import Network
from tweann.pool import Brood, GenomePool
from tweann.recording import Recorder
from tweann.records import Champion, GenerationReport, Result, RunInfo
from tweann.registry import Registry, default_registry
from tweann.tasks.base import Evaluation, Evaluations, Task
from tweann.workers import Workers

#: What a run counts, in attributes.
_COUNTERS = ("generation", "n_evaluations", "n_failed", "n_immigrants")


class Evolution:
    """One run, step by step.

    Args:
        config: a `Config`, nested tables, or the path of a TOML file.
        task: a task that is no plugin; then the configuration has no section [task].
        registry: where the plugins are; by default the installed ones.
        run_dir: where storages and observers may write; None: nowhere.
        exchange: swaps genomes with elsewhere, before each ask; by default what [bridge] names, if it is there.

    Attributes:
        generation: generations finished.
        n_evaluations: task runs so far; n_failed: how many of them failed.
        n_immigrants: how many genomes came from elsewhere.
        desk: the settings that may change as the run goes on.
        history: the last ``run.history`` reports.

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
        self._strategy = assembly.make_strategy(config, info, self._registry)
        self._population: int = config.strategy.settings.population  # type: ignore[attr-defined] # checked on loading
        self._workers = Workers(assembly.count_workers(config))
        self.pool = GenomePool(
            self.layout,
            self._strategy.columns,
            len(info.descriptor),
            info.n_objectives,
            self._workers,
        )
        self._champions = ChampionFinder(self.task, self.pool, self.scaling, self._strategy)
        self._breeder = Breeder(config, info, self.pool, self._strategy, self._registry, exchange)
        self._penalty = config.complexity.penalty
        assignment = assembly.make_assignment(
            config, self.task, self.layout, self.scaling, self._registry, plugin=task is None
        )
        self._evaluator = Evaluator(config, assignment, self.pool, self._registry, self._strategy)
        self._recorder = Recorder(config)
        self.desk = make_desk(config, self.layout, self._breeder, self._evaluator, self._workers)
        self._checkpoints: Checkpoints | None = None
        self._seconds_before = 0.0  # of the run, until the checkpoint that it goes on from
        #: Bred and not told yet, in the order of birth.
        self._pending: deque[Brood] = deque()
        self._window, self._in_order = 1, True
        if isinstance(self._strategy, Asynchronous):
            self._window, self._in_order = self._strategy.window, self._strategy.in_birth_order
        #: Births in the order of telling, where that is not their own.
        self._arrivals: list[int] = []
        self._outside = False  # the pending brood is evaluated outside
        self._told: list[Float] = []  # fitness of those told in the generation that goes on
        self._interrupted = False
        self._closed = False
        self._started = time.perf_counter()
        self._reached_target = False
        self.generation = self.n_evaluations = self.n_failed = self.n_immigrants = 0
        self.history: deque[GenerationReport] = deque(maxlen=config.run.history)

    # ------------------------------------------------------------ ask and tell

    def ask(self) -> list[Network]:
        """Breed the next children and return their networks, to be evaluated outside.

        Raises:
            ConfigError: the children of the last ask have not been told.
        """
        if self.config.tuning.attempts != 0 or self.config.genome.lamarckian:
            raise ConfigError(
                "section [tuning] and genome.lamarckian need a task that tweann evaluates itself: set "
                "tuning.attempts = 0 and genome.lamarckian = false"
            )
        if self._outside:
            raise ConfigError(f"tell the {len(self._pending[0])} evaluations of the last ask first")
        if not self._pending:
            self._pending.append(self._breed())
        self._outside = True
        return list(self._evaluator.networks(self._pending[0]))

    def tell(self, evaluations: Sequence[float | Evaluation]) -> GenerationReport | None:
        """Take the evaluations of the networks that `ask` gave, in their order.

        Args:
            evaluations: one for each; a plain number is the fitness, NaN a failure.

        Returns:
            The report of the generation that they complete; None if it goes on, with a strategy that asks for
            fewer children at a time.

        Raises:
            ConfigError: nothing was asked, or another number of evaluations came.
        """
        if not self._outside:
            raise ConfigError("there is nothing to tell: ask first")
        brood = self._pending[0]
        if len(evaluations) != len(brood):
            raise ConfigError(
                f"expected {len(brood)} evaluations, one for each network, came {len(evaluations)}"
            )
        columns = Evaluations.empty(len(brood), self.task.info)
        for k, evaluation in enumerate(evaluations):
            columns.put(k, evaluation)
        self._evaluator.write(brood, 0, columns)
        self._outside = False
        return self._tell(brood)

    def step(self) -> GenerationReport:
        """Breed, evaluate and select until a generation's worth of children has been told.

        Raises:
            Interrupted: `interrupt` was called; what was bred and not told is evaluated by the next step.
        """
        if self._outside:
            raise ConfigError("tell the evaluations of the last ask first")
        while True:
            while len(self._pending) < self._window:
                self._pending.append(self._breed())
            brood = self._evaluator.next_evaluated(
                tuple(self._pending), self._in_order, self._check_interrupted
            )
            report = self._tell(brood)
            if report is not None:
                return report

    @property
    def champion(self) -> Champion | None:
        """The best genome so far."""
        return self._champions.champion

    @property
    def reasons(self) -> list[str]:
        """Why evaluations failed, the first few."""
        return self._evaluator.reasons

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

    @property
    def in_birth_order(self) -> bool:
        """Whether children are told in the order of their birth, so that the run does not depend on the clock."""
        return self._in_order

    @property
    def strategy(self) -> Strategy:
        """Return the run's strategy, for what only it can tell, such as the heat map of an archive."""
        return self._strategy

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

    def run_unbred(self, brood: Brood) -> Result:
        """Evaluate a brood that somebody else made, select, and end, with storage and observers as in `run`."""
        self._open()
        self._pending.append(brood)
        self._evaluator.next_evaluated((brood,), True, self._check_interrupted)
        self._tell(brood)
        result = self._result("finished", "generations")
        self._recorder.finish(result, self.pool.view(), self._alive())
        return result

    def _run(self) -> Result:
        status, reason = "failed", "error"
        try:
            while (ending := self.stop_reason) is None:
                self.step()
                if self._checkpoints is not None and self._checkpoints.due:
                    self._try_checkpoint(self._checkpoints)
            status, reason = "finished", ending
            self.checkpoint()  # so that it can be extended
        except Interrupted:
            status, reason = "interrupted", "interrupted"
            self.checkpoint()
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            result = self._result(status, reason)
            self._recorder.finish(result, self.pool.view(), self._alive())
        return result

    # ------------------------------------------------------------- checkpoints

    def checkpoint(self) -> Path | None:
        """Write the whole state of the run to its folder; return the file, None if the run has no folder.

        A disk that is full is waited for.

        Raises:
            StorageError: it cannot be written; those before are untouched.
        """
        checkpoints = self._checkpoints
        if checkpoints is None:
            return None
        self._recorder.flush()  # a checkpoint must not know of events that may still be lost
        return checkpoints.patience.insist(lambda: self._write_checkpoint(checkpoints))

    def _try_checkpoint(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint, unless it, or the events before it, cannot be written just now."""
        if self._recorder.settle():
            checkpoints.patience.attempt(lambda: self._write_checkpoint(checkpoints))

    def _write_checkpoint(self, checkpoints: Checkpoints) -> Path:
        path = checkpoints.write(self._recorder.sequence, self.state())
        self._recorder.checkpoint(path)
        return path

    def state(self) -> dict[str, Any]:
        """Return all that the run is, as `tweann.packing.pack` takes it; children under way included."""
        rows = [self.pool.rows, *(brood.rows for brood in self._pending)]
        template = np.array([self._breeder.template])
        blocks = np.concatenate((template, *(r["block"] for r in rows)))
        return {
            "genes": self.pool.save(blocks),
            "rows": dict(rows[0]),
            "pending": [{"rows": dict(b.rows), "applied": b.applied} for b in self._pending],
            "told": list(self._told),
            "mutations": self.pool.mutations,
            "strategy": dict(self._strategy.state()),
            "controls": self.desk.state(),
            "breeder": self._breeder.state(),
            "champion": self._champions.state(),
            "history": [{"generation": r.generation, **r.data()} for r in self.history],
            "reasons": list(self.reasons),
            "arrivals": list(self._arrivals),
            "reached_target": self._reached_target,
            "seconds": self.seconds,
            "recorder": self._recorder.state(),
            **{name: getattr(self, name) for name in _COUNTERS},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, in a run of the same configuration that has not begun.

        Raises:
            FormatError: the state is damaged, or that of another configuration; this object is then of no use.
        """
        try:
            self._restore(state)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(
                f"not the state of such a run: {type(error).__name__}: {error}"
            ) from error

    def _restore(self, state: Mapping[str, Any]) -> None:
        blocks = self.pool.load(state["genes"])
        self._breeder.restore(state["breeder"], int(blocks[0]))
        self.desk.restore(state["controls"])
        at, loaded = 1, []
        for saved in (state["rows"], *(brood["rows"] for brood in state["pending"])):
            n = saved["block"].size
            loaded.append(self.pool.load_rows(saved, blocks[at : at + n]))
            at += n
        if at != blocks.size:
            raise FormatError(f"{blocks.size} genomes for {at} rows")
        self.pool.rows = loaded[0]
        for rows, saved in zip(loaded[1:], state["pending"], strict=True):
            self._pending.append(Brood(rows, saved["applied"]))
        self.pool.mutations[:] = state["mutations"]
        self._told = list(state["told"])
        self._strategy.restore(state["strategy"])
        self._champions.restore(state["champion"])
        self.history.extend(GenerationReport(**report) for report in state["history"])
        self.reasons.extend(state["reasons"])
        self._arrivals = list(state["arrivals"])
        self._reached_target = state["reached_target"]
        self._seconds_before = state["seconds"]
        self._recorder.restore(state["recorder"])
        for name in _COUNTERS:
            setattr(self, name, state[name])

    def close(self) -> None:
        """End threads and let go of files. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._evaluator.close()
            self._recorder.close()
        finally:
            self._breeder.close()
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
        info = RunInfo(
            config.run.name,
            config.run.seed,
            self.run_dir,
            config,
            self.task.info,
            self.generation,
        )
        self._started = time.perf_counter() - self._seconds_before
        self._recorder.open(config, info, self._registry)
        if self.run_dir is not None and config.checkpoint.enabled:
            self._checkpoints = Checkpoints(
                self.run_dir, config.checkpoint, config.storage.full_seconds
            )

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

    # ------------------------------------------------------------------ breeding

    def _evaluate_survivors(self) -> None:
        """Evaluate the members once more, so that luck does not last; also a champion's was luck in part."""
        if self._window > 1:
            raise ConfigError(
                "evaluation.reevaluate needs a strategy that breeds whole generations: set it to false"
            )
        members = self.pool.view().members
        if members.size:
            runs, failed = self._evaluator.evaluate_again(
                members, self.generation, self._check_interrupted
            )
            self.n_evaluations += runs
            self.n_failed += failed

    def _breed(self) -> Brood:
        """Breed the next children; before that, the survivors are evaluated once more where that is set."""
        if self.config.evaluation.reevaluate:
            self._evaluate_survivors()
        return self._breeder.breed(self.generation, self.n_evaluations, self.run_dir)

    def _check_interrupted(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise Interrupted

    # ----------------------------------------------------------------- selection

    def _tell(self, brood: Brood) -> GenerationReport | None:
        """Find the champion, let the strategy select, and report if that completes a generation."""
        rows = brood.rows
        found = summarise(
            rows["fitness"], rows["validation"], rows["solved"], rows["n_evaluations"]
        )
        self._evaluator.stop_on_failure(brood)
        champion = self._champions.look(brood, found, self.generation, self.n_evaluations)
        if champion is not None:
            self._recorder.champion(champion, self.generation)
        target = self.config.run.target_fitness
        if target is not None and found.best >= target:  # false for NaN: all failed
            self._reached_target = True
        self.n_evaluations += found.n_evaluations
        self.n_failed += found.n_failed
        if self._breeder.has_guests:
            migrants = self._breeder.migrants(brood, self.n_immigrants)
            self.n_immigrants += len(migrants)
            self._recorder.migrants(migrants, self.generation)
        fitness = rows["fitness"]
        if self._penalty > 0.0:  # for the strategy alone: champions and reports know the task's
            fitness = fitness.copy()
            cost = self._penalty * self.pool.genes.n_connections[rows["block"]]
            rows["fitness"][:] = fitness - cost
        control = self._breeder.control
        if control is not None:
            control.compare(self.pool, brood)
        n, first = len(brood), int(rows["id"][0])
        told = self._evaluator.without_failures(brood)
        children = Children(rows, told.rows["id"], brood.applied, fitness)
        survivors = self._strategy.tell(self.pool.view(), self.pool.brood_view(told))
        before, index = self.pool.rows["id"], survivors.index
        if self._recorder.lineage is not None:  # `keep` may write over both
            before, index = before.copy(), np.array(index)
        self.pool.keep(
            survivors.index,
            survivors.role,
            survivors.columns,
            told,
            f"strategy {self.config.strategy.name}",
        )
        self._pending.remove(brood)
        selection = before, index, self.pool.rows["species"]
        self._recorder.told(children, selection, self.generation, self._alive)
        if not self._in_order:
            self._arrivals.append(first)
        if n >= self._population and not self._told:  # the whole generation at once
            return self._finish_generation(found)
        self._told.append(fitness)
        if sum(map(len, self._told)) < self._population:
            return None
        fitness = np.concatenate(self._told)
        self._told.clear()
        nothing, runs = np.zeros(fitness.size, np.bool_), np.zeros(fitness.size, np.int64)
        return self._finish_generation(summarise(fitness, fitness, nothing, runs))

    def _alive(self) -> list[Int]:
        """Return birth numbers, of the pool, the parents of children under way, and the champion."""
        alive = [self.pool.rows["id"], *(brood.rows["parent_a"] for brood in self._pending)]
        if self.champion is not None:
            alive.append(np.array([self.champion.birth]))
        return alive

    def _finish_generation(self, found: Summary) -> GenerationReport:
        report = self._report(found)
        control = self._breeder.control
        if control is not None:
            control.look(report.mean_connections)
            self.desk.success_rate = control.take_success()
        self.history.append(report)
        self._recorder.generation(report, self._arrivals)
        self._recorder.control(report, self.desk)
        self._arrivals = []
        self.generation += 1
        return report

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
            metrics=self._metrics(),
        )

    def _metrics(self) -> Mapping[str, float]:
        exchange, metrics = self._breeder.exchange, self._strategy.metrics()
        return metrics if exchange is None else {**metrics, **exchange.metrics()}

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
