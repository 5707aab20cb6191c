"""Messages on a socket between processes: length, checksum, bytes.

The checksum tells messages from what a process that has gone wild writes to whatever file it finds open.
"""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from tweann.errors import FormatError

#: Mark, checksum, length.
_HEADER: Final = struct.Struct("<4sIQ")
_MARK: Final = b"twnn"
_READ_BYTES: Final = 1 << 18


def send(to: socket.socket, message: bytes) -> None:
    """Send a message.

    Raises:
        OSError: the other side is gone, or does not read within the socket's timeout.
    """
    to.sendall(_HEADER.pack(_MARK, zlib.crc32(message), len(message)))
    to.sendall(message)


class FrameReader:
    """Puts messages together from what a socket gives, as it gives it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def read(self, source: socket.socket, limit: int) -> Iterator[bytes]:
        """Read once, and give the messages that are whole by now; also those that come before what is none.

        Args:
            source: a socket that has something to read, or one to wait on.
            limit: bytes of a message, at most.

        Raises:
            EOFError: the other side is gone.
            FormatError: what came is no message.
        """
        self._fill(source)
        while (message := self._message(limit)) is not None:
            yield message

    def _fill(self, source: socket.socket) -> None:
        data = source.recv(_READ_BYTES)
        if not data:
            raise EOFError
        self._data += data

    def _message(self, limit: int) -> bytes | None:
        if len(self._data) < _HEADER.size:
            return None
        mark, checksum, length = _HEADER.unpack_from(self._data)
        if mark != _MARK or length > limit:
            raise FormatError("expected the beginning of a message")
        end = _HEADER.size + length
        if len(self._data) < end:
            return None
        message = bytes(self._data[_HEADER.size : end])
        del self._data[:end]
        if zlib.crc32(message) != checksum:
            raise FormatError("the checksum of a message is wrong")
        return message

    def wait(self, source: socket.socket, limit: int) -> bytes:
        """Return the next message, waiting for it.

        Raises:
            EOFError: the other side is gone.
            FormatError: what came is no message.
        """
        while (message := self._message(limit)) is None:
            self._fill(source)
        return message
