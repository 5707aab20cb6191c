"""Whole runs in one call: from a configuration file, from a function, and again from a stored champion."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tweann import assembly, runs
from tweann.ceiling import ceiling
from tweann.checkpoints import drop_after, read_checkpoints
from tweann.config import Config, load
from tweann.config.loading import Overrides
from tweann.errors import ConfigError, FormatError, StorageError
from tweann.evolution import Evolution
from tweann.kernels._jit import is_cached
from tweann.kernels.breed import breed
from tweann.memory import available
from tweann.network import Network
from tweann.patience import Patience
from tweann.records import Result
from tweann.registry import Registry, default_registry
from tweann.rehearsal import rehearsing
from tweann.stored_run import CONFIG_FILE, StoredRun
from tweann.tasks.base import Evaluation, EvaluationKeys
from tweann.tasks.python import PythonTask

#: What may change in a run that goes on, by the beginning of the key: none of it changes what evolves.
RESUMABLE = (
    "run.generations",
    "run.evaluations",
    "run.seconds",
    "run.target_fitness",
    "run.stop_when_solved",
    "evaluation.backend",
    "evaluation.workers",
    "storage.full_seconds",
    "storage.max_waiting_bytes",
    "checkpoint.",
    "observers.",
)
#: What the first run of an installation says.
COMPILING = "compiling the kernels, once for this installation: about half a minute"


def run(
    source: str | Path | Mapping[str, Any],
    *,
    overrides: Overrides = (),
    out: str | Path = "runs",
    registry: Registry | None = None,
) -> Result:
    """Run a configuration to its end, in a run folder of its own.

    Args:
        source: a TOML file, or the same as nested tables.
        overrides: "section.key=value" texts, or values by "section.key".
        out: where run folders are made.
        registry: where the plugins are; by default the installed ones.

    Returns:
        How it ended. The first Ctrl-C ends it at once with all that was found until then.

    Raises:
        ConfigError: the configuration is wrong; all its faults are named.
        TweannError: a plugin, the storage or the task failed.
    """
    registry = registry or default_registry()
    config = load(source, overrides, registry)
    is_first = not is_cached(breed)
    if is_first and "progress" in config.observers:
        print(COMPILING, file=sys.stderr, flush=True)
    with ExitStack() as stack:
        evolution = stack.enter_context(Evolution(config, registry=registry))
        if is_first:
            stack.enter_context(rehearsing(config, evolution.task.info.kind, registry))
        # only now, since faults of the configuration have shown
        folder = runs.create_run_folder(Path(out), config.run.name, config.run.seed)
        evolution.run_dir = folder
        runs.write_file(folder / CONFIG_FILE, config.to_toml().encode())
        runs.write_environment(folder, registry.files)
        return _run_in(folder, evolution)


def _run_in(folder: Path, evolution: Evolution) -> Result:
    parts = evolution.config, evolution.task, evolution.layout, evolution.strategy
    short = ceiling(*parts).shortage(available())
    if short is not None:
        print(f"warning: {short}", file=sys.stderr, flush=True)
    with interruptible(evolution):
        try:
            result = evolution.run()
        except BaseException:
            with suppress(StorageError):  # what ended the run says more
                _write_champion(folder, evolution)
            raise
        Patience(
            "the champion's files",
            evolution.config.storage.full_seconds,
            "the run ends when they are written",
            "the champion is in the storage, and `tweann export` makes them from there",
        ).insist(lambda: _write_champion(folder, evolution))
        return result


def _write_champion(folder: Path, evolution: Evolution) -> None:
    if evolution.champion is not None:
        runs.write_champion(folder, evolution.champion)


def run_or_resume(
    source: str | Path,
    *,
    overrides: Overrides = (),
    out: str | Path = "runs",
    registry: Registry | None = None,
) -> Result:
    """Go on with the newest run of a configuration's name and seed below ``out``; run it where there is none.

    For services that start again after a crash. The configuration and what overrides it must be those of that
    run, endings aside. Arguments and errors as in `run`.
    """
    registry = registry or default_registry()
    config = load(source, overrides, registry)
    known = [
        summary.run_dir
        for summary in runs.list_runs(Path(out))
        if (summary.name, summary.seed) == (config.run.name, config.run.seed)
    ]
    if not known:
        return run(source, overrides=overrides, out=out, registry=registry)
    endings = {
        f"run.{name}": value
        for name, value in config.run.model_dump(mode="json", exclude_none=True).items()
        if f"run.{name}" in RESUMABLE
    }
    stored = StoredRun(known[-1])
    changed = _difference(load(stored.folder / CONFIG_FILE, endings, registry), config)
    if changed:
        raise ConfigError(
            f"{stored.folder} was started with another {changed}: give it another run.name or run.seed, or go on "
            f"with `tweann resume {stored.folder}`"
        )
    return resume(stored, overrides=endings, registry=registry)


def _difference(a: Config, b: Config) -> str | None:
    """Return the first key of what evolves in which two configurations differ."""
    first, second = a.data(), b.data()
    for section in first.keys() | second.keys():
        if section in ("observers", "checkpoint"):
            continue
        one, other = first.get(section, {}), second.get(section, {})
        for key in sorted(one.keys() | other.keys()):
            name = f"{section}.{key}"
            if one.get(key) != other.get(key) and name not in RESUMABLE:
                return name
    return None


def resume(
    stored: StoredRun, *, overrides: Overrides = (), registry: Registry | None = None
) -> Result:
    """Go on with a run from its last good checkpoint: bit for bit as if it had never stopped.

    Args:
        stored: the run.
        overrides: as in `run`, of `RESUMABLE` keys alone: a later ending extends a run that is finished.
        registry: where the plugins are; by default the installed ones.

    Raises:
        ConfigError: there is no checkpoint, or an override would make it another run.
        FormatError: every checkpoint is damaged.
    """
    registry = registry or default_registry()
    keys = [text.partition("=")[0].strip() for text in overrides]  # of a mapping these are the keys
    wrong = [key for key in keys if not key.startswith(RESUMABLE)]
    if wrong:
        raise ConfigError(
            f"{wrong[0]} cannot be changed in a run that goes on: it would be another run "
            f"(what can: {', '.join(RESUMABLE)})"
        )
    config = load(stored.folder / CONFIG_FILE, overrides, registry)
    faults: list[str] = []
    for path, state in read_checkpoints(stored.folder):
        with Evolution(config, registry=registry, run_dir=stored.folder) as evolution:
            try:
                if isinstance(state, FormatError):
                    raise state
                evolution.restore(state)
            except FormatError as error:
                faults.append(f"{path.name}: {error}")
                print(f"warning: {faults[-1]}; trying the one before", file=sys.stderr, flush=True)
                continue
            drop_after(path)
            if keys:
                runs.write_file(stored.folder / CONFIG_FILE, config.to_toml().encode())
            return _run_in(stored.folder, evolution)
    if faults:
        raise FormatError(f"{stored.folder}: every checkpoint is damaged: {'; '.join(faults)}")
    raise ConfigError(
        f"{stored.folder} has no checkpoint: the run ended before the first was written, or has "
        "checkpoint.enabled = false; start it again with `tweann run`"
    )


def evolve(
    function: Callable[[Network], float | Evaluation],
    n_inputs: int,
    n_outputs: int,
    *,
    seed: int = 1,
    generations: int = 100,
    target_fitness: float | None = None,
    config: Mapping[str, Any] | None = None,
    progress: bool = False,
    registry: Registry | None = None,
) -> Result:
    """Evolve networks for a function, in this process, without files.

    Args:
        function: gets a network and returns its fitness, more being better. What it raises, and what is no
            finite number, counts as a failure.
        n_inputs, n_outputs: sizes of the networks.
        seed: the same seed gives the same result.
        generations: when to end at the latest.
        target_fitness: when to end before.
        config: further sections, e.g. ``{"strategy": {"population": 50}, "genome": {"recurrent": True}}``.
        progress: show it on standard error.
        registry: where the plugins are; by default the installed ones.

    Raises:
        ConfigError: a setting is wrong.
    """
    registry = registry or default_registry()
    defaults: dict[str, dict[str, Any]] = {
        "run": {"name": "evolve", "generations": generations, "seed": seed},
        "storage": {"url": "memory:"},
    }
    if target_fitness is not None:
        defaults["run"]["target_fitness"] = target_fitness
    tables: dict[str, Any] = {
        "observers": {"progress": {}} if progress else {},
        **defaults,
        **(config or {}),
    }
    for name, section in defaults.items():
        if isinstance(tables[name], Mapping):  # if not, loading says so
            tables[name] = section | dict(tables[name])
    task = PythonTask(function, n_inputs, n_outputs)
    with Evolution(tables, task=task, registry=registry) as evolution, interruptible(evolution):
        return evolution.run()


def evaluate(stored: StoredRun, registry: Registry | None = None) -> dict[str, float]:
    """Evaluate a stored champion again on its task and return what the task says of it.

    Returns:
        ``fitness``, ``solved`` (0 or 1) and the task's metrics; where the task tests champions, the test's.
    """
    registry = registry or default_registry()
    config = load(stored.folder / CONFIG_FILE, (), registry)
    task = assembly.make_task(config, registry)
    layout = assembly.make_layout(config, task.info, registry)
    networks = stored.champion().as_slice(layout, assembly.make_scaling(config, task.info))
    generation = stored.champion_data()["generation"] if config.evaluation.resample else 0
    found = task.evaluate(networks, EvaluationKeys(config.run.seed, generation))
    solved, metrics = bool(found.solved[0]), task.metrics(networks)
    if task.tests_champion:
        test = task.test_champion(networks)
        solved, metrics = test.solved, {**metrics, **test.metrics}
    return {"fitness": float(found.fitness[0]), "solved": float(solved), **metrics}


@contextmanager
def interruptible(evolution: Evolution) -> Iterator[None]:
    """Let the first Ctrl-C, or SIGTERM, end the run in order; the second ends the process as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return

    def stop(number: int, frame: object) -> None:
        del number, frame
        evolution.interrupt()
        restore()

    signals = [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    for number in signals:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
