"""The syntax tree of statements. Conditions, paths and actions are the nodes that expressions have.

A value stands in `Values.nodes`, and a `ValueRef` in the condition or action names its index there; so the evaluators
of expressions serve statements as well. A tree is shared by every request with the same text.
"""

from dataclasses import dataclass
from typing import TypeAlias

from cumulet.services.dynamodb.core.expressions.ast import Action, Condition, Path
from cumulet.services.dynamodb.core.values import Value


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written out."""

    value: Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A question mark; they count from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list that holds a parameter somewhere."""

    elements: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map that holds a parameter somewhere."""

    entries: "tuple[tuple[str, Node], ...]"


Node: TypeAlias = Literal | Parameter | ListOf | MapOf


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a statement, and how many parameters it asks for."""

    nodes: tuple[Node, ...]
    parameters: int


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One term of ORDER BY."""

    path: Path
    descending: bool


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT paths FROM table.index WHERE condition ORDER BY keys. Paths are None for *."""

    paths: tuple[Path, ...] | None
    table: str
    index: str | None
    where: Condition | None
    order: tuple[OrderKey, ...]
    values: Values


@dataclass(frozen=True, slots=True)
class Insert:
    """INSERT INTO table VALUE item."""

    table: str
    item: Node
    values: Values


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE table SET and REMOVE actions WHERE condition RETURNING returning."""

    table: str
    actions: tuple[Action, ...]
    where: Condition | None
    returning: str | None
    """"ALL OLD", "MODIFIED NEW" and the like."""
    values: Values


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE FROM table WHERE condition RETURNING ALL OLD *."""

    table: str
    where: Condition | None
    returning: str | None
    values: Values


@dataclass(frozen=True, slots=True)
class Exists:
    """EXISTS(SELECT ...): a condition on one item, among the writes of a transaction."""

    select: Select


Statement: TypeAlias = Select | Insert | Update | Delete | Exists
