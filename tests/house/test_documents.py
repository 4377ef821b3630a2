"""What the documents name is there: links, files, decisions, commands with their options."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from cumulet.cli.main import app
from running import ROOT

DOCUMENTS = [
    path
    for part in (".", "benchmarks", "docs", "docs/decisions", "examples/notes")
    for path in sorted((ROOT / part).glob("*.md"))
]
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
_FILE = re.compile(r"`([\w./-]+(?:/|\.py|\.md|\.yaml))`")
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_COMMAND = re.compile(r"(?:^|[ /])cumulet ([a-z]+)([^|#]*)")


@cache
def files() -> frozenset[str]:
    """Return what lies in the project, by each way to name it from inside: a/b/c.py is b/c.py and c.py, too."""
    parts = [path.relative_to(ROOT).parts for top in ("src", "docs", "deploy") for path in (ROOT / top).rglob("*")]
    top = [(path.name,) for path in ROOT.iterdir()]
    return frozenset("/".join(names[at:]) for names in (*parts, *top) for at in range(len(names)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = _LINK.findall(document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_files_of_the_architecture_are_there() -> None:
    named = _FILE.findall((ROOT / "docs/ARCHITECTURE.md").read_text())
    assert len(named) > 20
    assert [name for name in named if name.rstrip("/") not in files()] == []


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"^\| \[(\d{4})\]\((\1[\w-]+\.md)\)", (folder / "README.md").read_text(), re.MULTILINE)
    assert sorted(name for _, name in listed) == sorted(path.name for path in folder.glob("0*.md"))


@pytest.mark.parametrize("document", ["README.md", "examples/notes/README.md"])
def test_the_commands_that_a_reader_types_exist(document: str) -> None:
    program: Any = typer.main.get_command(app)
    typed = [
        (name, words.split())
        for block in _BLOCK.findall((ROOT / document).read_text())
        for line in block.splitlines()
        for name, words in _COMMAND.findall(line)
    ]
    assert typed
    for name, words in typed:
        known = {option for parameter in program.commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, (name, words)
