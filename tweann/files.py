"""Files that are either whole or not there: after a crash nobody finds half of one."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from typing import Final

from tweann.errors import NotNowError, StorageError

#: No room on the disk, or in somebody's share of it.
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def write_atomic(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` by ``content``, durably; a reader sees the old file or the new.

    A crash may leave a file ``.NAME.*.tmp`` beside it, never a torn ``path``. Cost: two waits for the
    disk, 1 to 20 ms; not for use in a loop.

    Raises:
        OSError: the folder does not exist, is not writable or is full; ``path`` is then as before.
    """
    # Not tempfile: it makes files for the owner's eyes only, and a run's results are as open as others.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def cannot_write(path: Path, error: OSError) -> StorageError:
    """Return the error to raise for ``path``: a `NotNowError` if the disk is full."""
    kind = NotNowError if error.errno in _FULL else StorageError
    return kind(f"cannot write {path}: {error.strerror or error}")


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable, where the system can open folders (Windows cannot)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
