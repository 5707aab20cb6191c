"""How far and how fast a champion spreads over many islands, and what that costs in messages: no sockets, only who hears whom.

    python bench/bridge_spread.py [--islands 10000] [--breed 0.3] [--repeats 5] [--figure FILE]

In a round every island publishes once. A migrant does not migrate again, so an island passes on what it heard only
when it has bred a child that is as good: each round with probability ``--breed``. Prints a table in Markdown, and with
``--figure`` draws the first repeat of each topology (needs matplotlib: ``pip install tweann[plot]``).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tweann.topologies import heard_by

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Attributes:
    half, most, all: rounds until half, 99 % and all that can be reached have the champion.
    reached: share that can be reached at all.
    messages: deliveries a round, over all islands.
    busiest: the most that one island takes in a round.
    curve: (rounds + 1,) islands that have the champion after each round.
    """

    half: float
    most: float
    all: float
    reached: float
    messages: int
    busiest: int
    curve: Ints


def sources_of(topology: str, n: int, degree: int, rng: np.random.Generator) -> list[Ints]:
    """Return whom each island hears."""
    if (
        topology == "random"
    ):  # what `heard_by` gives, for so many names at once: any, each as likely
        return [rng.choice(n, degree, replace=False) for _ in range(n)]
    names = [f"{k:06d}" for k in range(n)]
    if topology == "full":
        everybody = np.arange(n)
        return [everybody] * n
    if topology == "star":
        return [np.arange(1, n), *(np.zeros(1, np.int64) for _ in range(n - 1))]
    small = heard_by(names[0], names[:3], topology)
    assert small == [names[2]], small  # the ring's direction, for what follows
    return [np.array([(k - 1) % n]) for k in range(n)]


def spread(topology: str, n: int, degree: int, breed: float, rng: np.random.Generator) -> Spread:
    """Let a champion arise on one island, and count rounds."""
    sources = sources_of(topology, n, degree, rng)
    counts = np.array([s.size for s in sources])
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    flat = None if topology == "full" else np.concatenate(sources)
    has, sends = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    first = int(rng.integers(n))
    has[first] = sends[first] = True
    curve, quiet = [1], 0
    while not has.all() and quiet < 200:
        if flat is None:
            heard = np.full(n, sends.any())
        else:
            heard = np.logical_or.reduceat(sends[flat], starts)
        sends |= has & (rng.random(n) < breed)
        has |= heard
        curve.append(int(has.sum()))
        quiet = quiet + 1 if curve[-1] == curve[-2] else 0
    reach = np.array(curve)
    final = reach[-1]
    when = [int(np.argmax(reach >= share * final)) for share in (0.5, 0.99, 1.0)]
    deliveries = int(counts.sum()) if flat is not None else n * (n - 1)
    busiest = n - 1 if flat is None else int(counts.max())
    return Spread(*when, reached=final / n, messages=deliveries, busiest=busiest, curve=reach)


def draw(curves: dict[str, Ints], n: int, path: Path) -> None:
    """Draw the share of ``n`` islands that have the champion over the rounds, on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "bridge_spread"  # the same file each time
    figure, axes = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
    for label, curve in curves.items():
        # some hundred points, evenly on the axis; a round is a step, its end is where the next begins
        whole = np.append(curve, curve[-1])
        at = np.unique(np.geomspace(1, whole.size, 200).astype(np.int64)) - 1
        axes.plot(at + 1, 100.0 * whole[at] / n, label=label, linewidth=1.6, drawstyle="steps-post")
    axes.set_xscale("log")
    axes.set(xlabel="round + 1", ylabel="islands with the champion, %", ylim=(0, 103))
    axes.grid(visible=True, linewidth=0.4, alpha=0.5)
    axes.legend(frameon=False, loc="center", bbox_to_anchor=(0.62, 0.6), fontsize="small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--islands", type=int, default=10_000)
    parser.add_argument("--breed", type=float, default=0.3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--figure", type=Path, help="an SVG or PNG file to write")
    arguments = parser.parse_args()
    curves: dict[str, Ints] = {}
    n = arguments.islands
    print("| topology | half | 99 % | all reached | reached | messages a round | most into one |")
    print("|---|---|---|---|---|---|---|")
    for label, topology, degree in (
        ("`ring`", "ring", 1),
        ("`random`, degree 2", "random", 2),
        ("`random`, degree 4", "random", 4),
        ("`random`, degree 8", "random", 8),
        ("`star`", "star", 1),
        ("`full`", "full", 1),
    ):
        found = [
            spread(topology, n, degree, arguments.breed, np.random.default_rng(seed))
            for seed in range(arguments.repeats)
        ]
        curves[label.replace("`", "")] = found[0].curve
        half, most, everybody, reached = (
            float(np.mean([getattr(one, name) for one in found]))
            for name in ("half", "most", "all", "reached")
        )
        print(
            f"| {label} | {half:,.1f} | {most:,.1f} | {everybody:,.1f} | {100 * reached:.1f} % "
            f"| {found[0].messages:,} | {found[0].busiest:,} |"
        )
    if arguments.figure is not None:
        draw(curves, n, arguments.figure)


if __name__ == "__main__":
    main()
