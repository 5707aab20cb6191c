"""Addresses of this machine for the benchmarks of the bridge."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_endpoints(n: int) -> list[str]:
    """Return ``n`` addresses that nobody uses now."""
    with ExitStack() as stack:
        holders = [stack.enter_context(socket.socket()) for _ in range(n)]
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [f"tcp://127.0.0.1:{holder.getsockname()[1]}" for holder in holders]
