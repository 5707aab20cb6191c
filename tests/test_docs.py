"""README and docs are true: their code runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import tweann
from tweann.cli.program import program
from tweann.genes import ACTIVATIONS, AGGREGATIONS
from tweann.registry import default_registry

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("examples/**/*.md")])

#: What is made, not written; hidden folders but .ci are passed over too.
MADE = {"build", "dist", "runs", "tweann.egg-info", "__pycache__"}
#: Folders of a developer's machine that no file may name.
FOREIGN = re.compile(r"(?<![\w.])/(?:home|Users|root|work|tmp)/|\bshared" + "/")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.py)\n")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"^(?:\$\(BIN\)/)?(tweann|make) +([a-z](?:[^#' ]| (?! ))*)")


class Block(NamedTuple):
    """A block of code in a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            yield Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])


def blocks_in(language: str) -> list[Block]:
    return [block for block in blocks() if block.language == language]


def by_name(found: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=[block.name for block in found])


@by_name(blocks_in("python"))
def test_code_in_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"docs_{block.page.stem}_{block.line}"
    source = tmp_path / f"{name}.py"  # a file, since what it compiles is cached beside it
    source.write_text(block.text, encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for other in blocks_in("python"):  # a file that the page has its reader write
        if other.page == block.page and (file := _FILE.match(other.text)):
            (tmp_path / file[1]).write_text(other.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    try:
        spec.loader.exec_module(module)
    finally:
        for known in [known for known in sys.modules if known.startswith("tweann_plugin_")]:
            del sys.modules[known]


@by_name([block for block in blocks_in("toml") if "[task]" in block.text])
def test_configurations_are_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(block.text, encoding="utf-8")
    tweann.load_config(file)


@pytest.mark.parametrize("file", sorted(ROOT.glob("examples/*.toml")), ids=lambda file: file.name)
def test_examples_are_valid(file: Path) -> None:
    tweann.load_config(file)


def test_the_readmes_first_configuration_is_an_example() -> None:
    first = next(block for block in blocks_in("toml") if block.page == ROOT / "README.md")
    example = (ROOT / "examples/xor.toml").read_text(encoding="utf-8")
    assert tomllib.loads(first.text) == tomllib.loads(example)


def test_the_readmes_picture_shows_what_its_description_says() -> None:
    found = re.search(
        r"!\[([^\]]+)\]\((\S+\.svg)\)", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert found is not None
    shown = re.sub(r"<[^>]+>", " ", (ROOT / found[2]).read_text(encoding="utf-8"))
    numbers = re.findall(r"[\d,]*\d", found[1])
    assert numbers
    assert [n for n in numbers if not re.search(rf"\b{n.replace(',', '')}\b", shown)] == []


def test_scripts_that_people_are_told_to_run_are_there() -> None:
    scripts = {
        script
        for page in PAGES
        for script in re.findall(r"\bpython ([\w/]+\.py)", page.read_text(encoding="utf-8"))
    }
    assert {script for script in scripts if not (ROOT / script).is_file()} == set()


def commands(program: str) -> list[tuple[str, str]]:
    """Every call of ``tweann`` or ``make`` that the project tells people to do: the file, and the arguments."""
    lines = [(block.page, line) for block in blocks_in("sh") for line in block.text.splitlines()]
    for page in PAGES:
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        lines += [(page, span) for span in _SPAN.findall(text)]
    for script in (ROOT / "Makefile", ROOT / ".ci/run"):
        text = script.read_text(encoding="utf-8").replace("@echo '", "")
        lines += [(script, line.strip()) for line in text.splitlines()]
    found = [(file.name, _COMMAND.match(line)) for file, line in lines]
    return [(file, match[2].strip()) for file, match in found if match and match[1] == program]


@pytest.mark.parametrize(("file", "arguments"), commands("tweann"))
def test_commands_and_their_options_exist(file: str, arguments: str) -> None:
    words = shlex.split(arguments.partition(" | ")[0])
    command: click.Command = program
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{file}: there is no command `tweann {arguments}`"
        command, words = found, words[1:]
    known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= known, f"{file}: `tweann {command.name}` has no option {used - known}"


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {arguments.split()[0] for _, arguments in commands("make")}
    assert named
    assert named - targets == set()


def anchors(page: Path) -> set[str]:
    """The names that a page's headings can be linked by, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        assert target.resolve().is_relative_to(ROOT)
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}: no such heading"


def test_every_page_of_the_docs_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [
        page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in readme
    ] == []


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("tasks", "task"),
        ("strategies", "strategy"),
        ("back-ends", "backend"),
        ("storages", "storage"),
        ("observers", "observer"),
    ],
)
def test_the_readme_lists_what_is_registered(heading: str, kind: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {heading} \| (.*) \|$", readme, re.MULTILINE)
    assert row is not None
    registry = default_registry()
    ours = {n for n in registry.names(kind) if registry.find(kind, n).distribution == "tweann"}
    assert set(re.findall(r"`([^`]+)`", row[1])) == ours


def test_the_page_of_numerics_has_every_activation_and_aggregation() -> None:
    page = (ROOT / "docs/numerics.md").read_text(encoding="utf-8")
    assert [name for name in (*ACTIVATIONS, *AGGREGATIONS) if f"`{name}`" not in page] == []


def written_files() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in MADE and (f == ".ci" or not f.startswith("."))]
        yield from (Path(folder) / file for file in files)


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = []
    for path in written_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # no text
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert found == []
