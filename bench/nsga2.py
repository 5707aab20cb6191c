"""`nsga2` beside the NSGA-II of pymoo and DEAP on ZDT1 to 3: hypervolume at equal evaluations, seed by seed.

    pip install pymoo deap
    python bench/nsga2.py

All: 30 dimensions, population 100, simulated binary crossover (η 15, 0.9), polynomial mutation (η 20, one value a
child), the first population uniform. Hypervolume is of the whole final population above the point (1.1, 1.1), by one
and the same function. pymoo has its defaults, which leave out duplicates; DEAP runs the loop of its own example
(``examples/ga/nsga2.py``: tournaments by dominance and crowding, crossover of neighbours).
"""

from __future__ import annotations

import argparse
import copy
import math
import random
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


def deaps(problem: int, seed: int, evaluations: int) -> float:
    from deap import base, creator, tools
    from deap.benchmarks import zdt1, zdt2, zdt3

    if not hasattr(creator, "Minimum"):
        creator.create("Minimum", base.Fitness, weights=(-1.0, -1.0))
        creator.create("Vector", list, fitness=creator.Minimum)
    evaluate = (zdt1, zdt2, zdt3)[problem - 1]
    random.seed(seed)
    n, low, up = 30, 0.0, 1.0

    def evaluated(vectors: list[Any]) -> list[Any]:
        for vector in vectors:
            vector.fitness.values = evaluate(vector)
        return vectors

    population = evaluated(
        [creator.Vector(random.uniform(low, up) for _ in range(n)) for _ in range(POPULATION)]
    )
    population = tools.selNSGA2(population, POPULATION)  # for the crowding distance
    for _ in range(evaluations // POPULATION - 1):
        children = [copy.deepcopy(v) for v in tools.selTournamentDCD(population, POPULATION)]
        for one, other in zip(children[::2], children[1::2], strict=True):
            if random.random() <= 0.9:
                tools.cxSimulatedBinaryBounded(one, other, 15.0, low, up)
            for child in (one, other):
                tools.mutPolynomialBounded(child, 20.0, low, up, 1.0 / n)
        population = tools.selNSGA2(population + evaluated(children), POPULATION)
    return hypervolume(-np.array([v.fitness.values for v in population]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=25_000)
    parser.add_argument("--problems", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    programs = {"tweann": ours, "pymoo": theirs, "DEAP": deaps}
    print("problem  program  mean ± sd             tweann's less it (95 %)   seconds a run")
    for problem in arguments.problems:
        values: dict[str, list[float]] = {name: [] for name in programs}
        seconds = dict.fromkeys(programs, 0.0)
        for seed in range(1, arguments.seeds + 1):
            for name, function in programs.items():
                began = time.process_time()
                values[name].append(function(problem, seed, arguments.evaluations))
                seconds[name] += time.process_time() - began
        n = arguments.seeds
        figures = {name: (statistics.mean(v), statistics.stdev(v)) for name, v in values.items()}
        a, a_sd = figures["tweann"]
        for name, (b, b_sd) in figures.items():
            margin = 1.96 * math.sqrt((a_sd**2 + b_sd**2) / n)
            difference = "" if name == "tweann" else f"{a - b:+.5f} ± {margin:.5f}"
            print(
                f"ZDT{problem}     {name:8} {b:.5f} ± {b_sd:.5f}     {difference:24}  {seconds[name] / n:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
