"""The observer prometheus: what a run did can be fetched while it goes on."""

from __future__ import annotations

import math
import socket
import urllib.error
import urllib.request

import pytest
from small_runs import members_of_size

from tweann.config import load
from tweann.errors import ConfigError
from tweann.plugins.prometheus import Prometheus, PrometheusSettings
from tweann.records import Champion, GenerationReport, Migrant, Result, RunInfo
from tweann.tasks.base import TaskInfo


def run_info() -> RunInfo:
    config = load({"task": {"name": "xor"}})
    return RunInfo("mine", 1, None, config, TaskInfo("xor", 1, "python", ("a",), ("b",)))


def fetch(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_figures_of_run_strategy_and_bridge_can_be_fetched() -> None:
    observer = Prometheus(PrometheusSettings(port=0), run_info())
    observer.tweann_run_started(run_info())
    try:
        genome = members_of_size(2, 1)[0]
        metrics = {"n_species": 4.0, "bridge_refused_other-task": 7.0, "worst": 1.0}
        report = GenerationReport(3, 400, 1, 0.9, 0.5, 0.1, math.nan, 0.9, 5.0, 6.0, 1.5, metrics)
        observer.tweann_champion_found(Champion(genome, 0.9, 1, 3, 380, True))
        observer.tweann_generation_finished(report)
        observer.tweann_migrants_received([Migrant(genome, "far", k, k, 2, 0.1) for k in range(3)])
        found = fetch(observer.port)
        label = '{run="mine"}'
        assert found[f"tweann_generation{label}"] == 3
        assert found[f"tweann_n_evaluations{label}"] == 400
        assert found[f"tweann_champion_fitness{label}"] == 0.9
        assert found[f"tweann_solved{label}"] == 1
        assert found[f"tweann_n_species{label}"] == 4
        assert found[f"tweann_bridge_refused_other_task{label}"] == 7
        assert found['tweann_migrants_received_total{peer="far",run="mine"}'] == 3
    finally:
        observer.tweann_run_finished(Result(None, "finished", "solved", True, 4, 400, 1.0, None))
    with pytest.raises(urllib.error.URLError):
        fetch(observer.port)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        observer = Prometheus(PrometheusSettings(port=port), run_info())
        with pytest.raises(ConfigError, match=f"port = {port}"):
            observer.tweann_run_started(run_info())
