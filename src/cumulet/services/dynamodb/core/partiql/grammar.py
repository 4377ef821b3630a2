"""Tokens to statements: SELECT, INSERT, UPDATE (in both its forms), DELETE and EXISTS.

What a statement cannot be at all is raised where it is met ("wasn't well formed"). What can be read but is not
supported is noted, and the first note raised when the text is through: the order in which AWS finds them. Positions in
errors are line:column:length. Source of the words: Parity Suite's recordings on AWS, tests/tier3/error-messages.
"""

from functools import lru_cache
from typing import NoReturn

from cumulet.services.dynamodb.core.expressions.ast import (
    Action,
    AddAction,
    Arithmetic,
    Condition,
    DeleteAction,
    Function,
    Operand,
    Path,
    RemoveAction,
    SetAction,
    ValueRef,
)
from cumulet.services.dynamodb.core.partiql.ast import (
    Delete,
    Exists,
    Insert,
    Literal,
    Node,
    OrderKey,
    Parameter,
    Select,
    Statement,
    Update,
    Values,
)
from cumulet.services.dynamodb.core.partiql.lexer import Token, not_well_formed
from cumulet.services.dynamodb.core.partiql.terms import OR, SUM, TermParser
from cumulet.services.dynamodb.core.partiql.values import fold_map
from cumulet.services.dynamodb.core.values import invalid

_CACHED = 512
"""Distinct statements that stay parsed. At 8 KB each this is bounded; programs use few, with parameters."""


@lru_cache(maxsize=_CACHED)
def parse_statement(text: str) -> Statement:
    """Return the tree of a statement. Raises ValidationException in AWS's words for what is none."""
    return _Parser(text).statement()


class _Parser(TermParser):
    """One pass over one statement."""

    # --- statements

    def statement(self) -> Statement:
        """Parse the whole text as one statement."""
        statement: Statement
        match self._keyword():
            case "SELECT":
                statement = self._select()
            case "INSERT":
                statement = self._insert()
            case "UPDATE":
                statement = self._update()
            case "DELETE":
                statement = self._delete()
            case "FROM":
                statement = self._from_first()
            case "EXISTS":
                statement = self._exists()
            case _:
                self._no_statement()
        self._accept(";")
        if self._token.kind != "end":
            not_well_formed("Unexpected token after expression")
        if self._problem is not None:
            invalid(self._problem)
        return statement

    def _no_statement(self) -> NoReturn:
        behind = self._tokens[self._at + 1] if self._token.kind in ("name", "quoted") else self._token
        if behind.kind == "keyword" and behind.value == "IS":
            # An expression can be read, but is no operation.
            self._next()
            self._next()
            self._type_name()
            if self._token.kind == "end":
                invalid("Unsupported operation: IsType")
        not_well_formed("Expected data manipulation")

    def _select(self) -> Select:
        self._next()
        paths = self._projection()
        if self._keyword() != "FROM":
            not_well_formed("Expected FROM")
        self._next()
        if self._token.kind not in ("name", "quoted"):
            self._unexpected_term()
        table, index = self._source()
        where = self._where()
        order: list[OrderKey] = []
        if self._accept_word("ORDER"):
            self._expect_word("BY")
            order.append(self._order_key())
            while self._accept(","):
                order.append(self._order_key())
        self._refuse_clauses()
        return Select(paths, table, index, where, tuple(order), self._values())

    def _projection(self) -> tuple[Path, ...] | None:
        if self._accept("*"):
            if self._token.value == ",":
                self._note("Other attributes should not be present in the projection when '*' is used.")
                while self._accept(","):
                    self._projected()
            return None
        paths = [self._projected()]
        while self._accept(","):
            paths.append(self._projected())
        names = [result_name(path) for path in paths]
        if len(set(names)) < len(names):
            duplicate = next(name for index, name in enumerate(names) if name in names[:index])
            self._note(f"Duplicate identifiers in select clause: {duplicate}")
        return tuple(paths)

    def _projected(self) -> Path:
        start = self._token
        if start.kind == "keyword" and self._tokens[self._at + 1].value == "(":
            # COUNT(*) and the like.
            self._note(f"Unexpected path component at {self._position(start)}")
            self._next()
            self._next()
            if not self._accept("*"):
                self._arguments()
            else:
                self._expect_parenthesis()
            return Path(("?",))
        term = self._expression(SUM)
        if self._accept_word("AS") or self._token.kind in ("name", "quoted"):
            self._note("Aliasing is not supported")
            self._next()
        if isinstance(term, Path):
            return term
        self._note(f"Unexpected path component at {self._position(start)}")
        return Path(("?",))

    def _order_key(self) -> OrderKey:
        path = self._path()
        if self._accept_word("DESC"):
            return OrderKey(path, True)
        self._accept_word("ASC")
        return OrderKey(path, False)

    def _refuse_clauses(self) -> None:
        """Note a clause that SQL has and DynamoDB has not."""
        for clause in ("GROUP", "HAVING", "LIMIT"):
            if self._keyword() == clause:
                self._next()
                if clause == "GROUP":
                    self._expect_word("BY")
                    clause = "GROUP BY"
                where = self._token
                self._expression(OR)
                while self._accept(","):
                    self._expression(OR)
                self._note(f"Unsupported clause: {clause} at {self._position(where)}")

    def _insert(self) -> Insert:
        self._next()
        self._expect_word("INTO")
        table = self._target()
        if not self._accept_word("VALUE"):
            self._expression(OR)
            if self._token.kind != "end":
                not_well_formed("Unexpected token after expression")
            not_well_formed("Expected VALUE")
        item = self._item()
        if self._returning() is not None:
            self._note("RETURNING is not supported in INSERT")
        return Insert(table, item, self._values())

    def _item(self) -> Node:
        token = self._token
        if self._accept("{"):
            # An item is no value: its attributes are the roots.
            return fold_map(self._entries(lambda name: "root", 0))
        if token.value == "?" and token.kind == "symbol":
            return self._node("root", 0)
        self._expression(SUM)
        self._note(f"Unsupported data type: {token.value} under key root at {self._position(token)}")
        return Literal({"M": {}})

    def _update(self) -> Update:
        self._next()
        table = self._target()
        self._refuse_alias()
        actions = self._actions()
        where = self._where()
        return Update(table, actions, where, self._returning(), self._values())

    def _from_first(self) -> Update:
        """Parse the form of UPDATE that begins with FROM and has its WHERE first."""
        self._next()
        table = self._target()
        self._refuse_alias()
        where = self._where()
        actions = self._actions()
        return Update(table, actions, where, self._returning(), self._values())

    def _delete(self) -> Delete:
        self._next()
        self._expect_word("FROM")
        table = self._target()
        self._refuse_alias()
        where = self._where()
        returning = self._returning()
        if returning not in (None, "ALL OLD"):
            self._note(
                f"Invalid returning clause: RETURNING {returning} *. Only RETURNING ALL OLD * is allowed in DELETE "
                "statements."
            )
        return Delete(table, where, returning, self._values())

    def _exists(self) -> Exists:
        self._next()
        if not self._accept("("):
            not_well_formed("Expected data manipulation")
        if self._keyword() != "SELECT":
            not_well_formed("Unexpected term")
        select = self._select()
        self._expect_parenthesis()
        return Exists(select)

    # --- clauses

    def _source(self) -> tuple[str, str | None]:
        names = self._simple_path()
        self._refuse_alias()
        if self._token.value == "," and self._token.kind == "symbol":
            not_well_formed("Unexpected token after expression")
        if len(names) > 2:
            self._note("A path may contain at most 2 components in the FROM clause")
        return names[0], names[1] if len(names) > 1 else None

    def _target(self) -> str:
        names = self._simple_path()
        if len(names) > 1:
            self._note("This operation is not supported on an index")
        return names[0]

    def _simple_path(self) -> list[str]:
        names: list[str] = []
        while True:
            if self._token.kind not in ("name", "quoted"):
                not_well_formed("Invalid path dot component" if names else "Expected identifier for simple path")
            if not self._token.value:
                self._note("Path component cannot be an empty string")
            names.append(self._token.value)
            self._next()
            if not self._accept("."):
                return names

    def _refuse_alias(self) -> None:
        if self._accept_word("AS") or self._token.kind in ("name", "quoted"):
            self._note("Aliasing is not supported")
            self._next()

    def _where(self) -> Condition | None:
        if not self._accept_word("WHERE"):
            return None
        self._is_in_condition = True
        where = self._as_condition(self._expression(OR))
        self._is_in_condition = False
        return where

    def _actions(self) -> tuple[Action, ...]:
        actions: list[Action] = []
        while (word := self._keyword()) in ("SET", "REMOVE"):
            self._next()
            actions.append(self._assignment() if word == "SET" else RemoveAction(self._path()))
            while self._accept(","):
                actions.append(self._assignment() if word == "SET" else RemoveAction(self._path()))
        if not actions:
            not_well_formed("Expected data manipulation")
        return tuple(actions)

    def _assignment(self) -> Action:
        target = self._path()
        if not self._accept("="):
            not_well_formed("Expected '='")
        start = self._token
        if start.kind != "name" or self._tokens[self._at + 1].value != "(":
            value = self._expression(SUM)
            if isinstance(value, (Path, ValueRef, Arithmetic)):
                return SetAction(target, value)
            self._note(f"Unsupported data type: {start.value.lower()} under key root at {self._position(start)}")
            return RemoveAction(target)
        name = start.value.lower()
        self._next()
        self._next()
        first = self._token
        operands = self._arguments()
        if name == "list_append":
            return SetAction(target, Function(name, operands))
        if name in ("set_add", "set_delete"):
            return self._set_change(name, target, operands, start, first)
        self._note(f"Unrecognized function: {name} at {self._position(start)}")
        return RemoveAction(target)

    def _set_change(self, name: str, target: Path, operands: tuple[Operand, ...], start: Token, first: Token) -> Action:
        shown = name.upper()
        if len(operands) != 2:
            self._note(f"{shown} must have exactly two arguments at {self._position(start)}")
        elif operands[0] != target:
            self._note(f"The first argument to {shown} must equal the assignment value at {self._position(start)}")
        elif isinstance(operands[1], ValueRef) and self._may_be_set(operands[1]):
            return (AddAction if name == "set_add" else DeleteAction)(target, operands[1])
        else:
            # The position is the first argument's.
            self._note(f"The second argument to {shown} must be a value with type SET at {self._position(first)}")
        return RemoveAction(target)

    def _may_be_set(self, ref: ValueRef) -> bool:
        node = self._nodes[int(ref.name)]
        return isinstance(node, Parameter) or (isinstance(node, Literal) and bool(node.value.keys() & {"SS", "NS"}))

    def _returning(self) -> str | None:
        if not self._accept_word("RETURNING"):
            return None
        words = []
        for choices in (("ALL", "MODIFIED"), ("OLD", "NEW")):
            word = self._token.value.upper() if self._token.kind in ("name", "keyword") else ""
            if word not in choices:
                not_well_formed(f"Expected {' or '.join(choices)} in the returning clause.")
            words.append(word)
            self._next()
        if not self._accept("*"):
            not_well_formed("Expected '*' in the returning clause.")
        return " ".join(words)

    def _values(self) -> Values:
        return Values(tuple(self._nodes), self._parameters)


def result_name(path: Path) -> str:
    """Return under which name a selected path comes back: from its last attribute name on."""
    last = max(index for index, element in enumerate(path.elements) if isinstance(element, str))
    return "".join([str(path.elements[last]), *(f"[{element}]" for element in path.elements[last + 1 :])])
