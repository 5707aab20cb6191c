"""Observer ``prometheus``: a run's figures over HTTP, for Prometheus to fetch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import Thread
from typing import Any, ClassVar
from wsgiref.simple_server import WSGIServer

from pydantic import BaseModel, Field

from tweann.config import Section
from tweann.errors import ConfigError, MissingExtraError
from tweann.hookspecs import hookimpl
from tweann.records import Champion, GenerationReport, Migrant, Result, RunInfo

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
except ImportError:
    raise MissingExtraError(
        'the observer prometheus needs prometheus_client: pip install "tweann[prometheus]"'
    ) from None


class PrometheusSettings(Section):
    """Section [observers.prometheus]."""

    port: int = Field(9108, ge=0, le=65535, description="Port to answer at; 0: any that is free.")
    address: str = Field(
        "127.0.0.1", description="Address to answer at; anybody who reaches it can read."
    )


class Prometheus:
    """Observer ``prometheus``: gauges ``tweann_…`` with the label ``run``.

    Attributes:
        port: where it answers, once the run has begun.
    """

    Settings: ClassVar[type[BaseModel]] = PrometheusSettings

    def __init__(self, settings: PrometheusSettings, run: RunInfo) -> None:
        self._settings, self._run = settings, run.name
        self._registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._migrants = Counter(
            "tweann_migrants_received",
            "Genomes that came from other islands",
            ["run", "peer"],
            registry=self._registry,
        )
        self._server: tuple[WSGIServer, Thread] | None = None
        self.port = 0

    @hookimpl
    def tweann_run_started(self, run: RunInfo) -> None:
        """Begin to answer."""
        del run
        try:
            self._server = start_http_server(
                self._settings.port, self._settings.address, self._registry
            )
        except OSError as error:
            raise ConfigError(
                f"observers.prometheus.port = {self._settings.port}: {error.strerror}"
            ) from None
        self.port = int(self._server[0].server_port)

    @hookimpl
    def tweann_champion_found(self, champion: Champion) -> None:
        """Set the champion's figures."""
        self._set("champion_fitness", champion.fitness)
        self._set("champion_nodes", champion.genome.n_nodes)
        self._set("champion_connections", champion.genome.n_connections)
        self._set("solved", float(champion.solved))

    @hookimpl
    def tweann_migrants_received(self, migrants: Sequence[Migrant]) -> None:
        """Count migrants by who sent them."""
        for migrant in migrants:
            self._migrants.labels(self._run, migrant.peer).inc()

    @hookimpl
    def tweann_generation_finished(self, report: GenerationReport) -> None:
        """Set the generation's figures, the strategy's and the bridge's."""
        self._set("generation", report.generation)
        for name, value in report.data().items():
            if name != "metrics":
                self._set(name, value)
        for name, value in report.metrics.items():
            self._set(name, value)

    @hookimpl
    def tweann_run_finished(self, result: Result) -> None:
        """Answer no more."""
        del result
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()
            self._server = None

    def _set(self, name: str, value: Any) -> None:
        gauge = self._gauges.get(name)
        if gauge is None:
            clean = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
            gauge = Gauge(f"tweann_{clean}", f"{name} of the run", ["run"], registry=self._registry)
            self._gauges[name] = gauge
        number = float(value)
        gauge.labels(self._run).set(number if math.isfinite(number) else math.nan)
