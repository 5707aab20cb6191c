"""A process that is too busy to read what comes in loses messages, never its life."""

from __future__ import annotations

import subprocess
import sys

import pytest
import zmq

from tweann.bridge.sockets import client, publisher

#: Connects eight times with room for four messages, reads nothing for a while, then everything.
STALL = """
import sys, time
import zmq
from tweann.bridge.sockets import client
context = zmq.Context()
sockets = []
for _ in range(8):
    socket = client(context, zmq.SUB, 4, 100_000, None, None)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(sys.argv[1])
    sockets.append(socket)
time.sleep(float(sys.argv[2]))
read, deadline = 0, time.monotonic() + 20
while read < 2_000 and time.monotonic() < deadline:
    for socket in sockets:
        try:
            socket.recv_multipart(zmq.NOBLOCK)
            read += 1
        except zmq.Again:
            continue
    time.sleep(0.001)
print(read, flush=True)
context.destroy(0)
"""


def test_a_busy_process_survives_its_full_queues_and_reads_on() -> None:
    with zmq.Context() as context, publisher(context, zmq.PUB, 1000, None, "x") as flood:
        # a publisher that is in a hurry to be given up: its heartbeats ask for it after 0.1 s
        flood.setsockopt(zmq.HEARTBEAT_IVL, 100)
        flood.setsockopt(zmq.HEARTBEAT_TIMEOUT, 200)
        flood.setsockopt(zmq.HEARTBEAT_TTL, 100)
        port = flood.bind_to_random_port("tcp://127.0.0.1")
        command = [sys.executable, "-c", STALL, f"tcp://127.0.0.1:{port}", "1.0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            try:
                while child.poll() is None:
                    flood.send_multipart([b"topic", bytes(20_000)])
            finally:
                child.kill()
            assert child.stdout is not None
            assert child.returncode == 0
            assert int(child.stdout.read()) >= 2_000


@pytest.mark.parametrize("kind", [zmq.SUB, zmq.PUB])
def test_only_servers_send_heartbeats_of_zeromq(kind: int) -> None:
    # With them at a client libzmq 4.3.5 aborts the process once a connection with a full queue times out.
    with zmq.Context() as context:
        with client(context, kind, 4, 100, None, None) as socket:
            assert socket.getsockopt(zmq.HEARTBEAT_IVL) == 0
        with publisher(context, zmq.PUB, 4, None, "x") as socket:
            assert socket.getsockopt(zmq.HEARTBEAT_IVL) > 0
