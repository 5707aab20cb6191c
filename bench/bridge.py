"""What the bridge does: migrants a second into one peer, its share of a run, messages that a fuzzer sends.

    python bench/bridge.py throughput [--curve] [--seconds 5] [--batch 32]
    python bench/bridge.py cost [--generations 3000]
    python bench/bridge.py fuzz [--messages 100000]

Each prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zmq
from loopback import free_endpoints

from tweann.bridge.bounded import DropOldest
from tweann.bridge.customs import Customs, Identity
from tweann.bridge.peer import Peer
from tweann.bridge.protocol import Header, body_hash, pack, pack_body
from tweann.bridge.security import AllowList, new_keys, read_keys, start_authenticator
from tweann.bridge.settings import BridgeSettings
from tweann.bridge.sockets import publisher
from tweann.evolution import Evolution
from tweann.genome import Genome
from tweann.interfaces import Immigrant
from tweann.kernels.ids import FIRST_OUTPUT, HASH_BITS
from tweann.layout import Layout
from tweann.memory import peak

LAYOUT = Layout(3, 2, recurrent=True)
TASK, OURS, THEIRS = b"t" * 16, b"a" * 16, b"b" * 16


def genome_of(rng: np.random.Generator, n_nodes: int = 50, n_connections: int = 200) -> Genome:
    """Return a random valid genome of that size."""
    hidden = rng.integers(1 << HASH_BITS, FIRST_OUTPUT, n_nodes - 5)
    ids = np.sort(np.concatenate((np.arange(3), hidden, FIRST_OUTPUT + np.arange(2))))
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < n_connections:
        source, target = int(rng.choice(ids)), int(rng.choice(ids[3:]))
        if not (source >= FIRST_OUTPUT and source < target):
            pairs.add((target, source))
    ordered = np.array(sorted(pairs))
    bias = rng.normal(size=n_nodes)
    bias[:3] = 0.0
    return Genome(
        n_inputs=3,
        n_outputs=2,
        node_id=ids,
        activation=("identity",) * 3 + ("tanh",) * (n_nodes - 3),
        aggregation=("sum",) * n_nodes,
        bias=bias,
        source=ordered[:, 1].copy(),
        target=ordered[:, 0].copy(),
        weight=rng.normal(size=n_connections),
        enabled=np.ones(n_connections, np.bool_),
    )


def header_of(body: bytes, n: int, sequence: int, boot: int = 1) -> Header:
    return Header(
        "migrants", "b", "bench", TASK, THEIRS, boot, sequence, time.time(), n, body_hash(body)
    )


def send(endpoint: str, batch: int, stop: Any, folder: str | None) -> None:
    """Publish messages as fast as they go, until ``stop`` is set."""
    rng = np.random.default_rng(1)
    genomes = [genome_of(rng) for _ in range(512)]
    packed = [pack_body(genomes[k : k + batch], 10**9) for k in range(0, len(genomes), batch)]
    # hashed before: what is measured is the receiver
    bodies = [(body, header_of(body, n, 0)) for body, n in packed]
    context = zmq.Context()
    keys = None
    if folder is not None:
        keys = read_keys(Path(folder, "b.key_secret"))
        start_authenticator(context, AllowList(Path(folder, "allow.toml"), "tweann"), "tweann")
    out = publisher(context, zmq.XPUB, 64, keys, "tweann")
    # A publisher drops what a subscriber has no room for. Here it waits, so that what is measured is the receiver.
    out.setsockopt(zmq.XPUB_NODROP, 1)
    out.setsockopt(zmq.SNDTIMEO, 100)
    out.bind(endpoint)
    out.recv()
    sequence = 0
    while not stop.is_set():
        body, header = bodies[sequence % len(bodies)]
        try:
            out.send_multipart(pack(replace(header, sequence=sequence, sent=time.time()), body))
        except zmq.Again:
            continue
        sequence += 1
    context.destroy(linger=0)


def throughput(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return _throughput(arguments, Path(folder))


def _throughput(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    (endpoint,) = free_endpoints(1)
    secure: dict[str, Any] = {}
    entry: dict[str, Any] = {"name": "b", "endpoint": endpoint}
    if arguments.curve:
        for name in "ab":
            new_keys(name, folder)
        public = {name: read_keys(folder / f"{name}.key_secret").public.decode() for name in "ab"}
        (folder / "allow.toml").write_text(f"[tweann]\na = {json.dumps(public['a'])}\n")
        entry["key"] = public["b"]
        secure = {"keys": folder / "a.key_secret"}
    settings = BridgeSettings(
        peers=({**entry},),  # type: ignore[arg-type] # pydantic makes the entry
        rate=1e9,
        known_genomes=100,
        **secure,
    )
    processes = multiprocessing.get_context("spawn")
    stop = processes.Event()
    sender = processes.Process(
        target=send, args=(endpoint, arguments.batch, stop, str(folder) if secure else None)
    )
    sender.start()
    peer = Peer(settings, Identity("a", "bench", TASK, OURS, 0), LAYOUT)
    try:
        while peer.customs.n_accepted < 2000:
            time.sleep(0.05)
        accepted, cpu, began = peer.customs.n_accepted, time.process_time(), time.perf_counter()
        time.sleep(arguments.seconds)
        seconds = time.perf_counter() - began
        accepted = peer.customs.n_accepted - accepted
        return {
            "migrants_per_second": round(accepted / seconds),
            "cpu_us_per_migrant": round((time.process_time() - cpu) / accepted * 1e6, 1),
            "curve": bool(arguments.curve),
            "batch": arguments.batch,
            "refused": dict(peer.customs.refused),
        }
    finally:
        stop.set()
        peer.close()
        sender.join()


def island_of(name: str, endpoints: dict[str, str], task: str, generations: int) -> Evolution:
    """Return a run of the default policy among the islands at ``endpoints``."""
    peers = [{"name": other, "endpoint": endpoint} for other, endpoint in endpoints.items()]
    return Evolution(
        {
            "storage": {"url": "memory:"},
            "observers": {},
            "task": {"name": task},
            "run": {"generations": generations, "stop_when_solved": False},
            "evaluation": {"workers": 1},
            "bridge": {"name": name, "bind": endpoints[name], "peers": peers},
        }
    )


def neighbour(name: str, endpoints: dict[str, str], task: str, stop: Any) -> None:
    """Be an island until ``stop`` is set."""
    with island_of(name, endpoints, task, 10**9) as run:
        while not stop.is_set():
            run.step()


def threads_called(beginning: str) -> list[int]:
    """Return the ids of this process's threads whose name begins so; Linux alone names them."""
    return [
        int(task.name)
        for task in Path("/proc/self/task").iterdir()
        if (task / "comm").read_text().startswith(beginning)
    ]


def processor_seconds(threads: list[int]) -> float:
    """Return the processor time of threads of this process, by their ids."""
    # The clock of a thread, as Linux numbers it: /proc/self/task/*/stat has no more than hundredths of a second.
    return sum(time.clock_gettime(~thread << 3 | 6) for thread in threads)


def cost(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure what the bridge takes of an island's processor time at the default policy, with two neighbours.

    Counted are the calls that evolution makes, the bridge's own thread, and the threads of libzmq, which move and
    encrypt the bytes.
    """
    endpoints = dict(zip("abc", free_endpoints(3), strict=True))
    processes = multiprocessing.get_context("spawn")
    stop = processes.Event()
    others = [
        processes.Process(target=neighbour, args=(name, endpoints, arguments.task, stop))
        for name in "bc"
    ]
    for other in others:
        other.start()
    watched = island_of("a", endpoints, arguments.task, 10**9)
    try:
        watched.step()  # sockets and kernels
        exchange: Any = watched._breeder.exchange
        while len(exchange.peer.customs.origins) < 2:
            time.sleep(0.05)
        spent, slowest = 0.0, 0.0
        inner = {"swap": exchange.swap, "n_emigrants": exchange.n_emigrants}

        def timed(function: Any) -> Any:
            def call(*values: Any) -> Any:
                nonlocal spent, slowest
                began, cpu = time.perf_counter(), time.thread_time()
                result = function(*values)
                spent += time.thread_time() - cpu
                slowest = max(slowest, time.perf_counter() - began)
                return result

            return call

        for name, function in inner.items():
            setattr(exchange, name, timed(function))
        bridge = [exchange.peer._thread.native_id]
        library = threads_called("ZMQbg/")
        if not library:
            raise SystemExit("no thread of libzmq was found: they are called ZMQbg/… on Linux")
        own, theirs = processor_seconds(bridge), processor_seconds(library)
        all_of_it = time.process_time()
        began = time.perf_counter()
        for _ in range(arguments.generations):
            watched.step()
        seconds = time.perf_counter() - began
        all_of_it = time.process_time() - all_of_it
        own, theirs = processor_seconds(bridge) - own, processor_seconds(library) - theirs
        return {
            "task": arguments.task,
            "generations": arguments.generations,
            "seconds": round(seconds, 2),
            "cpu_seconds": round(all_of_it, 2),
            "immigrants": watched.n_immigrants,
            "sent": exchange.peer.n_sent,
            "calls_share": round(spent / all_of_it, 5),
            "thread_share": round(own / all_of_it, 5),
            "libzmq_share": round(theirs / all_of_it, 5),
            "share": round((spent + own + theirs) / all_of_it, 5),
            "slowest_call_ms": round(slowest * 1000, 3),
        }
    finally:
        stop.set()
        watched.close()
        for other in others:
            other.join()


def fuzz(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give customs mutated messages, half of them with right hashes, and see what passes and what memory does."""
    rng = random.Random(1)
    maker = np.random.default_rng(2)
    settings = BridgeSettings(bind="inproc://x", rate=1e12, strikes=10**12, known_genomes=1000)
    inbox: DropOldest[Immigrant] = DropOldest(64)
    customs = Customs(settings, Identity("a", "bench", TASK, OURS, 0), LAYOUT, inbox)
    genomes = [genome_of(maker, 12, 20) for _ in range(20)]
    bodies = [pack_body(genomes[k : k + 2], 10**6)[0] for k in range(0, 20, 2)]
    began, seen = time.perf_counter(), Counter[str]()
    memory = 0
    for k in range(arguments.messages):
        body = rng.choice(bodies)
        way = rng.randrange(3)
        if way == 0:
            body = mutated(body, rng)
        frames = pack(header_of(body, 2, k), body)
        if way == 1:
            frames[rng.randrange(3)] = mutated(frames[rng.randrange(3)], rng)
        elif way == 2 and rng.random() < 0.5:
            frames = [rng.randbytes(rng.randrange(200)) for _ in range(rng.randrange(6))]
        seen["in order" if customs.receive(frames) else "refused"] += 1
        if k == arguments.messages // 10:
            memory = peak() or 0
    return {
        "messages": arguments.messages,
        **seen,
        "reasons": dict(customs.refused),
        "accepted": customs.n_accepted,
        "per_second": round(arguments.messages / (time.perf_counter() - began)),
        "grown_kib": ((peak() or 0) - memory) // 1024,
        "threads": threading.active_count(),
    }


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with some bytes changed, cut out, doubled or added."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at, way = rng.randrange(len(out) + 1), rng.randrange(4)
        if way == 0 and at < len(out):
            out[at] = rng.randrange(256)
        elif way == 1:
            del out[at : at + rng.randrange(1, 9)]
        elif way == 2:
            out[at:at] = out[at : at + rng.randrange(1, 9)]
        else:
            out[at:at] = rng.randbytes(rng.randrange(1, 5))
    return bytes(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("throughput")
    one.add_argument("--curve", action="store_true")
    one.add_argument("--seconds", type=float, default=5.0)
    one.add_argument("--batch", type=int, default=32)
    one.set_defaults(function=throughput)
    one = commands.add_parser("cost")
    one.add_argument("--generations", type=int, default=3000)
    one.add_argument("--task", default="xor")
    one.set_defaults(function=cost)
    one = commands.add_parser("fuzz")
    one.add_argument("--messages", type=int, default=100_000)
    one.set_defaults(function=fuzz)
    arguments = parser.parse_args()
    print(json.dumps(arguments.function(arguments)))


if __name__ == "__main__":
    main()
