"""Tokens to syntax trees, for the three languages: conditions, updates and projections.

Conditions are parsed with an explicit stack, so that no nesting of parentheses or NOT costs more than its length.
Operands nest through functions only, which the limit on operators bounds.

A syntax error is raised where it is met. Other errors are noted by rank, and the most important is raised when the
text is through: the order in which AWS finds them.
"""

from functools import lru_cache
from typing import NoReturn

from cumulet.errors import InvariantViolated
from cumulet.services.dynamodb.core.expressions.ast import (
    Action,
    AddAction,
    And,
    Arithmetic,
    Between,
    Comparison,
    Condition,
    DeleteAction,
    Function,
    In,
    Not,
    Operand,
    Or,
    Path,
    Projection,
    RemoveAction,
    SetAction,
    Update,
    ValueRef,
)
from cumulet.services.dynamodb.core.expressions.lexer import Token, tokenize
from cumulet.services.dynamodb.core.expressions.reserved_words import RESERVED_WORDS
from cumulet.services.dynamodb.core.limits import (
    EXPRESSION_BYTES_MAX,
    EXPRESSION_OPERATORS_MAX,
    IN_OPERANDS_MAX,
    NESTING_DEPTH_MAX,
)
from cumulet.services.dynamodb.core.values import invalid, text_bytes

CONDITION_FUNCTIONS = frozenset(
    ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size")
)
UPDATE_FUNCTIONS = frozenset(("if_not_exists", "list_append"))
_NEVER_OPERANDS = CONDITION_FUNCTIONS - {"size"} | {"list_append"}
COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))

OPERAND_COUNTS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
    "if_not_exists": 2,
    "list_append": 2,
}

_REDUNDANT, _UNKNOWN_FUNCTION, _MISUSED_FUNCTION, _RESERVED = range(4)

_CACHED = 512
"""Distinct expressions of each language that stay parsed. At 4 KB each this is bounded; programs use few."""


@lru_cache(maxsize=_CACHED)
def parse_condition(text: str, name: str) -> Condition:
    """Return the tree of a condition; `name` is the parameter's, for the errors."""
    return _Parser(text, name).condition()


def parse_update(text: str) -> Update:
    """Return the tree of an update expression. It is what is compiled of it that stays."""
    return _Parser(text, "UpdateExpression").update()


@lru_cache(maxsize=_CACHED)
def parse_projection(text: str) -> Projection:
    """Return the tree of a projection expression."""
    return _Parser(text, "ProjectionExpression").projection()


class _Parser:
    """One pass over one expression."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        if not text.strip(" \t\r\n"):
            self._invalid("The expression can not be empty;")
        if (size := text_bytes(text)) > EXPRESSION_BYTES_MAX:
            # Only of this one AWS does not tell the size (Parity Suite, recorded on AWS).
            told = "" if name == "UpdateExpression" else f" expression size: {size}"
            self._invalid(f"Expression size has exceeded the maximum allowed size;{told}")
        self._tokens = tokenize(text)
        self._at = 0
        self._token: Token = self._tokens[0]
        self._operators = 0
        self._problems: dict[int, str] = {}

    # --- the three languages

    def condition(self) -> Condition:
        """Parse a whole condition by operator precedence: comparisons bind first, then NOT, AND, OR."""
        # Holds "(" and "NOT" as they are, and (operator, left) for AND and OR.
        stack: list[str | tuple[str, Condition]] = []
        open_parentheses = 0
        while True:
            while (prefix := self._prefix()) is not None:
                stack.append(prefix)
                open_parentheses += prefix == "("
            node: Operand | Condition = self._operand(depth=0)
            in_parentheses = False  # the node is exactly what a pair of parentheses held
            while True:
                if self._comparison_follows() and _is_operand(node):
                    node, in_parentheses = self._comparison(node), False  # type: ignore[arg-type]
                elif self._token.text == ")" and open_parentheses:
                    if _is_condition(node):
                        reduced = self._reduce(stack, node, lowest=0)  # type: ignore[arg-type]
                        in_parentheses = in_parentheses and reduced is node
                        node = reduced
                    if stack[-1] != "(":
                        self._syntax_error()
                    stack.pop()
                    open_parentheses -= 1
                    if in_parentheses:
                        self._note(_REDUNDANT, "The expression has redundant parentheses;")
                    in_parentheses = True
                    self._next()
                else:
                    break
            keyword = self._token.keyword
            if keyword not in ("AND", "OR"):
                break
            condition = self._reduce(stack, self._as_condition(node), lowest=_PRECEDENCE[keyword])
            stack.append((keyword, condition))
            self._count_operator()
            self._next()
        if self._token.kind != "end":
            self._syntax_error()
        condition = self._reduce(stack, self._as_condition(node), lowest=0)
        if stack:
            self._syntax_error()
        self._raise_problems()
        return condition

    def update(self) -> Update:
        """Parse the sections of an update expression, each at most once, in any order."""
        actions: list[Action] = []
        seen: set[str] = set()
        while self._token.kind != "end":
            section = self._token.keyword
            if section not in ("SET", "REMOVE", "ADD", "DELETE"):
                self._syntax_error()
            if section in seen:
                self._invalid(f'The "{section}" section can only be used once in an update expression;')
            seen.add(section)
            self._next()
            actions.append(self._action(section))
            while self._accept(","):
                actions.append(self._action(section))
        self._raise_problems()
        return Update(tuple(actions))

    def projection(self) -> Projection:
        """Parse a list of document paths."""
        paths = [self._path()]
        while self._accept(","):
            paths.append(self._path())
        if self._token.kind != "end":
            self._syntax_error()
        self._raise_problems()
        return Projection(tuple(paths))

    # --- conditions

    def _prefix(self) -> str | None:
        if self._token.text == "(":
            self._next()
            return "("
        if self._token.keyword == "NOT":
            self._count_operator()
            self._next()
            return "NOT"
        return None

    def _comparison_follows(self) -> bool:
        return self._token.text in COMPARATORS or self._token.keyword in ("BETWEEN", "IN")

    def _comparison(self, left: Operand) -> Condition:
        operator = self._token.keyword or self._token.text
        self._count_operator()
        self._check_not_misused(left)
        self._next()
        if operator == "BETWEEN":
            low = self._operand(depth=0)
            if self._token.keyword != "AND":
                self._syntax_error()
            self._next()
            high = self._operand(depth=0)
            self._check_not_misused(low, high)
            return Between(left, low, high)
        if operator == "IN":
            self._expect("(")
            options = [self._operand(depth=0)]
            while self._accept(","):
                options.append(self._operand(depth=0))
            self._expect(")")
            self._check_not_misused(*options)
            if len(options) > IN_OPERANDS_MAX:
                self._invalid(f"The IN operator is provided with too many operands; number of operands: {len(options)}")
            return In(left, tuple(options))
        right = self._operand(depth=0)
        self._check_not_misused(right)
        return Comparison(operator, left, right)

    def _as_condition(self, node: Operand | Condition) -> Condition:
        if isinstance(node, Function):
            if node.name == "size":
                self._note_misused(node)
            return node
        if _is_operand(node):
            self._syntax_error()
        return node  # type: ignore[return-value]

    def _reduce(self, stack: list[str | tuple[str, Condition]], node: Condition, lowest: int) -> Condition:
        """Apply the operators on the stack that bind at least as strongly as `lowest`, up to an open parenthesis."""
        while stack:
            top = stack[-1]
            if top == "(":
                break
            if top == "NOT":
                stack.pop()
                node = Not(self._as_condition(node))
                continue
            if isinstance(top, str):
                raise InvariantViolated(f"'{top}' on the stack of a condition")
            operator, left = top
            if _PRECEDENCE[operator] < lowest:
                break
            stack.pop()
            node = (And if operator == "AND" else Or)(left, self._as_condition(node))
        return node

    # --- updates

    def _action(self, section: str) -> Action:
        path = self._path()
        if section == "REMOVE":
            return RemoveAction(path)
        if section == "SET":
            self._expect("=")
            return SetAction(path, self._set_value(depth=0))
        value = self._token
        if value.kind != "value_ref":
            self._syntax_error()
        self._next()
        self._count_operator()
        return (AddAction if section == "ADD" else DeleteAction)(path, ValueRef(value.text))

    def _set_value(self, depth: int) -> Operand:
        left = self._operand(depth)
        operator = self._token.text
        if operator not in ("+", "-"):
            return left
        self._count_operator()
        self._next()
        return Arithmetic(operator, left, self._operand(depth))

    # --- operands, shared

    def _operand(self, depth: int) -> Operand:
        token = self._token
        if token.kind == "value_ref":
            self._next()
            return ValueRef(token.text)
        if token.text == "(":
            if depth > EXPRESSION_OPERATORS_MAX:
                self._invalid("The expression has redundant parentheses;")
            self._next()
            again = self._token.text == "("
            inner = self._set_value(depth + 1) if self._name == "UpdateExpression" else self._operand(depth + 1)
            if again and self._tokens[self._at - 1].text == ")" and not isinstance(inner, Arithmetic):
                self._note(_REDUNDANT, "The expression has redundant parentheses;")
            self._expect(")")
            return inner
        if token.kind == "name" and self._tokens[self._at + 1].text == "(":
            return self._function(token.text, depth)
        return self._path()

    def _function(self, name: str, depth: int) -> Function:
        self._count_operator()
        is_update = self._name == "UpdateExpression"
        if name not in OPERAND_COUNTS:
            self._note(_UNKNOWN_FUNCTION, f"Invalid function name; function: {name}")
        elif name not in (UPDATE_FUNCTIONS if is_update else CONDITION_FUNCTIONS):
            self._note(
                _UNKNOWN_FUNCTION,
                f"The function is not allowed in {'an update' if is_update else 'a condition'} expression; "
                f"function: {name}",
            )
        self._next()
        self._next()
        operands = [self._operand(depth + 1)]
        while self._accept(","):
            operands.append(self._operand(depth + 1))
        self._expect(")")
        self._check_not_misused(*operands)
        return Function(name, tuple(operands))

    def _path(self) -> Path:
        elements: list[str | int] = [self._attribute_name()]
        while True:
            if self._accept("."):
                elements.append(self._attribute_name())
            elif self._accept("["):
                index = self._token
                if index.kind != "integer":
                    self._syntax_error()
                self._next()
                self._expect("]")
                if len(index.text) > _INDEX_DIGITS_MAX:
                    self._invalid(f"List index is not within the allowable range; index: [{index.text}]")
                elements.append(int(index.text))
            else:
                if len(elements) > NESTING_DEPTH_MAX:
                    self._invalid(f"The document path has too many nesting levels; nesting levels: {len(elements)}")
                return Path(tuple(elements), any(type(name) is str and name[0] == "#" for name in elements))

    def _attribute_name(self) -> str:
        token = self._token
        if token.kind == "name":
            if token.text.upper() in RESERVED_WORDS:
                self._note(_RESERVED, f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        elif token.kind != "name_ref":
            self._syntax_error()
        self._next()
        return token.text

    # --- tokens

    def _next(self) -> None:
        self._at += 1
        self._token = self._tokens[self._at] if self._at < len(self._tokens) else self._tokens[-1]

    def _accept(self, symbol: str) -> bool:
        if self._token.kind == "symbol" and self._token.text == symbol:
            self._next()
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            self._syntax_error()

    # --- errors

    def _check_not_misused(self, *operands: Operand) -> None:
        """Note a function that stands where only a value may: all but size and if_not_exists."""
        for operand in operands:
            if isinstance(operand, Function) and operand.name in _NEVER_OPERANDS:
                self._note_misused(operand)

    def _note_misused(self, function: Function) -> None:
        self._note(
            _MISUSED_FUNCTION,
            f"The function is not allowed to be used this way in an expression; function: {function.name}",
        )

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > EXPRESSION_OPERATORS_MAX:
            self._invalid(f"The expression contains too many operators; operator count: {self._operators}")

    def _note(self, rank: int, problem: str) -> None:
        self._problems.setdefault(rank, problem)

    def _raise_problems(self) -> None:
        if self._problems:
            self._invalid(self._problems[min(self._problems)])

    def _syntax_error(self) -> NoReturn:
        """Raise AWS's syntax error: the token, and the text from the token before it to the one after."""
        token = self._token
        before = self._tokens[self._at - 1] if self._at else token
        behind = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else token
        near = self._text[before.start : behind.end if behind.kind != "end" else token.end].strip(" \t\r\n")
        self._invalid(f'Syntax error; token: "{token.text if token.kind != "end" else "<EOF>"}", near: "{near}"')

    def _invalid(self, problem: str) -> NoReturn:
        invalid(f"Invalid {self._name}: {problem}")


_PRECEDENCE = {"OR": 1, "AND": 2}
_INDEX_DIGITS_MAX = 9


def _is_operand(node: Operand | Condition) -> bool:
    return isinstance(node, (Path, ValueRef, Function, Arithmetic))


def _is_condition(node: Operand | Condition) -> bool:
    return not isinstance(node, (Path, ValueRef, Arithmetic))
