"""`nsga2` beside pymoo's NSGA-II on ZDT1 to 3: hypervolume at equal evaluations, seed by seed.

    pip install pymoo
    python bench/nsga2.py

Both: 30 dimensions, population 100, simulated binary crossover (η 15, 0.9), polynomial mutation (η 20, one value a
child), the first population uniform. Hypervolume is of the whole final population above the point (1.1, 1.1), by one
and the same function.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tweann
from tweann.kernels.pareto import hypervolume_2d

REFERENCE = np.array([-1.1, -1.1])
POPULATION = 100


def hypervolume(objectives: NDArray[np.float64]) -> float:
    n = len(objectives)
    order, scratch = np.empty(n, np.int64), np.empty(n, np.int64)
    return float(
        hypervolume_2d(np.ascontiguousarray(objectives), REFERENCE, order, scratch, np.empty(n))
    )


def ours(problem: int, seed: int, evaluations: int) -> float:
    sections: dict[str, Any] = {
        "run": {"seed": seed, "evaluations": evaluations, "stop_when_solved": False},
        "task": {"name": "zdt", "problem": problem},
        "genome": {"init_distribution": "uniform", "init_power": 1.0},
        "strategy": {"name": "nsga2", "population": POPULATION, "variation": "vector"},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    with tweann.Evolution(sections) as run:
        run.run()
        return hypervolume(run.pool.view()["objectives"])


def theirs(problem: int, seed: int, evaluations: int) -> float:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.optimize import minimize
    from pymoo.problems import get_problem

    algorithm = NSGA2(pop_size=POPULATION)
    found = minimize(
        get_problem(f"zdt{problem}"),
        algorithm,
        ("n_eval", evaluations),
        seed=seed,
        verbose=False,
    )
    return hypervolume(-found.pop.get("F"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=25_000)
    arguments = parser.parse_args()
    print("problem  tweann mean ± sd      pymoo mean ± sd       difference (95 %)   seconds a run")
    for problem in (1, 2, 3):
        values: dict[str, list[float]] = {"tweann": [], "pymoo": []}
        seconds = {"tweann": 0.0, "pymoo": 0.0}
        for seed in range(1, arguments.seeds + 1):
            for name, function in (("tweann", ours), ("pymoo", theirs)):
                began = time.process_time()
                values[name].append(function(problem, seed, arguments.evaluations))
                seconds[name] += time.process_time() - began
        figures = [(statistics.mean(v), statistics.stdev(v)) for v in values.values()]
        n = arguments.seeds
        margin = 1.96 * math.sqrt(sum(sd**2 for _, sd in figures) / n)
        (a, a_sd), (b, b_sd) = figures
        times = " / ".join(f"{seconds[name] / n:.2f}" for name in seconds)
        print(
            f"ZDT{problem}     {a:.5f} ± {a_sd:.5f}     {b:.5f} ± {b_sd:.5f}     "
            f"{a - b:+.5f} ± {margin:.5f}   {times}",
            flush=True,
        )


if __name__ == "__main__":
    main()
