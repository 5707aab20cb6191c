"""``tweann hub`` and ``tweann keys new``."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import click


@click.command
@click.option(
    "--publish",
    default="tcp://127.0.0.1:5750",
    show_default=True,
    help="Address that islands send to.",
)
@click.option(
    "--subscribe",
    default="tcp://127.0.0.1:5751",
    show_default=True,
    help="Address that islands hear from.",
)
@click.option("--keys", type=click.Path(path_type=Path), help="Secret key file; turns CURVE on.")
@click.option(
    "--allow", type=click.Path(path_type=Path), help="TOML file of keys that may connect."
)
@click.option(
    "--domain", default="tweann", show_default=True, help="Table of that file that counts."
)
@click.option("--max-peers", type=int, default=1000, show_default=True, help="Islands told apart.")
@click.option(
    "--rate", type=float, default=50.0, show_default=True, help="Messages a second and island."
)
@click.option("--status", type=click.Path(path_type=Path), help="JSON file to keep figures in.")
def hub(**options: Any) -> None:
    """Forward between islands until Ctrl-C, and keep their last migrants for late joiners."""
    from pydantic import ValidationError

    from tweann.bridge.hub import Hub, HubSettings

    try:
        settings = HubSettings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise click.UsageError(f"--{first['loc'][0]}: {first['msg']}") from None
    server = Hub(settings)

    def stop(number: int, frame: object) -> None:
        del number, frame
        server.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    click.echo(f"hub: in {settings.publish}, out {settings.subscribe}", err=True)
    server.serve()
    click.echo(f"hub: {server.forwarded} messages forwarded", err=True)


@click.group
def keys() -> None:
    """Make keys for islands and hubs."""


@keys.command
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("keys"),
    show_default=True,
    help="Folder to write to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
def new(name: str, folder: Path, as_json: bool) -> None:
    """Make a pair of keys: NAME.key_secret stays where it is used, NAME.key may be shown."""
    from tweann.bridge.security import new_keys, read_keys

    secret, public = new_keys(name, folder)
    key = read_keys(secret).public.decode()
    if as_json:
        click.echo(json.dumps({"secret": str(secret), "public": str(public), "key": key}))
        return
    click.echo(f"secret key: {secret} (keep it; it is readable by you alone)")
    click.echo(f"public key: {public}")
    click.echo("\nfor the allow-list of the others:\n\n[tweann]")
    click.echo(f"{name} = {json.dumps(key)}")
