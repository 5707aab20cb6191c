"""Addresses of this machine for the benchmarks of the bridge."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress


def free_endpoints(n: int) -> list[str]:
    """Return ``n`` addresses that nobody uses now.

    Their ports are below those that systems give to outgoing connections: such a one may be taken again at any time.
    """
    with ExitStack() as stack:
        found: list[str] = []
        while len(found) < n:
            port, holder = random.randrange(20_000, 30_000), stack.enter_context(socket.socket())
            with suppress(OSError):
                holder.bind(("127.0.0.1", port))
                found.append(f"tcp://127.0.0.1:{port}")
        return found
