"""The files of deploy/ as data, and what they may ask of Cumulet."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
import typer.main
import yaml

from cumulet.cli.main import app
from cumulet.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
HEALTH = "/_cumulet/health"
ALIVE = "/_cumulet/alive"
PRE_STOP_S = 5
"""For how long a node of Kubernetes still serves after it was told to end."""


class ComposeLoader(yaml.SafeLoader):
    """YAML with Compose's tags for what an override replaces or removes."""


ComposeLoader.add_constructor("!reset", lambda loader, node: None)
ComposeLoader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def load(name: str) -> Any:
    """Return the one document of a file."""
    (document,) = load_all(name)
    return document


def load_all(name: str) -> list[Any]:
    """Return the documents of a file."""
    return list(yaml.load_all((DEPLOY / name).read_text(), ComposeLoader))


def merged(base: Any, patch: Any) -> Any:
    """Return what a patch makes of a document: maps are merged, lists of named things by their names."""
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        return {name: merged(base.get(name), patch.get(name, base.get(name))) for name in {**base, **patch}}
    if isinstance(base, list) and isinstance(patch, list) and all("name" in one for one in [*base, *patch] if one):
        changed = {one["name"]: one for one in patch}
        return [merged(one, changed.get(one["name"], one)) for one in base]
    return patch


def parse_command(arguments: list[str]) -> dict[str, Any]:
    """Return the options of a command line of ours. Raises for what it does not know."""
    group = typer.main.get_group(app)
    with typer.Context(group) as context:
        name, command, rest = group.resolve_command(context, arguments)
        assert command is not None
        return dict(command.make_context(name, rest, parent=context).params)


def unknown_settings(environ: Mapping[str, Any]) -> list[str]:
    """Return the variables that begin like ours and that nothing reads."""
    known = {f"CUMULET_{name.upper()}" for name in Settings.__dataclass_fields__}
    return [name for name in environ if name.startswith("CUMULET_") and name not in known]


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with what follows each."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]
