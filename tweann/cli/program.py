"""The program ``tweann``: finds its commands in the registry, and turns errors into exit statuses."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from tweann.errors import PluginError, TweannError
from tweann.hookspecs import PROJECT
from tweann.registry import default_registry, suggestion

INTERRUPTED = 130
FAILED = 3
USAGE = 2


class Program(click.Group):
    """A group whose commands are plugins: each is imported when it is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(default_registry().names("command"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        registry = default_registry()
        if not any(row.kind == "command" and row.name == cmd_name for row in registry.plugins()):
            return None
        command = registry.resolve("command", cmd_name)
        if not isinstance(command, click.Command):
            origin = registry.find("command", cmd_name).origin
            raise PluginError(
                f"command {cmd_name!r} of {origin} must be a click.Command, "
                f"came {type(command).__name__}"
            )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            if not known:
                default_registry().find("command", name)  # raises, and says why there are none
            ctx.fail(f"no such command {name!r}{suggestion(name, known)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        registry = default_registry()
        rows = []
        for name in self.list_commands(ctx):
            plugin = registry.find("command", name)
            help_text = f"(of {plugin.origin})"
            if plugin.distribution == PROJECT:
                # A stranger's command is imported only to be run: help must stay quick and safe.
                command = self.get_command(ctx, name)
                help_text = "" if command is None else command.get_short_help_str(limit=70)
            rows.append((name, help_text))
        with formatter.section("Commands"):
            if rows:
                formatter.write_dl(rows)
            else:
                formatter.write_text("none: tweann is not installed, run `pip install -e .`")


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=PROJECT, prog_name=PROJECT)
def program() -> None:
    """Evolve neural networks: their topology and weights."""


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return the exit status; only a bug shows a traceback."""
    try:
        returned: Any = program.main(
            args=None if arguments is None else list(arguments),
            prog_name=PROJECT,
            standalone_mode=False,
        )
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except TweannError as error:
        click.echo(f"{PROJECT}: {error}", err=True)
        return error.exit_status
    except SystemExit:
        raise
    except Exception:  # a bug, ours or a plugin's: the traceback is what a report of it needs
        sys.stdout.flush()
        traceback.print_exc()
        return FAILED
    return returned if isinstance(returned, int) else 0
