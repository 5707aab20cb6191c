"""Makes small distributions with real metadata, as pip would have installed them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    entry_points: Mapping[str, str],
    modules: Mapping[str, str],
) -> None:
    """Write a distribution into ``folder``, which is to be put on ``sys.path``.

    Args:
        folder: made where needed.
        name, version: what the distribution is called.
        entry_points: of the group ``tweann``: module by entry point.
        modules: source by module.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "".join(f"{entry} = {module}\n" for entry, module in entry_points.items())
    (metadata / "entry_points.txt").write_text(f"[tweann]\n{lines}")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)


def registration(**hooks: str) -> str:
    """Return the source of a registration module: what each hook returns, as Python source."""
    functions = "".join(
        f"\n@hookimpl\ndef {hook}():\n    return {returned}\n" for hook, returned in hooks.items()
    )
    return f"from tweann import hookimpl\n{functions}"
