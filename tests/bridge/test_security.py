"""Keys, allow-lists and the authenticator: who has no business here gets nothing, and is counted."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq
from bridge_parts import arrive, endpoint, island, silent_for, wait_until
from pydantic import ValidationError

from tweann.bridge.peer import Peer
from tweann.bridge.security import AllowList, Keys, new_keys, read_keys
from tweann.bridge.settings import BridgeSettings, is_local
from tweann.errors import ConfigError


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


class Yard:
    """Keys of some islands, and an allow-list."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.public: dict[str, str] = {}
        for name in names:
            new_keys(name, folder)
            self.public[name] = read_keys(self.secret(name)).public.decode()
        self.allow = folder / "allow.toml"

    def secret(self, name: str) -> Path:
        return self.folder / f"{name}.key_secret"

    def let_in(self, *names: str, domain: str = "tweann", more: str = "") -> None:
        lines = [f"{name} = {json.dumps(self.public[name])}" for name in names]
        text = "\n".join([f"[{domain}]", *lines, more, ""])
        temporary = self.allow.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self.allow)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path, "a", "b", "c")


def server(stack: ExitStack, yard: Yard, at: str, **settings: Any) -> Peer:
    peer = island("a", bind=at, keys=yard.secret("a"), allow=yard.allow, **settings)
    stack.callback(peer.close)
    return peer


def guest(stack: ExitStack, yard: Yard, name: str, at: str, key: str | None = None) -> Peer:
    entry = {"name": "a", "endpoint": at, "key": key or yard.public["a"]}
    peer = island(name, peers=[entry], keys=yard.secret(name))
    stack.callback(peer.close)
    return peer


def refused(peer: Peer) -> int:
    return 0 if peer._allow is None else peer._allow.counts["refused"]


def hears_nothing(peer: Peer, seconds: float = 1.0) -> None:
    time.sleep(seconds)
    assert peer.customs.origins == {}


def test_a_key_on_the_list_comes_in_and_another_does_not(stack: ExitStack, yard: Yard) -> None:
    yard.let_in("b")
    at = endpoint()
    a = server(stack, yard, at)
    b, c = guest(stack, yard, "b", at), guest(stack, yard, "c", at)
    arrive(a, b, 1.0)
    wait_until(lambda: refused(a) > 0)
    hears_nothing(c)
    wait_until(lambda: a.metrics["bridge_keys_refused"] >= 1.0)


def test_without_a_key_nobody_comes_in(stack: ExitStack, yard: Yard) -> None:
    yard.let_in("b")
    at = endpoint()
    server(stack, yard, at)
    plain = island("c", connect=(at,))
    stack.callback(plain.close)
    hears_nothing(plain)


def test_a_server_with_another_key_than_expected_is_not_heard(stack: ExitStack, yard: Yard) -> None:
    yard.let_in("b")
    at = endpoint()
    server(stack, yard, at)
    hears_nothing(guest(stack, yard, "b", at, key=yard.public["c"]))


def test_the_right_key_for_another_domain_is_refused(stack: ExitStack, yard: Yard) -> None:
    yard.let_in("b", domain="elsewhere")
    at = endpoint()
    a = server(stack, yard, at)
    b = guest(stack, yard, "b", at)
    wait_until(lambda: refused(a) > 0)
    hears_nothing(b, 0.3)
    at_home = server(stack, yard, endpoint(), domain="elsewhere")
    home = at_home._settings.bind
    assert home is not None
    arrive(at_home, guest(stack, yard, "b", home), 1.0)


def test_a_revoked_key_loses_its_connection_and_the_others_come_back(
    stack: ExitStack, yard: Yard
) -> None:
    yard.let_in("b", "c")
    at = endpoint()
    a = server(stack, yard, at)
    b, c = guest(stack, yard, "b", at), guest(stack, yard, "c", at)
    arrive(a, b, 1.0)
    arrive(a, c, 1.0)
    yard.let_in("b")
    wait_until(lambda: refused(a) > 0)
    wait_until(silent_for(1.5, c, "a"))
    arrive(a, b, 2.0)
    yard.let_in("b", "c")
    arrive(a, c, 3.0)


def test_an_allow_list_that_is_broken_lets_nobody_in(stack: ExitStack, yard: Yard) -> None:
    yard.let_in("b")
    at = endpoint()
    a = server(stack, yard, at)
    b = guest(stack, yard, "b", at)
    arrive(a, b, 1.0)
    yard.let_in("b", more="c = 7")
    wait_until(lambda: refused(a) > 0)
    assert "expected NAME" in a.status(0.0)["problem"]
    yard.let_in("b")
    arrive(a, b, 2.0)
    assert a.status(0.0)["problem"] == ""


def test_with_the_authenticator_stopped_nobody_comes_in(stack: ExitStack, yard: Yard) -> None:
    # libzmq alone would let anyone in here: the domain that is enforced makes it fail closed.
    yard.let_in("b")
    at = endpoint()
    a = server(stack, yard, at)
    assert a._authenticator is not None
    a._authenticator.stop()
    hears_nothing(guest(stack, yard, "b", at))
    hears_nothing(guest(stack, yard, "c", at))


def test_a_server_socket_without_any_authenticator_lets_nobody_in(
    stack: ExitStack, yard: Yard
) -> None:
    from tweann.bridge.sockets import publisher

    context: zmq.Context[Any] = zmq.Context()
    stack.callback(context.term)
    socket = publisher(context, zmq.PUB, 10, read_keys(yard.secret("a")), "tweann")
    stack.callback(socket.close)
    at = endpoint()
    socket.bind(at)
    b = guest(stack, yard, "b", at)
    for _ in range(50):
        socket.send_multipart([b"tweann1|a|", b"", b"", b""])
        time.sleep(0.02)
    assert b.customs.refused == {}


class TestFiles:
    def test_key_files_are_for_the_owner_alone(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            paths = new_keys("a", tmp_path / "keys")
        finally:
            os.umask(before)
        assert [path.name for path in paths] == ["a.key_secret", "a.key"]
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
        keys = read_keys(paths[0])
        assert len(keys.public) == len(keys.secret) == 40
        assert keys.secret.decode() not in repr(keys)
        assert keys.secret.decode() not in paths[1].read_text()

    def test_keys_are_never_overwritten(self, tmp_path: Path) -> None:
        new_keys("a", tmp_path)
        before = (tmp_path / "a.key_secret").read_bytes()
        with pytest.raises(ConfigError, match="exists"):
            new_keys("a", tmp_path)
        assert (tmp_path / "a.key_secret").read_bytes() == before
        with pytest.raises(ConfigError, match="is no name"):
            new_keys("../a", tmp_path)

    def test_a_secret_key_that_others_can_read_is_refused(self, yard: Yard) -> None:
        yard.secret("a").chmod(0o644)
        with pytest.raises(ConfigError, match="chmod 600"):
            read_keys(yard.secret("a"))

    @pytest.mark.parametrize("name", ["a.key", "allow.toml", "nothing"])
    def test_what_is_no_secret_key_is_named(self, yard: Yard, name: str) -> None:
        yard.let_in("a")
        yard.allow.chmod(0o600)
        with pytest.raises(ConfigError, match=f"{name}"):
            read_keys(yard.folder / name)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("tweann = 1", "must be a table"),
            ("[tweann]\na = 'short'", "40 characters"),
            ("[tweann]\n'no name' = 'x'", "40 characters"),
            ("[tweann", "is no TOML file"),
        ],
    )
    def test_what_is_no_allow_list_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "allow.toml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            AllowList(path, "tweann")

    def test_one_key_under_two_names_is_refused(self, yard: Yard) -> None:
        yard.let_in("a", more=f"z = {json.dumps(yard.public['a'])}")
        with pytest.raises(ConfigError, match="have one key"):
            AllowList(yard.allow, "tweann")

    def test_a_list_that_is_gone_lets_nobody_in(self, yard: Yard) -> None:
        yard.let_in("a")
        allow = AllowList(yard.allow, "tweann")
        key = yard.public["a"].encode()
        assert allow.callback("tweann", key)
        yard.allow.unlink()
        assert allow.refresh()
        assert not allow.callback("tweann", key)
        assert "cannot read" in allow.problem

    def test_keys_hide_their_secret(self) -> None:
        assert "hidden" not in repr(Keys(b"p" * 40, b"hidden" * 6))


@pytest.mark.parametrize(
    ("at", "local"),
    [
        ("tcp://127.0.0.1:5000", True),
        ("tcp://127.1.2.3:5000", True),
        ("tcp://localhost:5000", True),
        ("tcp://[::1]:5000", True),
        ("ipc:///run/x", True),
        ("inproc://x", True),
        ("tcp://*:5000", False),
        ("tcp://0.0.0.0:5000", False),
        ("tcp://192.168.1.4:5000", False),
        ("tcp://localhost.evil.example:5000", False),
        ("tcp://eth0:5000", False),
        ("tcp://[::]:5000", False),
    ],
)
def test_what_is_off_this_machine_needs_keys(at: str, local: bool) -> None:
    assert is_local(at) == local
    if local:
        assert BridgeSettings(bind=at).bind == at
        return
    for settings in (
        {"bind": at},
        {"connect": [at]},
        {"peers": [{"name": "x", "endpoint": at}]},
        {"hub": {"publish": at, "subscribe": "tcp://127.0.0.1:1"}},
    ):
        with pytest.raises(ValidationError, match="off this machine's loopback"):
            BridgeSettings.model_validate(settings, strict=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "one or more of bind"),
        ({"bind": "tcp://*:1", "keys": "k"}, "allow is missing"),
        ({"connect": ["tcp://10.0.0.1:1"], "keys": "k"}, "connect has no keys"),
        ({"peers": [{"name": "x", "endpoint": "tcp://10.0.0.1:1"}], "keys": "k"}, "x has no key"),
        (
            {"hub": {"publish": "tcp://10.0.0.1:1", "subscribe": "tcp://10.0.0.1:2"}, "keys": "k"},
            "hub has no key",
        ),
        (
            {
                "hub": {"publish": "tcp://127.0.0.1:1", "subscribe": "tcp://127.0.0.1:2"},
                "topology": "ring",
            },
            "needs the names",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BridgeSettings.model_validate(settings, strict=False)
