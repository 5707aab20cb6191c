"""``tweann new-plugin NAME``: writes a distribution that installs, and passes its tests, at once."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

import click

from tweann.errors import ConfigError
from tweann.hookspecs import REGISTRATION_HOOKS
from tweann.registry import default_registry

#: By kind: the contract, the attribute that it takes the class in, and how the plugin is used.
KINDS: Final = {
    "strategy": (
        "StrategyContract",
        "strategy",
        'A run uses it with `name = "$name"` in its section `[strategy]`, or `--set strategy.name=$name`.',
    ),
    "storage": (
        "StorageContract",
        "storage",
        'A run uses it with `url = "$name:{run_dir}"` in its section `[storage]`.',
    ),
    "backend": (
        "BackendContract",
        "backend_class",
        'A run uses it with `backend = "$name"` in its section `[evaluation]`.',
    ),
    "task": ("TaskContract", "task_class", 'A run uses it with `name = "$name"` in `[task]`.'),
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_IGNORED = "__pycache__/\n*.egg-info/\nbuild/\ndist/\nruns/\n.venv/\n"


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(KINDS)), default="strategy", show_default=True, help="Of what."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write it; by default NAME in the working folder.",
)
def new_plugin(name: str, kind: str, folder: Path | None) -> None:
    """Write a plugin to begin with: a package with its tests, ready to install."""
    module = _module_name(name, kind)
    target = folder or Path(name)
    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target} is there and not empty: choose another --folder")
    written = _texts(name, kind, module)
    for path, text in written.items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    click.echo(f"wrote {len(written)} files to {target}; next:")
    click.echo(f"  pip install -e '{target}[test]'")
    click.echo(f"  pytest {target}")
    click.echo(f"  tweann plugins check {name} --kind {kind}")


def _module_name(name: str, kind: str) -> str:
    """Return the package's name.

    Raises:
        ConfigError: the name cannot be a distribution's and a package's, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"expected a name of lower-case letters and digits, its words joined by '-', came {name!r}; "
            "for example my-strategy"
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module == "tweann":
        raise ConfigError(f"a package cannot be called {module!r} in Python: choose another name")
    registry = default_registry()
    if name in registry.names(kind):
        origin = registry.find(kind, name).origin
        raise ConfigError(
            f"the {kind} {name!r} of {origin} has this name already: choose another one"
        )
    return module


def _texts(name: str, kind: str, module: str) -> dict[str, str]:
    """Return the files of the distribution: text by path."""
    contract, attribute, use = KINDS[kind]
    values = {
        "name": name,
        "kind": kind,
        "module": module,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "hook": REGISTRATION_HOOKS[kind],
        "contract": contract,
        "attribute": attribute,
        "use": Template(use).substitute(name=name),
    }

    def filled(template: str) -> str:
        text = files("tweann").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
        return Template(text).substitute(values)

    return {
        "pyproject.toml": filled("pyproject.toml"),
        "README.md": filled("README.md"),
        ".gitignore": _IGNORED,
        f"{module}/__init__.py": f'"""The {kind} {name} for tweann."""\n',
        f"{module}/py.typed": "",
        f"{module}/registration.py": filled("registration.py"),
        f"{module}/{kind}.py": filled(f"{kind}.py"),
        f"tests/test_{module}.py": filled("test.py"),
    }
