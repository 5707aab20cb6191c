"""The section [bridge] of a configuration, for the exchange ``zmq``."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from tweann.config.sections import Section
from tweann.errors import ConfigError

#: A list of peers or keys is written by hand: a larger file is something else.
MAX_FILE_BYTES: Final = 1_000_000

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Endpoint = Annotated[
    str,
    Field(
        pattern=r"^(tcp|ipc|inproc)://[^\s]{1,200}$",
        description="`tcp://HOST:PORT` or `ipc://PATH`.",
    ),
]
Z85Key = Annotated[str, Field(pattern=r"^[!-~]{40}$", description="Public key, as in a key file.")]


class PeerEntry(Section):
    """Another island: its name, where it publishes, and its public key."""

    name: Name
    endpoint: Endpoint | None = None
    key: Z85Key | None = None


class PeersFile(Section):
    """What a peers file holds."""

    peers: tuple[PeerEntry, ...] = ()


class HubEntry(Section):
    """A hub: where it takes in, where it gives out, and its public key."""

    publish: Endpoint
    subscribe: Endpoint
    key: Z85Key | None = None


class BridgeSettings(Section):
    """Settings of the exchange ``zmq``."""

    bind: Endpoint | None = Field(
        None, description="Where this island publishes, for the others to connect to."
    )
    connect: tuple[Endpoint, ...] = Field(
        (),
        description="Where others publish; a plain list for one machine, without names and keys.",
    )
    peers: tuple[PeerEntry, ...] = Field(
        (),
        description="The islands, each with `name`, `endpoint` and `key`; this one may be among them.",
    )
    peers_file: Path | None = Field(
        None, description="TOML file with further `[[peers]]`; it may change while the run goes on."
    )
    hub: HubEntry | None = Field(
        None, description="A hub instead of direct connections: `publish`, `subscribe`, `key`."
    )
    topology: Literal["full", "ring", "star", "random", "custom"] = Field(
        "full", description="Which of the peers this island hears."
    )
    centre: Name | None = Field(
        None, description="The middle of a star; by default the first name in order."
    )
    degree: int = Field(2, ge=1, le=64, description="How many are heard, for `random`.")
    sources: tuple[Name, ...] = Field((), description="Who is heard, for `custom`.")
    keys: Path | None = Field(
        None, description="This island's secret key file, of `tweann keys new`; turns CURVE on."
    )
    allow: Path | None = Field(
        None,
        description="TOML file of the keys that may connect; it may change while the run goes on.",
    )
    domain: Name = Field("tweann", description="Table of the allow-list that counts here.")
    emigrants: Literal["best", "random", "diverse", "cells"] = Field(
        "best",
        description="Who is sent: the strategy's best, any, those far from each other, or those of different cells "
        "of the behaviour space.",
    )
    n_emigrants: int = Field(2, ge=0, le=64, description="How many are sent at a time.")
    every: float = Field(10.0, gt=0, description="How often, in `unit`s.")
    unit: Literal["generations", "evaluations", "seconds"] = Field(
        "generations", description="What `every` counts."
    )
    least_seconds: float = Field(
        0.5,
        ge=0,
        description="Time between two sendings, at least: quick generations would spend their time on it.",
    )
    cells: int = Field(
        10, ge=1, le=1000, description="Cells of each dimension of the descriptor, for `cells`."
    )
    max_immigrants: int = Field(
        2, ge=0, le=1000, description="How many are taken into a generation, at most."
    )
    inbox: int = Field(
        64, ge=1, le=100_000, description="Immigrants that wait; the oldest make room."
    )
    outbox: int = Field(
        16, ge=1, le=10_000, description="Messages that wait to be sent; the oldest make room."
    )
    known_genomes: int = Field(
        10_000, ge=1, le=10_000_000, description="Genomes remembered, so that none is taken twice."
    )
    max_peers: int = Field(64, ge=1, le=10_000, description="Islands that are told apart.")
    max_message_bytes: int = Field(
        4_000_000, ge=4096, le=1_000_000_000, description="Largest body of a message, both ways."
    )
    high_water: int = Field(
        64, ge=1, le=100_000, description="Messages that ZeroMQ keeps for a connection."
    )
    rate: float = Field(
        50.0, gt=0, description="Messages a second that a peer may send; twice as many in a burst."
    )
    strikes: int = Field(
        100, ge=1, description="Bad messages, or messages too many, until a peer is banned."
    )
    ban_seconds: float = Field(60.0, gt=0, description="How long a ban lasts.")
    heartbeat_seconds: float = Field(
        2.0, gt=0, le=3600, description="How often this island says that it lives."
    )
    silence_seconds: float = Field(
        10.0, gt=0, description="A connection that is silent for so long is opened anew."
    )
    status_seconds: float = Field(
        5.0, gt=0, description="How often `peers.json` in the run's folder is written."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.bind or self.connect or self.peers or self.peers_file or self.hub):
            raise ValueError("expected one or more of bind, connect, peers, peers_file, hub")
        if self.keys is None:
            for endpoint in self._endpoints():
                if not is_local(endpoint):
                    raise ValueError(
                        f"{endpoint} is off this machine's loopback: set bridge.keys to a key file of "
                        "`tweann keys new`"
                    )
        elif self.connect:
            raise ValueError(
                "connect has no keys: with bridge.keys name the islands in bridge.peers"
            )
        else:
            without = [peer.name for peer in self.peers if peer.endpoint and peer.key is None]
            without += ["hub"] if self.hub is not None and self.hub.key is None else []
            if without:
                raise ValueError(f"{without[0]} has no key, and bridge.keys turns CURVE on")
        if self.bind and self.keys is not None and self.allow is None:
            raise ValueError(
                "bridge.allow is missing: with keys, only those in that file may connect"
            )
        if self.silence_seconds < 2 * self.heartbeat_seconds:
            raise ValueError(
                f"silence_seconds = {self.silence_seconds:g} is less than two heartbeats of "
                f"{self.heartbeat_seconds:g} s: a lost one would cost the connection"
            )
        named = bool(self.peers or self.peers_file)
        if self.hub and self.topology != "full" and not named:
            raise ValueError(
                f"topology {self.topology} needs the names of the peers, in bridge.peers"
            )
        return self

    def _endpoints(self) -> list[str]:
        found = [*self.connect, *([self.bind] if self.bind else [])]
        found += [peer.endpoint for peer in self.peers if peer.endpoint]
        return found + ([self.hub.publish, self.hub.subscribe] if self.hub else [])


def is_local(endpoint: str) -> bool:
    """Return whether an endpoint cannot be reached from another machine."""
    scheme, _, rest = endpoint.partition("://")
    if scheme in ("ipc", "inproc"):
        return True
    host = rest.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name, an interface, or *
        return False


def read_peers(path: Path) -> tuple[PeerEntry, ...]:
    """Return the peers of a peers file.

    Raises:
        ConfigError: it cannot be read or is no list of peers.
    """
    try:
        return PeersFile.model_validate(read_toml(path), strict=False).peers
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"bridge.peers_file {path}: {place}: {first['msg']}") from None


def read_toml(path: Path) -> dict[str, object]:
    """Return the tables of a small TOML file.

    Raises:
        ConfigError: it cannot be read, is too large or no TOML.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: expected at most {MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(raw.decode())
    except ValueError as error:
        raise ConfigError(f"{path} is no TOML file: {error}") from None
