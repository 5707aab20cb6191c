"""Checkpoints of a run: files that are whole, checked, and kept several deep.

A file is a magic, a schema version, the BLAKE2b-256 of the rest, and packed state.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from tweann.errors import FormatError, StorageError
from tweann.files import cannot_write, write_atomic
from tweann.packing import pack, unpack
from tweann.patience import Patience

if TYPE_CHECKING:
    from tweann.config.sections import CheckpointSettings

FOLDER: Final = "checkpoints"
SCHEMA_VERSION: Final = 1

_MAGIC: Final = b"tweann checkpoint\n"
_HEAD: Final = struct.Struct("<I32s")
_SUFFIX: Final = ".twcp"
_DIGITS: Final = 12
#: A pause is so many times as long as writing takes: 19 keep the cost at 5 %.
_COST: Final = 19.0


class Checkpoints:
    """The checkpoints of a run, in a folder of their own, by the number of events that came before.

    Args:
        run_dir: the run's folder.
        settings: how many stay, and how often they are written.
        full_seconds: patience with a full disk.

    Attributes:
        patience: with a full disk, for who writes them.
    """

    def __init__(
        self, run_dir: Path, settings: CheckpointSettings, full_seconds: float = 0.0
    ) -> None:
        self._folder, self._keep = run_dir / FOLDER, settings.keep
        self._period = self._least_period = settings.seconds
        self._written = monotonic()
        self.patience = Patience(
            "a checkpoint",
            full_seconds,
            "the run goes on without a checkpoint",
            "the last good checkpoint is still there; free some space, and go on from it with `tweann resume`",
        )

    @property
    def due(self) -> bool:
        """Whether it is time for the next: the settings' seconds, or more where that would cost over a twentieth."""
        return monotonic() - self._written >= self._period

    def write(self, number: int, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, durably: after a crash it is there whole, or not at all.

        Args:
            number: growing; a checkpoint of the same number is replaced.
            state: as `tweann.packing.pack` takes it.

        Raises:
            StorageError: it cannot be written; those before are untouched, and it is not due before the pause is over.
        """
        began = monotonic()
        data = encode(state)
        path = self._folder / f"{number:0{_DIGITS}}{_SUFFIX}"
        try:
            self._folder.mkdir(exist_ok=True)
            write_atomic(path, data)
            for old in _paths(self._folder)[self._keep :]:
                old.unlink(missing_ok=True)
        except OSError as error:
            self._written = monotonic()
            raise cannot_write(path, error) from error
        self._written = monotonic()
        self._period = max(self._least_period, _COST * (self._written - began))
        return path


def read_checkpoints(run_dir: Path) -> Iterator[tuple[Path, dict[str, Any] | FormatError]]:
    """Give a run's checkpoints, the newest first; instead of one that is damaged, what is wrong with it.

    Raises:
        StorageError: one is there but cannot be read.
    """
    for path in _paths(run_dir / FOLDER):
        try:
            yield path, decode(path.read_bytes())
        except FormatError as error:
            yield path, error
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


def drop_after(used: Path) -> None:
    """Delete the checkpoints newer than ``used``, damaged ones that a run could not be taken up from.

    So are the halves that a kill left of some: each would stay for ever.
    """
    for path in _paths(used.parent):
        if path.stem > used.stem:
            path.unlink(missing_ok=True)
    for path in used.parent.glob(f".*{_SUFFIX}.*.tmp"):
        path.unlink(missing_ok=True)


def _paths(folder: Path) -> list[Path]:
    """Return the files, the newest first."""
    found = folder.glob(f"*{_SUFFIX}")
    return sorted((path for path in found if path.stem.isdecimal()), reverse=True)


def encode(state: Mapping[str, Any]) -> bytes:
    """Return the content of a checkpoint file."""
    body = pack(state)
    return (
        _MAGIC + _HEAD.pack(SCHEMA_VERSION, hashlib.blake2b(body, digest_size=32).digest()) + body
    )


def decode(data: bytes) -> dict[str, Any]:
    """Return the state in a checkpoint file.

    Raises:
        FormatError: it is no checkpoint, of another version, torn or changed.
    """
    start = len(_MAGIC) + _HEAD.size
    if len(data) < start or not data.startswith(_MAGIC):
        raise FormatError("not a checkpoint of tweann, or cut short at its beginning")
    version, digest = _HEAD.unpack_from(data, len(_MAGIC))
    if version != SCHEMA_VERSION:
        raise FormatError(
            f"checkpoint schema {version}: this version of tweann reads schema {SCHEMA_VERSION}"
        )
    body = data[start:]
    if hashlib.blake2b(body, digest_size=32).digest() != digest:
        raise FormatError("the checkpoint is damaged: its checksum does not fit")
    return unpack(body)
