"""A PostgreSQL server of its own, in a temporary folder, for tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any


def binaries() -> Path | None:
    """Return the folder of the server's programs; None: it is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


class PostgresServer:
    """A server that can be stopped, killed and started again; it listens on a socket in its folder alone."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="tweann-postgres-"))
        self._user: dict[str, Any] = {}
        self._name: str | None = None
        if os.geteuid() == 0:  # the server refuses to run as root
            names = [user.pw_name for user in pwd.getpwall()]
            name = self._name = "postgres" if "postgres" in names else "nobody"
            self._user = {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
        self.own(self.folder)
        self._data = self.folder / "data"
        self._run(
            "initdb",
            "-D",
            str(self._data),
            "-U",
            "tweann",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        )
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            **self._user,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}")

    def own(self, folder: Path) -> None:
        """Let the server write there."""
        if self._name is not None:
            shutil.chown(folder, self._name)

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", log, "-o", options)

    def stop(self, how: str = "immediate") -> None:
        """Stop it; "immediate" is what a crash is like."""
        self._run("pg_ctl", "stop", "-w", "-D", str(self._data), "-m", how)

    def url(self, database: str = "postgres") -> str:
        return f"postgres://tweann@/{database}?host={self.folder}"

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)
