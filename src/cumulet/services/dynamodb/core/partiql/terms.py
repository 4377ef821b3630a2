"""What statements are made of: conditions, operands, paths and values.

Recursive descent with precedence climbing; each level of parentheses, NOT and nested values counts against a limit, so
no text can exhaust the stack, and no token is looked at twice.
"""

from collections.abc import Callable
from typing import NoReturn, TypeAlias

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import (
    And,
    Arithmetic,
    Between,
    Comparison,
    Condition,
    Function,
    In,
    Not,
    Operand,
    Or,
    Path,
    ValueRef,
)
from cumulet.services.dynamodb.core.expressions.grammar import CONDITION_FUNCTIONS
from cumulet.services.dynamodb.core.limits import (
    EXPRESSION_OPERATORS_MAX,
    IN_OPERANDS_MAX,
    NESTING_DEPTH_MAX,
)
from cumulet.services.dynamodb.core.numbers import canonical_number
from cumulet.services.dynamodb.core.partiql.ast import Literal, Node, Parameter
from cumulet.services.dynamodb.core.partiql.lexer import Token, not_well_formed, position, tokenize
from cumulet.services.dynamodb.core.partiql.values import check_exponent, fold_list, fold_map, read_set
from cumulet.services.dynamodb.core.values import invalid

PARENTHESES_DEPTH_MAX = 100
"""Far beyond any sensible statement; AWS's own limit is not documented."""

OR, AND, NOT, COMPARISON, SUM = range(1, 6)
_COMPARATORS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPERATOR_WORDS = frozenset(("AND", "OR", "IN", "IS", "BETWEEN", "LIKE"))
_OPERATOR_SYMBOLS = frozenset((*_COMPARATORS, "+", "-", "*", "/", "%", "||"))

# The types that IS can ask for, and what DynamoDB calls them. Other names of types are read and refused.
_TYPES = {
    "NULL": "NULL",
    "BOOL": "BOOL",
    "BOOLEAN": "BOOL",
    "BLOB": "B",
    "STRING": "S",
    "NUMERIC": "N",
    "STRUCT": "M",
    "TUPLE": "M",
    "LIST": "L",
}
_OTHER_TYPES = frozenset(
    (
        *("SMALLINT", "INT", "INT2", "INT4", "INT8", "INTEGER", "INTEGER2", "INTEGER4", "INTEGER8", "BIGINT"),
        *("FLOAT", "REAL", "DOUBLE", "DECIMAL", "TIMESTAMP", "DATE", "TIME"),
        *("CHARACTER", "CHAR", "VARCHAR", "SYMBOL", "CLOB", "SEXP", "BAG", "ANY"),
    )
)
_SECOND_WORDS = {"DOUBLE": "PRECISION", "CHARACTER": "VARYING"}

_Term: TypeAlias = Operand | Condition


class TermParser:
    """The tokens of one statement, and how to read what stands in its clauses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._at = 0
        self._token: Token = self._tokens[0]
        self._nodes: list[Node] = []
        self._parameters = 0
        self._depth = 0
        self._operators = 0
        self._problem: str | None = None
        self._is_in_condition = False

    # --- expressions

    def _expression(self, lowest: int) -> _Term:
        """Parse operators that bind at least as strongly as `lowest`, and what they stand between."""
        left = self._prefix()
        while (found := self._infix()) is not None and found[1] >= lowest:
            operator, precedence = found
            self._count_operator()
            self._next()
            if operator in ("IS", "IS NOT"):
                left = self._is(left)
                continue
            negated = operator == "NOT"
            if negated:
                operator = self._token.value
                self._next()
            if self._token.kind == "end":
                not_well_formed("Missing right-hand side expression of infix operator")
            left = self._combine(operator, precedence, left)
            if negated:
                left = Not(self._as_condition(left))
        return left

    def _infix(self) -> tuple[str, int] | None:
        kind, value = self._token.kind, self._token.value
        if kind == "symbol":
            if value in _COMPARATORS:
                return value, COMPARISON
            return (value, SUM) if value in ("+", "-", "||", "*", "/", "%") else None
        if kind != "keyword":
            return None
        if value in ("AND", "OR"):
            return value, AND if value == "AND" else OR
        if value in ("IN", "IS", "BETWEEN", "LIKE"):
            return value, COMPARISON
        behind = self._tokens[self._at + 1].value
        return (value, COMPARISON) if value == "NOT" and behind in ("IN", "BETWEEN", "LIKE") else None

    def _combine(self, operator: str, precedence: int, left: _Term) -> _Term:
        if operator == "IN":
            return self._in(left)
        if operator == "BETWEEN":
            low = self._expression(SUM)
            if not self._accept_word("AND"):
                not_well_formed("Expected AND")
            return Between(self._as_operand(left), self._as_operand(low), self._as_operand(self._expression(SUM)))
        right = self._expression(precedence + 1)
        if operator == "AND":
            return And(self._as_condition(left), self._as_condition(right))
        if operator == "OR":
            return Or(self._as_condition(left), self._as_condition(right))
        if operator in ("+", "-"):
            if self._is_in_condition:
                self._note(f"Unsupported operator in Condition Expression. Operator: {operator}")
            return Arithmetic(operator, self._as_operand(left), self._as_operand(right))
        if operator in _COMPARATORS:
            return self._comparison(_COMPARATORS[operator], left, right)
        self._note(f"Unsupported operator in Condition Expression. Operator: {operator}")
        return self._comparison("=", left, right) if operator == "LIKE" else left

    def _comparison(self, operator: str, left: _Term, right: _Term) -> Condition:
        if is_operand(left) and is_operand(right):
            return Comparison(operator, left, right)  # type: ignore[arg-type]
        condition, other = (right, left) if is_operand(left) else (left, right)
        node = self._nodes[int(other.name)] if isinstance(other, ValueRef) else None
        if isinstance(node, Literal) and "BOOL" in node.value and operator in ("=", "<>"):
            # attribute_exists(a) = true
            holds = node.value["BOOL"] == (operator == "=")
            return condition if holds else Not(condition)  # type: ignore[return-value, arg-type]
        self._note(f"Unsupported operator in Condition Expression. Operator: {operator}")
        return self._as_condition(condition)

    def _in(self, left: _Term) -> Condition:
        closing = {"(": ")", "[": "]", "<<": ">>"}.get(self._token.value)
        if closing is None:
            not_well_formed("Expected LEFT_PAREN")
        self._next()
        options = [self._as_operand(self._expression(SUM))]
        while self._accept(","):
            options.append(self._as_operand(self._expression(SUM)))
        if not self._accept(closing):
            not_well_formed("Expected RIGHT_PAREN" if closing == ")" else "Unexpected term")
        if len(options) > IN_OPERANDS_MAX:
            self._note(f"The IN operator is provided with too many operands; number of operands: {len(options)}")
        return In(self._as_operand(left), tuple(options))

    def _is(self, left: _Term) -> Condition:
        negated = self._accept_word("NOT")
        operand = self._as_operand(left)
        kind = self._type_name()
        condition: Condition
        if kind == "MISSING":
            condition = Function("attribute_not_exists", (operand,))
        else:
            known = _TYPES.get(kind)
            if known is None:
                self._note(
                    f"Unsupported data type for IS operator: {kind}. Supported data types are [MISSING, NULL, BOOLEAN, "
                    "BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]"
                )
            condition = Function("attribute_type", (operand, self._ref(Literal({"S": known or kind}))))
        return Not(condition) if negated else condition

    def _type_name(self) -> str:
        word = self._token.value.upper() if self._token.kind in ("name", "keyword") else ""
        if word != "MISSING" and word not in _TYPES and word not in _OTHER_TYPES:
            not_well_formed("Expected type name")
        self._next()
        if (second := _SECOND_WORDS.get(word)) is not None and self._token.value.upper() == second:
            self._next()
        return word

    def _prefix(self) -> _Term:
        token = self._token
        if token.kind in ("name", "quoted"):
            if token.kind == "name" and self._tokens[self._at + 1].value == "(":
                return self._function()
            return self._path()
        if token.kind == "keyword":
            if token.value == "NOT":
                self._count_operator()
                self._enter()
                self._next()
                inner = self._as_condition(self._expression(NOT))
                self._depth -= 1
                return Not(inner)
            if token.value in ("TRUE", "FALSE", "NULL", "MISSING"):
                return self._ref(self._node("root", 0))
            if self._tokens[self._at + 1].value == "(":
                return self._function()
            self._unexpected_term()
        if token.kind == "symbol":
            if token.value == "(":
                self._enter()
                self._next()
                inner_term = self._expression(OR)
                self._expect_parenthesis()
                self._depth -= 1
                return inner_term
            if token.value not in ("?", "[", "{", "<<", "-"):
                self._unexpected_term()
        if token.kind == "end":
            self._unexpected_term()
        return self._ref(self._node("root", 0))

    def _function(self) -> Function:
        start = self._token
        name = start.value.lower()
        self._count_operator()
        self._next()
        self._next()
        operands = self._arguments()
        if name not in CONDITION_FUNCTIONS:
            self._note(f"Unrecognized function: {name} at {self._position(start)}")
        elif not self._is_in_condition:
            self._note(f"Unsupported data type: {name} under key root at {self._position(start)}")
        return Function(name, operands)

    def _arguments(self) -> tuple[Operand, ...]:
        """Parse operands up to the closing parenthesis; the opening one has been read."""
        operands: list[Operand] = []
        if self._accept(")"):
            return ()
        self._enter()
        operands.append(self._as_operand(self._expression(SUM)))
        while self._accept(","):
            operands.append(self._as_operand(self._expression(SUM)))
        self._expect_parenthesis()
        self._depth -= 1
        return tuple(operands)

    def _as_condition(self, term: _Term) -> Condition:
        if isinstance(term, (Path, ValueRef, Arithmetic)) or (isinstance(term, Function) and term.name == "size"):
            not_well_formed("Unexpected term")
        return term

    def _as_operand(self, term: _Term) -> Operand:
        if not isinstance(term, (Path, ValueRef, Function, Arithmetic)):
            not_well_formed("Unexpected term")
        return term

    # --- paths and values

    def _path(self) -> Path:
        if self._token.kind not in ("name", "quoted"):
            self._unexpected_term()
        elements: list[str | int] = [self._token.value]
        self._next()
        while True:
            if self._accept("."):
                if self._token.kind not in ("name", "quoted"):
                    not_well_formed("Invalid path dot component")
                elements.append(self._token.value)
                self._next()
            elif self._accept("["):
                elements.append(self._bracketed())
            else:
                break
        if len(elements) > NESTING_DEPTH_MAX:
            self._note(f"The document path has too many nesting levels; nesting levels: {len(elements)}")
        return Path(tuple(elements))

    def _bracketed(self) -> str | int:
        token = self._token
        element: str | int
        if token.kind == "text":
            element = token.value
        elif token.kind == "number" and token.value.isdecimal():
            if len(token.value) > _INDEX_DIGITS_MAX:
                self._note(f"List index is not within the allowable range; index: [{token.value}]")
            element = int(token.value[:_INDEX_DIGITS_MAX])
        else:
            invalid(f"Unexpected path component at {self._position(token)}")
        self._next()
        if not self._accept("]"):
            not_well_formed("Expected RIGHT_BRACKET")
        return element

    def _node(self, key: str, depth: int) -> Node:
        """Parse a value. `key` is where it lies in the attribute, as AWS's errors show it."""
        token = self._token
        kind, text = token.kind, token.value
        if depth > NESTING_DEPTH_MAX:
            invalid(
                "Nesting Levels have exceeded supported limits: "
                "Attributes in the item have nested levels beyond supported limit"
            )
        if kind == "text":
            self._next()
            return Literal({"S": text})
        if kind == "number":
            self._next()
            return self._number(text, key)
        if kind == "symbol":
            return self._symbolic_node(text, key, depth)
        if kind == "keyword" and text in ("TRUE", "FALSE", "NULL"):
            self._next()
            return Literal({"NULL": True} if text == "NULL" else {"BOOL": text == "TRUE"})
        if kind == "end" or (kind == "keyword" and text != "MISSING" and not self._is_call()):
            self._unexpected_term()
        # A path, a function or MISSING, where only a value can be.
        self._note(f"Unsupported data type: {text.lower()} under key {key} at {self._position(token)}")
        if text == "MISSING":
            self._next()
        else:
            self._expression(SUM)
        return Literal({"NULL": True})

    def _symbolic_node(self, symbol: str, key: str, depth: int) -> Node:
        """Parse a value that begins with a symbol: a negative number, a parameter, a list, a map or a set."""
        if symbol not in ("-", "?", "[", "{", "<<"):
            self._unexpected_term()
        self._next()
        if symbol == "[":
            return fold_list(self._elements("]", key, depth))
        if symbol == "{":
            return fold_map(self._entries(lambda name: f"{key}.{name}", depth))
        if symbol == "<<":
            return self._set(self._elements(">>", key, depth))
        if symbol == "?":
            self._parameters += 1
            return Parameter(self._parameters - 1)
        number = self._token
        if number.kind != "number":
            self._unexpected_term()
        self._next()
        return self._number("-" + number.value, key)

    def _is_call(self) -> bool:
        return self._tokens[self._at + 1].value == "("

    def _elements(self, closing: str, key: str, depth: int) -> list[Node]:
        elements: list[Node] = []
        if self._accept(closing):
            return elements
        while True:
            elements.append(self._node(f"{key}[{len(elements)}]", depth + 1))
            if self._accept(closing):
                return elements
            if not self._accept(","):
                not_well_formed(f"Expected {'RIGHT_BRACKET' if closing == ']' else 'RIGHT_DOUBLE_ANGLE_BRACKET'}")

    def _entries(self, key_of: Callable[[str], str], depth: int) -> list[tuple[str, Node]]:
        entries: list[tuple[str, Node]] = []
        seen = set()
        if self._accept("}"):
            return entries
        while True:
            token = self._token
            if token.kind not in ("text", "quoted"):
                self._unexpected_term()
            if token.value in seen:
                self._note(f"Duplicate attribute name: {token.value}")
            seen.add(token.value)
            self._next()
            if not self._accept(":"):
                not_well_formed("Expected COLON")
            entries.append((token.value, self._node(key_of(token.value), depth + 1)))
            if self._accept("}"):
                return entries
            if not self._accept(","):
                not_well_formed("Expected RIGHT_CURLY")

    def _number(self, text: str, key: str) -> Node:
        check_exponent(text)
        try:
            return Literal({"N": canonical_number(text)})
        except ServiceError as error:
            self._note(f"{error.message} under {key}")
            return Literal({"N": "0"})

    def _set(self, elements: list[Node]) -> Node:
        try:
            return Literal(read_set(elements))
        except ServiceError as error:
            self._note(error.message)
            return Literal({"SS": [""]})

    def _ref(self, node: Node) -> ValueRef:
        self._nodes.append(node)
        return ValueRef(str(len(self._nodes) - 1))

    # --- tokens

    def _next(self) -> None:
        if self._token.kind != "end":
            self._at += 1
            self._token = self._tokens[self._at]

    def _keyword(self) -> str:
        return self._token.value if self._token.kind == "keyword" else ""

    def _accept(self, symbol: str) -> bool:
        if self._token.kind == "symbol" and self._token.value == symbol:
            self._next()
            return True
        return False

    def _accept_word(self, word: str) -> bool:
        if self._keyword() == word:
            self._next()
            return True
        return False

    def _expect_word(self, word: str) -> None:
        if not self._accept_word(word):
            not_well_formed(f"Expected {word}")

    def _expect_parenthesis(self) -> None:
        if not self._accept(")"):
            not_well_formed("Expected RIGHT_PAREN")

    # --- limits and errors

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > PARENTHESES_DEPTH_MAX:
            not_well_formed("")

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > EXPRESSION_OPERATORS_MAX:
            invalid(f"The expression contains too many operators; operator count: {self._operators}")

    def _note(self, problem: str) -> None:
        if self._problem is None:
            self._problem = problem

    def _position(self, token: Token) -> str:
        return position(self._text, token)

    def _unexpected_term(self) -> NoReturn:
        """Raise what AWS says where a value, path or condition should begin and something else stands."""
        token = self._token
        if token.value in (_OPERATOR_WORDS if token.kind == "keyword" else _OPERATOR_SYMBOLS):
            not_well_formed("Unexpected operator")
        not_well_formed("Unexpected keyword" if token.kind == "keyword" else "Unexpected term")


_INDEX_DIGITS_MAX = 9


def is_operand(term: _Term) -> bool:
    """Return whether a term is a value, a path, a sum or size(): what a comparison compares."""
    return isinstance(term, (Path, ValueRef, Arithmetic)) or (isinstance(term, Function) and term.name == "size")
