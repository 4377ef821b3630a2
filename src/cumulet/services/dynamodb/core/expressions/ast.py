"""The syntax tree of expressions. Nodes are plain values: a tree is shared by every request with the same text."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeAlias

Elements: TypeAlias = tuple[str | int, ...]
"""A document path: attribute names and list indexes. In a tree, a text that begins with # is a placeholder."""


@dataclass(frozen=True, slots=True)
class Path:
    """A place in an item."""

    elements: Elements
    has_placeholders: bool = False


@dataclass(frozen=True, slots=True)
class ValueRef:
    """A placeholder for a value, with its colon."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function call: an operand (size, if_not_exists, list_append) or a condition of its own."""

    name: str
    operands: "tuple[Operand, ...]"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum or difference, "+" or "-"."""

    operator: str
    left: "Operand"
    right: "Operand"


Operand: TypeAlias = Path | ValueRef | Function | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of = <> < <= > >= between two operands."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """Whether an operand lies between two others, both included."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """Whether an operand equals one of several."""

    operand: Operand
    options: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class And:
    """Whether both conditions hold."""

    left: "Condition"
    right: "Condition"


@dataclass(frozen=True, slots=True)
class Or:
    """Whether either condition holds."""

    left: "Condition"
    right: "Condition"


@dataclass(frozen=True, slots=True)
class Not:
    """Whether the condition does not hold."""

    condition: "Condition"


Condition: TypeAlias = Comparison | Between | In | Function | And | Or | Not


@dataclass(frozen=True, slots=True)
class SetAction:
    """SET path = value."""

    path: Path
    value: Operand


@dataclass(frozen=True, slots=True)
class RemoveAction:
    """REMOVE path."""

    path: Path


@dataclass(frozen=True, slots=True)
class AddAction:
    """ADD path value."""

    path: Path
    value: ValueRef


@dataclass(frozen=True, slots=True)
class DeleteAction:
    """DELETE path value."""

    path: Path
    value: ValueRef


Action: TypeAlias = SetAction | RemoveAction | AddAction | DeleteAction


@dataclass(frozen=True, slots=True)
class Update:
    """The actions of an update expression, in the order in which they were written."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Projection:
    """The paths of a projection expression."""

    paths: tuple[Path, ...]


def paths_of(tree: object) -> Iterator[Path]:
    """Yield every path of a tree, or of a tuple of trees."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Path):
            yield node
        elif isinstance(node, tuple):
            waiting += node
        elif is_dataclass(node):
            waiting += [getattr(node, field.name) for field in fields(node)]
