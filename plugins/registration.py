"""Registers the built-in back-ends, storages and observers. Imports nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from tweann.hookspecs import hookimpl


@hookimpl
def tweann_backends() -> Mapping[str, str]:
    return {
        "dask": "tweann.plugins.dask:DaskBackend",
        "processes": "tweann.plugins.processes:ProcessesBackend",
        "serial": "tweann.plugins.serial:SerialBackend",
        "threads": "tweann.plugins.threads:ThreadsBackend",
    }


@hookimpl
def tweann_storages() -> Mapping[str, str]:
    return {
        "memory": "tweann.plugins.memory:MemoryStorage",
        "postgres": "tweann.plugins.postgres:PostgresStorage",
        "postgresql": "tweann.plugins.postgres:PostgresStorage",
        "sqlite": "tweann.plugins.sqlite:SqliteStorage",
    }


@hookimpl
def tweann_observers() -> Mapping[str, str]:
    return {
        "metrics": "tweann.plugins.metrics:MetricsFile",
        "one-fifth": "tweann.plugins.one_fifth:OneFifth",
        "progress": "tweann.plugins.progress:Progress",
        "prometheus": "tweann.plugins.prometheus:Prometheus",
        "resources": "tweann.plugins.resources:Resources",
        "stagnation": "tweann.plugins.stagnation:Stagnation",
    }
