"""The program's modules as syntax trees, for the tests that hold the house's rules against them."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


@dataclass(frozen=True)
class Module:
    """One file of src/cumulet."""

    name: str
    """Dotted, without `cumulet`: store.api; a package's own file has the package's name."""
    tree: ast.Module
    imports: tuple[tuple[int, str], ...]
    """Line and dotted name of everything that is imported, wherever it stands in the file.

    `from a import b` is a.b, since b may be a module.
    """
    names: tuple[tuple[int, str], ...]
    """Line and text of each dotted name that is used: os.environ, time.time."""

    def within(self, *packages: str) -> bool:
        """Tell whether the module is one of these packages or modules, or lies in one of them."""
        return any(self.name == package or self.name.startswith(package + ".") for package in packages)


def _read(name: str, tree: ast.Module) -> Module:
    imports, names = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Attribute) and (text := _dotted(node)):
            names.append((node.lineno, text))
    return Module(name, tree, tuple(imports), tuple(names))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := _dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the program."""
    found = []
    for path in sorted((SOURCE / "cumulet").rglob("*.py")):
        parts = path.relative_to(SOURCE / "cumulet").with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        found.append(_read(".".join(parts), ast.parse(path.read_text(), str(path))))
    return tuple(found)
