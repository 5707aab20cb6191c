"""Faults of the bridge at full length, and whether the others notice.

    python bench/bridge_faults.py [--only link|slow|peer|disk|hub ...] [--json FILE]

A peer evolves in a process of its own and sends to two islands here: a bystander, which takes nobody in, and a guest house,
which does. ``link``: their connection is cut for 30 s; ``slow``: 200 ms of delay and 20 % of loss for 30 s; ``peer``: the peer
is killed with SIGKILL and started again; ``disk``: the peer's disk is full for 30 s (takes root, to mount a small one), and the
same process must go on and write all that waited;
``hub``: the hub between them is killed with SIGKILL and started again. Of each fault is required that the bystander
is, generation by generation, the run that it would be undisturbed; that a replay of the guest house finds its champion;
that no exchange call takes more than 10 ms of processor time, nor 99.9 % of them of wall time (the slowest is
shown: others use this machine as well); that nobody comes in while nothing can, and somebody does afterwards; that the
peer has not ended.
Ends with 1 if one is not met.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from loopback import free_endpoints
from timing import write_json

from tweann.evolution import Evolution
from tweann.replay import replay
from tweann.stored_run import StoredRun

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # for the relay

#: A generation lasts at least this: what counts is seconds of the fault, not generations.
PACE = 0.01
LIMIT = 0.01
LONG = 30.0
SHORT = 8.0
PATIENCE = 60.0
OFTEN = {"every": 1, "least_seconds": 0.2, "heartbeat_seconds": 0.5, "silence_seconds": 3.0}
DISK = "256m"
#: What a run says when its disk is full, and when it has room again.
FULL, AGAIN = "cannot write", "what waits can be written again"


def config(name: str, **bridge: Any) -> dict[str, Any]:
    """Return a run of short generations that has a bridge."""
    return {
        "run": {"name": name, "seed": 7, "generations": 1_000_000, "stop_when_solved": False},
        "task": {"name": "xor"},
        "strategy": {"population": 20},
        "evaluation": {"workers": 1},
        "observers": {},
        "bridge": {"name": name, "emigrants": "random"} | OFTEN | bridge,
    }


class Island:
    """An island in this process, with the time of its exchange calls.

    Attributes:
        trajectory: champion and fitness of all members, by generation.
        wall, cpu: seconds of each exchange call.
    """

    def __init__(self, source: dict[str, Any], folder: Path | None) -> None:
        self.run = Evolution(source, run_dir=folder)
        if folder is not None:
            folder.mkdir()
            (folder / "config.toml").write_text(self.run.config.to_toml())
            self.run._open()
        self.trajectory: list[tuple[str, bytes]] = []
        self.wall: list[float] = []
        self.cpu: list[float] = []
        swap = self.run._breeder._swap

        def timed(*arguments: Any) -> Any:
            cpu, wall = time.thread_time(), time.perf_counter()
            found = swap(*arguments)
            self.cpu.append(time.thread_time() - cpu)
            self.wall.append(time.perf_counter() - wall)
            return found

        self.run._breeder._swap = timed  # type: ignore[method-assign]

    def step(self) -> None:
        """Live for a generation."""
        self.run.step()
        champion = self.run.champion
        assert champion is not None
        fitness = np.asarray(self.run.pool.view().fitness).tobytes()
        self.trajectory.append((champion.genome.genome_id, fitness))


class Stage:
    """A peer in a process of its own, two islands here, and what is between them."""

    def __init__(self, stack: ExitStack, folder: Path, hub: bool) -> None:
        from bridge_parts import Relay

        self._stack, self.folder = stack, folder
        at, self._publish, self._subscribe = free_endpoints(3)
        self._hub = hub
        own: dict[str, Any] = {"bind": at}
        others: dict[str, Any]
        if hub:
            own = others = {"hub": {"publish": self._publish, "subscribe": self._subscribe}}
            self.hub = self.start_hub()
        else:
            self.relay = Relay(at)
            stack.callback(self.relay.close)
            others = {"connect": [self.relay.endpoint]}
        (folder / "disk").mkdir()
        with Evolution(config("peer", **own)) as run:
            (folder / "peer.toml").write_text(run.config.to_toml())
        self.others = others
        self.islands = [
            Island(config("bystander", max_immigrants=0, **others), None),
            Island(config("guests", **others), folder / "20260101-000000_guests_s7"),
        ]
        for island in self.islands:
            stack.callback(island.run.close)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command of tweann, which ends with the stage at the latest."""
        log = self._stack.enter_context((self.folder / "log").open("a"))
        process = subprocess.Popen(
            [sys.executable, "-m", "tweann", *command], stdout=log, stderr=log, text=True
        )

        def end() -> None:
            process.kill()
            process.wait()

        self._stack.callback(end)
        return process

    def start_peer(self) -> None:
        """Start the peer anew."""
        out = str(self.folder / "disk")
        self.peer = self.start("run", str(self.folder / "peer.toml"), "--out", out, "--quiet")

    def start_hub(self) -> subprocess.Popen[str]:
        """Start the hub."""
        return self.start("hub", "--publish", self._publish, "--subscribe", self._subscribe)

    def said(self) -> str:
        """Return what the commands have said."""
        return (self.folder / "log").read_text()

    @property
    def n_guests(self) -> int:
        """Number of immigrants so far."""
        return self.islands[1].run.n_immigrants

    def live(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let the islands here live so long, or until something is so, and return whether it is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            began = time.monotonic()
            for island in self.islands:
                island.step()
            if until():
                return True
            time.sleep(max(0.0, PACE - (time.monotonic() - began)))
        return False


def link(stage: Stage) -> Iterator[float]:
    """Cut the connection."""
    stage.relay.cut()
    yield LONG
    stage.relay.mend()


def slow(stage: Stage) -> Iterator[float]:
    """Delay everything, and lose some of it."""
    stage.relay.delay, stage.relay.loss = 0.2, 0.2
    yield LONG
    stage.relay.delay = stage.relay.loss = 0.0


def peer(stage: Stage) -> Iterator[float]:
    """Kill the peer."""
    stage.peer.kill()
    stage.peer.wait()
    yield SHORT
    stage.start_peer()


def hub(stage: Stage) -> Iterator[float]:
    """Kill the hub."""
    stage.hub.kill()
    stage.hub.wait()
    yield SHORT
    stage.hub = stage.start_hub()


def disk(stage: Stage) -> Iterator[float]:
    """Fill the peer's disk, until there is room again."""
    ballast = stage.folder / "disk" / "ballast"
    file = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(file, bytes(1024))
    os.close(file)
    yield LONG
    ballast.unlink()


FAULTS: dict[str, Callable[[Stage], Iterator[float]]] = {
    "link": link,
    "slow": slow,
    "peer": peer,
    "disk": disk,
    "hub": hub,
}
#: Through which nobody comes.
SHUT = ("link", "peer", "hub")


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a small file system there."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    subprocess.run(command, check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


def unwritten(stage: Stage) -> list[str]:
    """Return what a peer whose disk was full does not say."""
    again = stage.live(PATIENCE, lambda: AGAIN in stage.said())
    print("  " + "\n  ".join(stage.said().strip().splitlines()), flush=True)
    unmet = [] if again else ["the peer does not write again"]
    return unmet if FULL in stage.said() else [*unmet, "the disk was never full"]


def undisturbed(stage: Stage) -> bool:
    """Return whether the bystander is the run that it would be if it heard nobody."""
    found = stage.islands[0].trajectory
    alone = Island(config("bystander", bind="inproc://nobody", max_immigrants=0), None)
    with alone.run:
        for _ in found:
            alone.step()
    return alone.trajectory == found


def trial(name: str) -> dict[str, Any]:
    """Let a fault happen, and return what came of it."""
    unmet = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stage = Stage(stack, Path(folder), name == "hub")
        if name == "disk":
            stack.enter_context(small_disk(stage.folder / "disk"))
        stage.start_peer()
        if not stage.live(PATIENCE, lambda: stage.n_guests >= 10):
            raise RuntimeError(f"nobody came: {stage.said()[-500:]}")
        warm = [len(island.wall) for island in stage.islands]  # kernels are compiled
        fault = FAULTS[name](stage)
        seconds = next(fault)
        stage.live(1.0)  # who was on the way comes in
        before = stage.n_guests
        stage.live(seconds - 1.0)
        during = stage.n_guests - before
        if name in SHUT and during:
            unmet.append(f"{during} came in while nothing could")
        next(fault, None)
        began, before = time.monotonic(), stage.n_guests
        if not stage.live(PATIENCE, lambda: stage.n_guests >= before + 5):
            unmet.append("nobody came in afterwards")
        recovery = time.monotonic() - began
        if name == "disk":
            unmet += unwritten(stage)
        if stage.peer.poll() is not None:
            unmet.append(f"the peer has ended: {stage.said()[-500:]}")
        guests = stage.islands[1].run
        guests.interrupt()
        guests._run()
        guests.close()
        wall = np.concatenate([i.wall[w:] for i, w in zip(stage.islands, warm, strict=True)])
        cpu = np.concatenate([i.cpu[w:] for i, w in zip(stage.islands, warm, strict=True)])
        if not undisturbed(stage):
            unmet.append("the bystander's trajectory is another one")
        if not replay(StoredRun(stage.folder / "20260101-000000_guests_s7")).same:
            unmet.append("the replay's champion is another one")
    if cpu.max() > LIMIT or np.quantile(wall, 0.999) > LIMIT:
        unmet.append("an exchange call took too long")
    return {
        "fault": name,
        "generations": len(stage.islands[0].trajectory),
        "immigrants_during": during,
        "immigrants": guests.n_immigrants,
        "recovery_seconds": round(recovery, 2),
        "calls": len(wall),
        "wall_ms": [round(1e3 * float(np.quantile(wall, q)), 2) for q in (0.999, 1.0)],
        "processor_ms": [round(1e3 * float(np.quantile(cpu, q)), 2) for q in (0.999, 1.0)],
        "unmet": unmet,
    }


def main() -> None:
    """Let all faults happen that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    found = []
    for name in arguments.only:
        found.append(trial(name))
        print(found[-1], flush=True)
    if arguments.json:
        write_json(arguments.json, faults=found)
    sys.exit(1 if any(each["unmet"] for each in found) else 0)


if __name__ == "__main__":
    main()
