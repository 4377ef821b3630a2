"""The Velocity Template Language as mapping templates use it: text to a tree, and a tree to text (pure).

Compiling is linear in the template. Rendering is bounded in steps, in output and in the turns of a loop, so that no
template can hold the server up; what is over a bound raises TemplateError. Values are Python's own: dict, list, str,
bool, int, float and None, and `Methods` for what only has methods ($input, $util).

As on AWS (and unlike Velocity elsewhere) a reference to nothing renders as nothing, not as its own name.
https://velocity.apache.org/engine/1.7/user-guide.html,
https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings.html
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import values
from cumulet.services.apigateway.mapping.effort import Effort, TemplateError, limited

_TEXT = re.compile(r"[^$#\\]+")
_REFERENCE = re.compile(r"\$!?(\{)?([A-Za-z][A-Za-z0-9_-]*)")
_DIRECTIVE = re.compile(r"#(?:(\w+)|\{(\w+)\})")
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_PROPERTY = re.compile(r"\.([A-Za-z][A-Za-z0-9_-]*)(\()?")
_LINE_END = re.compile(r"[ \t]*\r?\n")
_BLANKS = re.compile(r"\s*")
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?(?![\d])")
_WORDS = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "and": "&&", "or": "||", "not": "!"}
_OPERATOR = re.compile(r"==|!=|<=|>=|<|>|&&|\|\||!|\+|-|\*|/|%|(?:eq|ne|lt|gt|le|ge|and|or|not)(?![A-Za-z0-9_-])")
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
_MACRO = re.compile(r"#(?:macro|\{macro\})\s*\(\s*(\w+)")
_BLOCK_CALL = re.compile(r"#@(\w+)\s*\(")
_KNOWN = frozenset(("set", "if", "elseif", "else", "end", "foreach", "stop", "break", "define", "macro"))
_REFUSED = frozenset(("parse", "include", "evaluate"))


@dataclass(slots=True)
class _Run:
    """One rendering: its names, its output, and what is left of its bounds."""

    names: dict[str, Any]
    effort: Effort
    out: list[str] = field(default_factory=list)
    chars: int = limits.PAYLOAD_BYTES_MAX
    depth: int = 0
    """How many macros and defined blocks are being rendered inside each other."""

    def write(self, text: str) -> None:
        self.chars -= len(text)
        if self.chars < 0:
            raise TemplateError("The output of the template is too large")
        self.out.append(text)

    def captured(self, nodes: "Sequence[Node]") -> str:
        """Return what nodes write."""
        written, self.out = self.out, []
        try:
            _render_all(nodes, self)
            return "".join(self.out)
        finally:
            self.out = written

    def inside(self, nodes: "Sequence[Node]") -> None:
        """Render the nodes of a macro or of a defined block, which #break ends."""
        self.depth += 1
        if self.depth > limits.TEMPLATE_CALLS_MAX:
            raise TemplateError("The macros of the template call each other too deeply")
        try:
            _render_all(nodes, self)
        except _Break:
            pass
        finally:
            self.depth -= 1


class _Stop(Exception):
    """#stop ends the rendering."""


class _Break(Exception):
    """#break ends the innermost loop."""


Value: TypeAlias = Callable[[_Run], Any]
Node: TypeAlias = Callable[[_Run], None]


@dataclass(frozen=True, slots=True)
class _Defined:
    """What #define names: rendered anew wherever it is referred to."""

    nodes: Sequence[Node]

    def render(self, run: _Run) -> str:
        return run.captured([lambda run: run.inside(self.nodes)])


@dataclass(frozen=True, slots=True)
class _Macro:
    """What #macro names. Its parameters hide names of the template while it is rendered; what it sets stays."""

    parameters: Sequence[str]
    nodes: Sequence[Node]

    def render(self, run: _Run, arguments: Sequence[Any]) -> None:
        kept = {name: run.names.get(name) for name in self.parameters}
        try:
            for place, name in enumerate(self.parameters):
                run.names[name] = arguments[place] if place < len(arguments) else None
            run.inside(self.nodes)
        finally:
            run.names.update(kept)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template; a value that may be shared."""

    nodes: tuple[Node, ...]

    def render(self, names: dict[str, Any]) -> str:
        """Return the text. `names` has the values by name, and gets those that #set makes."""
        with limited() as effort:
            run = _Run(names, effort)
            try:
                _render_all(self.nodes, run)
            except (_Stop, _Break):
                pass
            except RecursionError:
                raise TemplateError("The values of the template are nested too deeply") from None
        return "".join(run.out)


@lru_cache(maxsize=limits.COMPILED_MAX)
def compile_template(text: str) -> Template:
    """Return the compiled template. Raises TemplateError, and NotImplementedHere for directives that are not here."""
    # Macros are there before anything is rendered, as in Velocity: what is called may be defined further down.
    parser = _Parser(text, 0, dict.fromkeys(set(_MACRO.findall(text)) - _KNOWN))
    nodes, ended_by = parser.block(())
    if ended_by is not None:
        parser.fail(f"#{ended_by} without a beginning")
    return Template(tuple(nodes))


def _render_all(nodes: Sequence[Node], run: _Run) -> None:
    for node in nodes:
        run.effort.spend()
        node(run)


class _Parser:
    """Recursive descent; how deep it may go is bounded."""

    def __init__(self, text: str, depth: int, macros: dict[str, _Macro | None]) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self.macros = macros

    def fail(self, what: str) -> NoReturn:
        raise TemplateError(f"{what} at character {self.at}")

    # Text, references and directives

    def block(self, ends: tuple[str, ...]) -> tuple[list[Node], str | None]:
        """Return the nodes up to one of the directives `ends` (or #end, #else, #elseif), and which it was."""
        self._deeper()
        nodes: list[Node] = []
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if (plain := _TEXT.match(text, self.at)) is not None:
                self.at = plain.end()
                nodes.append(_literal(plain[0]))
            elif char == "\\":
                escaped = text[self.at + 1 : self.at + 2] in ("$", "#") and text[self.at + 1 : self.at + 2]
                nodes.append(_literal(escaped or char))
                self.at += 2 if escaped else 1
            elif char == "$":
                nodes.append(self._reference_node())
            else:
                ended_by = self._directive(nodes)
                if ended_by is not None:
                    if ended_by not in ends:
                        self.fail(f"unexpected #{ended_by}")
                    self.depth -= 1
                    return nodes, ended_by
        self.depth -= 1
        return nodes, None

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > limits.TEMPLATE_DEPTH_MAX:
            self.fail("the template is nested too deeply")

    def _reference_node(self) -> Node:
        if _REFERENCE.match(self.text, self.at) is None:
            self.at += 1
            return _literal("$")
        value = self._reference()

        def node(run: _Run) -> None:
            found = value(run)
            if found is not None:
                run.write(values.text(found))

        return node

    def _directive(self, nodes: list[Node]) -> str | None:
        """Read what begins with #. Returns the name of a directive that ends a block."""
        text = self.text
        if text.startswith("##", self.at):
            end = text.find("\n", self.at)
            self.at = len(text) if end < 0 else end + 1
            return None
        for opening, closing, keep in (("#*", "*#", False), ("#[[", "]]#", True)):
            if text.startswith(opening, self.at):
                end = text.find(closing, self.at + len(opening))
                if end < 0:
                    self.fail(f"{opening} without {closing}")
                if keep:
                    nodes.append(_literal(text[self.at + 3 : end]))
                self.at = end + len(closing)
                return None
        found = _DIRECTIVE.match(text, self.at)
        name = found and (found[1] or found[2])
        # #endfoo is #end and text, as #elsefoo is: Velocity knows where its words end.
        if found is not None and found[1]:
            for word in ("elseif", "else", "end"):
                if found[1].startswith(word) and found[1] not in ("elseif", "else", "end"):
                    name = word
                    break
        if found is not None and name in self.macros:
            nodes.append(self._macro_call(name, found.end()))
            return None
        if name in _REFUSED:
            raise NotImplementedHere(f"The directive #{name} of a mapping template")
        if (block := _BLOCK_CALL.match(text, self.at)) is not None and block[1] in self.macros:
            raise NotImplementedHere(f"The block macro call #@{block[1]} of a mapping template")
        if found is None or name not in _KNOWN:
            nodes.append(_literal("#"))
            self.at += 1
            return None
        self.at = self.at + 1 + len(name) if found[1] else found.end()
        if name in ("end", "else"):
            self._end_line()
            return name
        if name == "elseif":
            return name
        if name == "set":
            nodes.append(self._set())
        elif name == "if":
            nodes.append(self._if())
        elif name == "foreach":
            nodes.append(self._foreach())
        elif name == "define":
            nodes.append(self._define())
        elif name == "macro":
            self._macro()
        else:
            nodes.append(_raise_stop if name == "stop" else _raise_break)
            self._end_line()
        return None

    def _end_line(self) -> None:
        # A directive that ends its line takes the line's end with it.
        if (line_end := _LINE_END.match(self.text, self.at)) is not None:
            self.at = line_end.end()

    def _set(self) -> Node:
        self._expect("(")
        self._blanks()
        if (start := _REFERENCE.match(self.text, self.at)) is None:
            self.fail("#set without a reference")
        self.at = start.end()
        name, steps = start[2], self._steps()
        if start[1]:
            self._expect("}")
        self._expect("=")
        value = self._expression()
        self._expect(")")
        self._end_line()

        def node(run: _Run) -> None:
            # Nothing is not a value: Velocity leaves what was there.
            if (given := value(run)) is None:
                return
            if not steps:
                run.names[name] = given
                return
            holder = run.names.get(name)
            for step in steps[:-1]:
                holder = step(run, holder)
            last = steps[-1]
            if isinstance(last, _Call):
                raise TemplateError("#set of a method's answer")
            values.assign(holder, last.key(run), given)

        return node

    def _if(self) -> Node:
        branches: list[tuple[Value, list[Node]]] = []
        condition = self._condition()
        while True:
            nodes, ended_by = self.block(("elseif", "else", "end"))
            branches.append((condition, nodes))
            if ended_by == "elseif":
                condition = self._condition()
            elif ended_by == "else":
                nodes, ended_by = self.block(("end",))
                branches.append((_always, nodes))
            if ended_by == "end":
                break
            if ended_by is None:
                self.fail("#if without #end")

        def node(run: _Run) -> None:
            for test, chosen in branches:
                if values.is_true(test(run)):
                    _render_all(chosen, run)
                    return

        return node

    def _condition(self) -> Value:
        self._expect("(")
        condition = self._expression()
        self._expect(")")
        self._end_line()
        return condition

    def _foreach(self) -> Node:
        self._expect("(")
        name = self._variable("#foreach")
        self._expect("in")
        items = self._expression()
        self._expect(")")
        nodes = self._body("foreach")

        def node(run: _Run) -> None:
            listed = values.items_of(items(run))
            if len(listed) > limits.FOREACH_TURNS_MAX:
                raise TemplateError(f"#foreach with more than {limits.FOREACH_TURNS_MAX} turns")
            kept = {key: run.names.get(key) for key in (name, "foreach", "velocityCount")}
            try:
                for index, item in enumerate(listed):
                    run.names[name] = item
                    run.names["velocityCount"] = index + 1
                    run.names["foreach"] = {
                        "index": index,
                        "count": index + 1,
                        "hasNext": index + 1 < len(listed),
                        "first": index == 0,
                        "last": index + 1 == len(listed),
                        "parent": kept["foreach"],
                    }
                    _render_all(nodes, run)
            except _Break:
                pass
            finally:
                run.names.update(kept)

        return node

    def _define(self) -> Node:
        self._expect("(")
        name = self._variable("#define")
        self._expect(")")
        defined = _Defined(self._body("define"))

        def node(run: _Run) -> None:
            run.names[name] = defined

        return node

    def _macro(self) -> None:
        self._expect("(")
        self._blanks()
        if (name := _WORD.match(self.text, self.at)) is None or name[0] in _KNOWN:
            self.fail("#macro without a name of its own")
        self.at = name.end()
        parameters = []
        while not self._has(")"):
            self._has(",")
            parameters.append(self._variable("#macro"))
        self.macros[name[0]] = _Macro(parameters, self._body("macro"))

    def _macro_call(self, name: str, after: int) -> Node:
        """Read the call of a macro. Its arguments stand one after the other, with or without commas."""
        start, self.at = self.at, after
        if not self._has("("):
            self.at = start + 1
            return _literal("#")
        arguments: list[Value] = []
        while not self._has(")"):
            self._has(",")
            arguments.append(self._primary())
        written = _literal(self.text[start : self.at])
        self._end_line()

        def node(run: _Run) -> None:
            if (macro := self.macros[name]) is None:
                written(run)
            else:
                macro.render(run, [argument(run) for argument in arguments])

        return node

    def _variable(self, what: str) -> str:
        self._blanks()
        if (variable := _REFERENCE.match(self.text, self.at)) is None:
            self.fail(f"{what} without a reference")
        self.at = variable.end()
        if variable[1]:
            self._expect("}")
        return variable[2]

    def _body(self, what: str) -> list[Node]:
        self._end_line()
        nodes, ended_by = self.block(("end",))
        if ended_by is None:
            self.fail(f"#{what} without #end")
        return nodes

    # Expressions

    def _blanks(self) -> None:
        self.at = _BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches everything

    def _expect(self, what: str) -> None:
        self._blanks()
        if not self.text.startswith(what, self.at):
            self.fail(f"{what} is missing")
        self.at += len(what)

    def _has(self, what: str) -> bool:
        self._blanks()
        if self.text.startswith(what, self.at):
            self.at += len(what)
            return True
        return False

    def _expression(self, level: int = 0) -> Value:
        if level == len(_LEVELS):
            return self._unary()
        if level == 0:
            self._deeper()
        left = self._expression(level + 1)
        while (operator := self._peek_operator()) in _LEVELS[level]:
            self.at += len(self._operator_text)
            left = _binary(operator, left, self._expression(level + 1))
        if level == 0:
            self.depth -= 1
        return left

    def _peek_operator(self) -> str:
        self._blanks()
        found = _OPERATOR.match(self.text, self.at)
        self._operator_text = found[0] if found is not None else ""
        return _WORDS.get(self._operator_text, self._operator_text)

    def _unary(self) -> Value:
        self._deeper()
        try:
            if self._peek_operator() == "!":
                self.at += len(self._operator_text)
                negated = self._unary()
                return lambda run: not values.is_true(negated(run))
            return self._primary()
        finally:
            self.depth -= 1

    def _primary(self) -> Value:
        self._blanks()
        text, start = self.text, self.at
        char = text[start : start + 1]
        if char == "$":
            if _REFERENCE.match(text, start) is None:
                self.fail("a reference without a name")
            return self._reference()
        if char in ("'", '"') and char:
            return self._string(char)
        if (number := _NUMBER.match(text, start)) is not None:
            self.at = number.end()
            return _constant(float(number[0]) if "." in number[0] else int(number[0]))
        if self._has("("):
            inner = self._expression()
            self._expect(")")
            return inner
        if self._has("["):
            return self._list()
        if self._has("{"):
            return self._map()
        if (word := _NAME.match(text, start)) is not None and word[0] in ("true", "false", "null"):
            self.at = word.end()
            return _constant({"true": True, "false": False, "null": None}[word[0]])
        return self.fail("an expression is missing")

    def _string(self, quote: str) -> Value:
        # A quote inside is doubled; a backslash stays what it is, and only keeps a quote from ending the text.
        text, parts, at = self.text, list[str](), self.at + 1
        while at < len(text):
            char = text[at]
            if char == quote:
                if not text.startswith(quote * 2, at):
                    break
                at += 1
            elif char == "\\" and text[at + 1 : at + 2] in ("\\", quote) and at + 1 < len(text):
                parts.append(char)
                at += 1
                char = text[at]
            parts.append(char)
            at += 1
        else:
            self.fail("a text without its end")
        self.at = at + 1
        given = "".join(parts)
        if quote == "'" or not ("$" in given or "#" in given):
            return _constant(given)
        inner = _Parser(given, self.depth, self.macros)
        nodes, ended_by = inner.block(())
        if ended_by is not None:
            self.fail(f"unexpected #{ended_by}")

        return lambda run: run.captured(nodes)

    def _list(self) -> Value:
        items: list[Value] = []
        if self._has("]"):
            return lambda run: []
        items.append(self._expression())
        if self._has(".."):
            end = self._expression()
            self._expect("]")
            return lambda run: values.span(items[0](run), end(run))
        while self._has(","):
            items.append(self._expression())
        self._expect("]")
        return lambda run: [item(run) for item in items]

    def _map(self) -> Value:
        pairs: list[tuple[Value, Value]] = []
        if not self._has("}"):
            while True:
                key = self._expression()
                self._expect(":")
                pairs.append((key, self._expression()))
                if not self._has(","):
                    break
            self._expect("}")
        return lambda run: {values.text(key(run)): item(run) for key, item in pairs}

    def _reference(self) -> Value:
        start = _REFERENCE.match(self.text, self.at)
        assert start is not None  # every caller has looked
        self.at = start.end()
        name, steps = start[2], self._steps()
        if start[1] and not self._closed():
            self.fail("} is missing")

        def value(run: _Run) -> Any:
            run.effort.spend()
            found = run.names.get(name)
            if isinstance(found, _Defined):
                found = found.render(run)
            for step in steps:
                if found is None:
                    return None
                found = step(run, found)
            return found

        return value

    def _closed(self) -> bool:
        if self.text.startswith("}", self.at):
            self.at += 1
            return True
        return False

    def _steps(self) -> "list[_Call | _Member]":
        steps: list[_Call | _Member] = []
        while True:
            if (named := _PROPERTY.match(self.text, self.at)) is not None:
                self.at = named.end()
                if named[2]:
                    steps.append(_Call(named[1], self._arguments()))
                else:
                    steps.append(_Member(_constant(named[1])))
            elif self.text.startswith("[", self.at):
                self.at += 1
                key = self._expression()
                self._expect("]")
                steps.append(_Member(key))
            else:
                return steps

    def _arguments(self) -> list[Value]:
        arguments: list[Value] = []
        if self._has(")"):
            return arguments
        while True:
            arguments.append(self._expression())
            if not self._has(","):
                break
        self._expect(")")
        return arguments


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: list[Value]

    def __call__(self, run: _Run, holder: Any) -> Any:
        return values.call(holder, self.name, [argument(run) for argument in self.arguments])


@dataclass(frozen=True, slots=True)
class _Member:
    key: Value

    def __call__(self, run: _Run, holder: Any) -> Any:
        return values.member(holder, self.key(run))


def _literal(text: str) -> Node:
    return lambda run: run.write(text)


def _constant(value: Any) -> Value:
    return lambda run: value


def _always(run: _Run) -> bool:
    return True


def _raise_stop(run: _Run) -> None:
    raise _Stop


def _raise_break(run: _Run) -> None:
    raise _Break


def _binary(operator: str, left: Value, right: Value) -> Value:
    if operator == "&&":
        return lambda run: values.is_true(left(run)) and values.is_true(right(run))
    if operator == "||":
        return lambda run: values.is_true(left(run)) or values.is_true(right(run))
    compute = values.OPERATORS[operator]

    def value(run: _Run) -> Any:
        run.effort.spend()
        return compute(left(run), right(run))

    return value
