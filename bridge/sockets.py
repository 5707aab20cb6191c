"""Sockets with the options that ZeroMQ leaves off and a bridge wants on."""

from __future__ import annotations

from typing import Any, Final

import zmq

from tweann.bridge.security import Keys, identify, protect

#: Room above the largest body for headers and heartbeats. Below some 276 bytes CURVE's handshake breaks.
_MARGIN: Final = 65_536
#: What a subscriber may send to a publisher: subscriptions.
_MAX_SUBSCRIPTION: Final = 1024
_RECONNECT_MS: Final = 100
_RECONNECT_MAX_MS: Final = 5000


def publisher(
    context: zmq.Context[Any], kind: int, high_water: int, keys: Keys | None, domain: str
) -> zmq.Socket[bytes]:
    """Return a socket that others connect to, to receive; a CURVE server if there are keys."""
    socket = _server(context, kind, high_water, _MAX_SUBSCRIPTION)
    if keys is not None:
        protect(socket, keys, domain)
    return socket


def collector(
    context: zmq.Context[Any],
    kind: int,
    high_water: int,
    max_body: int,
    keys: Keys | None,
    domain: str,
) -> zmq.Socket[bytes]:
    """Return a socket that others connect to, to send; a CURVE server if there are keys."""
    socket = _server(context, kind, high_water, max_body + _MARGIN)
    if keys is not None:
        protect(socket, keys, domain)
    return socket


def client(
    context: zmq.Context[Any],
    kind: int,
    high_water: int,
    max_body: int,
    keys: Keys | None,
    server: str | None,
) -> zmq.Socket[bytes]:
    """Return a socket to connect with; a CURVE client of the server with that public key if there are keys.

    It sends no heartbeats of ZeroMQ's: with those libzmq (4.3.5, its issue 3937) ends the process by an assertion
    once a connection times out whose queue is full, as that of a busy process is. It answers the server's, and
    connects anew when they cease.
    """
    socket = _socket(context, kind, high_water, max_body + _MARGIN)
    if keys is not None and server is not None:
        identify(socket, keys, server)
    return socket


def _server(
    context: zmq.Context[Any], kind: int, high_water: int, max_bytes: int
) -> zmq.Socket[bytes]:
    """Return a socket that drops clients that answer no heartbeat, and tells them when to give it up."""
    socket = _socket(context, kind, high_water, max_bytes)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
    socket.setsockopt(zmq.HEARTBEAT_TTL, 6000)
    return socket


def _socket(
    context: zmq.Context[Any], kind: int, high_water: int, max_bytes: int
) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = context.socket(kind)
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = high_water
    socket.maxmsgsize = max_bytes
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
    socket.setsockopt(zmq.IPV6, 1)  # IPv4 addresses work as before
    return socket
