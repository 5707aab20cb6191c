"""Registers the built-in tasks. Imports nothing else, so that listing them is cheap."""

from __future__ import annotations

from collections.abc import Mapping

from tweann.hookspecs import hookimpl


@hookimpl
def tweann_tasks() -> Mapping[str, str]:
    return {
        "arm": "tweann.tasks.arm:Arm",
        "double-pole": "tweann.tasks.double_pole:DoublePole",
        "double-pole-no-velocities": "tweann.tasks.double_pole:DoublePoleNoVelocities",
        "duel": "tweann.tasks.duel:Duel",
        "external": "tweann.tasks.external:External",
        "maze": "tweann.tasks.maze:Maze",
        "parity": "tweann.tasks.parity:Parity",
        "probabilistic-bandit": "tweann.tasks.bandits:ProbabilisticBandit",
        "reversal-bandit": "tweann.tasks.bandits:ReversalBandit",
        "sequence-recall": "tweann.tasks.memory:SequenceRecall",
        "single-pole": "tweann.tasks.single_pole:SinglePole",
        "t-maze": "tweann.tasks.memory:TMaze",
        "sphere-projection": "tweann.tasks.sphere:SphereProjection",
        "table": "tweann.tasks.csv_table:CsvTable",
        "two-cue-t-maze": "tweann.tasks.memory:TwoCueTMaze",
        "xor": "tweann.tasks.parity:Xor",
        "zdt": "tweann.tasks.zdt:Zdt",
    }
