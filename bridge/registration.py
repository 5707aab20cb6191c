"""Registers the bridge. Imports nothing else, so that ``tweann --help`` is quick and needs no network."""

from __future__ import annotations

from collections.abc import Mapping

from tweann.hookspecs import hookimpl


@hookimpl
def tweann_exchanges() -> Mapping[str, str]:
    return {"zmq": "tweann.bridge.exchange:ZmqExchange"}


@hookimpl
def tweann_commands() -> Mapping[str, str]:
    return {"hub": "tweann.bridge.commands:hub", "keys": "tweann.bridge.commands:keys"}
