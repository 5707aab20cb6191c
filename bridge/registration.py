"""Registers the bridge. Imports nothing else, so that ``tweann --help`` is quick and no network is needed for it."""

from __future__ import annotations

from collections.abc import Mapping

from tweann.hookspecs import hookimpl


@hookimpl
def tweann_exchanges() -> Mapping[str, str]:
    return {"zmq": "tweann.bridge.exchange:ZmqExchange"}
