"""Keys, and who is let in: CURVE with an allow-list, closed where anything is missing.

A CURVE server without a running authenticator accepts anyone. Here each server socket has a ZAP domain and enforces
it, so that without an authenticator nobody gets in (`protect`), and the authenticator is started first.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zmq
from zmq.auth import load_certificate
from zmq.auth.thread import ThreadAuthenticator

from tweann.bridge.protocol import is_name
from tweann.bridge.settings import read_toml
from tweann.errors import ConfigError

SECRET_SUFFIX: Final = ".key_secret"
PUBLIC_SUFFIX: Final = ".key"
_KEY_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class Keys:
    """A pair of CURVE keys, Z85."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Keys({self.public.decode()}, secret not shown)"


def new_keys(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a pair of keys and write it to ``folder``: NAME.key_secret and NAME.key, for the owner's eyes only.

    Raises:
        ConfigError: the name is none, a file is there already, or the folder cannot be written to.
    """
    if not is_name(name):
        raise ConfigError(
            f"{name!r} is no name: expected up to 64 letters, digits, '_', '.' and '-'"
        )
    public, secret = zmq.curve_keypair()
    paths = folder / f"{name}{SECRET_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    head = f'metadata\n    name = "{name}"\ncurve\n    public-key = "{public.decode()}"\n'
    texts = head + f'    secret-key = "{secret.decode()}"\n', head
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in paths:
            if path.exists():
                raise ConfigError(f"{path} exists: remove it, or choose another name")
        for path, text in zip(paths, texts, strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write keys to {folder}: {error.strerror}") from None
    return paths


def read_keys(path: Path) -> Keys:
    """Return the keys of a secret key file.

    Raises:
        ConfigError: it cannot be read, others can read it, or it has no secret key.
    """
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path}: others can read this secret key; chmod 600 it")
        public, secret = load_certificate(path)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"cannot read the key file {path}: {error}") from None
    if secret is None or len(secret) != _KEY_CHARACTERS or len(public) != _KEY_CHARACTERS:
        raise ConfigError(f"{path} has no secret key: expected a file NAME{SECRET_SUFFIX}")
    return Keys(public, secret)


class AllowList:
    """The keys that may connect: a TOML file of tables, one a domain, of ``name = "public key"``.

    It is read again when it has changed. One that cannot be read is as if nobody stood in it: a torn file must not
    keep a revoked key alive.

    Attributes:
        admitted, refused: handshakes so far.
        problem: what is wrong with the file; empty: nothing.
    """

    def __init__(self, path: Path, domain: str) -> None:
        """Read the file.

        Raises:
            ConfigError: it cannot be read or is no list of keys.
        """
        self._path, self._domain = path, domain
        self._stamp = _stamp(path)
        self._names = self._read()
        self.counts: Counter[str] = Counter()
        self.problem = ""

    def refresh(self) -> bool:
        """Look at the file again; return whether a key is no longer in it."""
        stamp = _stamp(self._path)
        if stamp == self._stamp and stamp is not None:
            return False
        before, self._stamp = self._names, stamp
        try:
            self._names, self.problem = self._read(), ""
        except ConfigError as error:
            self._names, self.problem = {}, str(error)
        return not before.items() <= self._names.items()

    def name_of(self, key: str) -> str | None:
        """Return whose public key that is, or None."""
        return self._names.get(key)

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether ``key`` may come in; called by the authenticator's thread, once a handshake."""
        ok = domain == self._domain and key.decode("ascii", "replace") in self._names
        self.counts["admitted" if ok else "refused"] += 1
        return ok

    def _read(self) -> dict[str, str]:
        tables = read_toml(self._path)
        table = tables.get(self._domain, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{self._path}: [{self._domain}] must be a table of names and keys")
        names: dict[str, str] = {}
        for name, key in table.items():
            if not is_name(name) or not isinstance(key, str) or len(key) != _KEY_CHARACTERS:
                raise ConfigError(
                    f'{self._path}: [{self._domain}]: expected NAME = "KEY" with the 40 characters of a public key, '
                    f"came {name!r:.80}"
                )
            if key in names:
                raise ConfigError(f"{self._path}: {name!r} and {names[key]!r} have one key")
            names[key] = name
        return names


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def start_authenticator(
    context: zmq.Context[Any], allow: AllowList, domain: str
) -> ThreadAuthenticator:
    """Start the authenticator of a context; to be done before any server socket of it is bound."""
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(domain=domain, credentials_provider=allow)
    return authenticator


def protect(socket: zmq.Socket[bytes], keys: Keys, domain: str) -> None:
    """Make a socket a CURVE server that asks the authenticator, and lets nobody in if there is none."""
    socket.curve_server = True
    socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
    socket.setsockopt_string(zmq.ZAP_DOMAIN, domain)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def identify(socket: zmq.Socket[bytes], keys: Keys, server: str) -> None:
    """Make a socket a CURVE client of the server with that public key."""
    socket.curve_serverkey = server.encode()
    socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
