"""The process that worker processes are forked from.

It has imported what they need and nothing else happens in it: no threads, no connections, no user code. So a fork of it
is safe and quick, where a fork of the run's own process is not. Its control socket carries requests of 9 bytes,
answered by 8: ``F`` with a socket forks a worker that talks through it and gives the worker's number; ``K`` and a number
ends that worker and gives how it ended, as `os.waitpid` does. When the control socket is closed, by whatever death of
the run, it ends all workers and itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from typing import Final

FORK: Final = b"F"
KILL: Final = b"K"
REQUEST: Final = struct.Struct("<cq")
ANSWER: Final = struct.Struct("<q")

_PR_SET_PDEATHSIG: Final = 1
#: How often it looks whether the run is still there: some other process may hold the socket open.
_LOOK_SECONDS: Final = 1.0
#: A worker that closed its socket has that long to end by itself, so that how it ended is known.
_GRACE_SECONDS: Final = 0.2


def serve(control: socket.socket, run: int) -> None:
    """Answer requests until ``control`` is closed or the process ``run`` is gone. Does not return."""
    from tweann.plugins import worker  # before any fork: it brings the compiler

    worker.prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the run's affair
    children: set[int] = set()
    lifeline, held = os.pipe()
    gc.freeze()  # else each worker's first collection would copy all that they share
    try:
        while os.getppid() == run:
            if not select.select([control], [], [], _LOOK_SECONDS)[0]:
                continue
            message, sockets, _, _ = socket.recv_fds(control, REQUEST.size, 1)
            if len(message) < REQUEST.size:
                break
            kind, number = REQUEST.unpack(message)
            if kind == FORK:
                pid = os.fork()
                if pid == 0:
                    control.close()
                    os.close(held)
                    _begin(os.getppid(), lifeline)
                    worker.work(socket.socket(fileno=sockets[0]))
                os.close(sockets[0])
                children.add(pid)
                control.sendall(ANSWER.pack(pid))
            else:
                children.discard(number)
                control.sendall(ANSWER.pack(_end(number)))
    except OSError:
        pass  # the run is gone
    finally:
        for pid in children:
            _end(pid, 0.0)
        os._exit(0)


def _end(pid: int, grace: float = _GRACE_SECONDS) -> int:
    """End a worker and return how it ended."""
    deadline = time.monotonic() + grace
    while (found := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]
        time.sleep(0.002)
    return found[1]


def _begin(server: int, lifeline: int) -> None:
    """Prepare a forked worker: it must not outlive the server, nor write where results are expected."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not die_with_parent():
        threading.Thread(target=watch, args=(lifeline,), daemon=True).start()
    if os.getppid() != server:  # it died before it could be watched
        os._exit(1)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")  # out of memory, the system takes a worker rather than the run
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what the user's code prints must not mix with the run's own output


def die_with_parent() -> bool:
    """Have the kernel kill this process when its parent ends; False: this system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)


def watch(lifeline: int) -> None:
    """End this process when all other ends of a pipe are closed, as they are when its parent ends."""
    os.read(lifeline, 1)
    os._exit(1)
