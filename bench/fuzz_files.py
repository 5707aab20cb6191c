"""Hands mutated genome, champion, population and checkpoint files to what reads them: python bench/fuzz_files.py [--files 50000]

Whatever is not refused with a FormatError and a reason, takes long, or takes memory, is reported; exit status 1 then.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tweann import checkpoints, codec
from tweann import populations as populations_of
from tweann.errors import FormatError
from tweann.evolution import Evolution
from tweann.memory import peak
from tweann.stored_run import CHAMPION_FILE, CHAMPION_JSON, StoredRun

#: Seconds that one file may take: caps allow a genome of 64 MB, mutants of small files are small.
MAX_SECONDS = 5.0
#: Bytes that the process may grow by: what the largest of the files may decode to, many times over.
MAX_GROWTH = 200_000_000

#: Bytes that mean something to msgpack: headers of maps, arrays, strings, binaries, extensions, big numbers.
_HEADERS = bytes.fromhex("808f90dcdddedfc4c5c6c7c9d9dbcfff")
_LENGTHS = (b"\xff\xff\xff\xff", b"\x00\x0f\x42\x40", b"\x7f\xff\xff\xff")


def mutants(samples: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """Give mutants of samples without end: flipped, cut, spliced, repeated, with headers and lengths that lie."""
    while True:
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randint(1, 6)):
            _mutate(data, rng, samples)
        yield bytes(data)


def _mutate(data: bytearray, rng: random.Random, samples: list[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    match rng.randrange(7):
        case 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        case 1:
            del data[at:]
        case 2:
            del data[at : at + rng.randint(1, 30)]
        case 3:
            data[at:at] = data[at : at + rng.randint(1, 60)] * rng.randint(1, 2000)
        case 4:
            other = rng.choice(samples)
            start = rng.randrange(len(other))
            data[at : at + 40] = other[start : start + 40]
        case 5:
            data[at : at + 5] = bytes([rng.choice(_HEADERS)]) + rng.choice(_LENGTHS)
        case _:
            data[at:at] = rng.randbytes(rng.randint(1, 16))


def samples() -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]]:
    """Return genome files, ``champion.json`` files, checkpoints, and population files."""
    genomes, champions, bodies, populations = [], [], [], []
    for groups in ((), ("births", "dynamics", "plasticity", "stdp")):
        config = {
            "run": {"generations": 12, "stop_when_solved": False},
            "task": {"name": "xor"},
            "genome": {"recurrent": True, "column_groups": list(groups), "max_nodes": 40},
            "mutation": {"add_node_rate": 0.5, "add_connection_rate": 0.5},
            "strategy": {"population": 12},
            "storage": {"url": "memory:"},
            "observers": {},
        }
        with Evolution(config) as run:
            found = run.run().champion
            if found is None:
                raise SystemExit("a run without a champion")
            view = run.pool.view()
            genomes += [codec.encode(view.genome(i)) for i in range(len(view))]
            members = [populations_of.Member(view.genome(i), 0.5, i) for i in range(len(view))]
            populations.append(populations_of.encode_population(members))
            figures = {"generation": 3, **found.data(), "genome": found.genome.to_dict()}
            champions.append(json.dumps(figures).encode())
            columns = {name: np.asarray(run.pool.rows[name]) for name in run.pool.rows}
            state = {"rows": columns, "names": ["a", "b"], "n": 3, "deep": {"x": 0.5, "none": None}}
            bodies.append(checkpoints.encode(state))
    return genomes, champions, bodies, populations


def fuzz(n: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Read ``n`` mutants.

    Returns:
        What became of how many, and what should not have happened.
    """
    rng = random.Random(seed)
    genomes, champions, states, populations = samples()
    head = len(states[0]) - len(_body(states[0]))
    faults: list[str] = []
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def champion(data: bytes) -> object:
            (folder / CHAMPION_JSON).write_bytes(data)
            return StoredRun(folder).champion_data()

        def champion_genome(data: bytes) -> object:
            (folder / CHAMPION_JSON).write_bytes(champions[0])
            (folder / CHAMPION_FILE).write_bytes(data)
            return StoredRun(folder).champion()

        def sealed(data: bytes) -> object:
            """Decode a checkpoint whose checksum fits: a stranger can make one."""
            digest = hashlib.blake2b(data[head:], digest_size=32).digest()
            return checkpoints.decode(states[0][: head - 32] + digest + data[head:])

        readers: list[tuple[str, Callable[[bytes], object], list[bytes], int]] = [
            ("genome", codec.decode, genomes, 12),
            ("champion.tweann", champion_genome, genomes, 2),
            ("champion.json", champion, champions, 2),
            ("population", populations_of.decode_population, populations, 3),
            ("checkpoint", checkpoints.decode, states, 1),
            ("checkpoint, sealed", sealed, states, 3),
        ]
        streams = [(what, read, mutants(of, rng)) for what, read, of, _ in readers]
        weights = [weight for *_, weight in readers]
        before = peak() or 0
        for what, read, stream in rng.choices(streams, weights, k=n):
            data = next(stream)
            began = time.perf_counter()
            try:
                read(data)
                result = "accepted"
            except FormatError as error:
                result = "refused"
                if not str(error):
                    faults.append(f"{what}: refused without a reason: {data[:80]!r}")
            except BaseException as error:
                result = "fault"
                faults.append(f"{what}: {type(error).__name__}: {error}: {data[:80]!r}")
            counts[f"{what}: {result}"] += 1
            if (seconds := time.perf_counter() - began) > MAX_SECONDS:
                faults.append(f"{what}: took {seconds:.1f} s: {data[:80]!r}")
        grown = (peak() or 0) - before
        if grown > MAX_GROWTH:
            faults.append(f"memory grew by {grown / 1e6:.0f} MB")
    return counts, faults


def _body(data: bytes) -> bytes:
    """Return the packed state in a checkpoint."""
    for start in range(len(data)):
        if hashlib.blake2b(data[start:], digest_size=32).digest() == data[start - 32 : start]:
            return data[start:]
    raise SystemExit("a checkpoint without a checksum")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.perf_counter()
    counts, faults = fuzz(arguments.files, arguments.seed)
    for line, count in sorted(counts.items()):
        print(f"{count:8} {line}")
    print(f"{time.perf_counter() - began:8.0f} seconds")
    for fault in faults[:50]:
        print("FAULT", fault)
    sys.exit(bool(faults))
