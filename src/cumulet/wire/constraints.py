"""What the model demands of an input, checked before an operation runs, in AWS's words.

    1 validation error detected: Value 'x!' at 'tableName' failed to satisfy constraint: Member must satisfy regular
    expression pattern: [a-zA-Z0-9_.-]+

An operation's checks are compiled once; what has no constraint anywhere below it is never looked at. A scalar in a list
or map is reported at the container, a structure by its own path (`keySchema.1.member.keyType`).

Where AWS is known to differ from the model or from the common words, it stands in `constraint_dialects`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cumulet.errors import ServiceError
from cumulet.wire.constraint_dialects import Bounds, Dialect, dialect_of
from cumulet.wire.json_values import is_opaque
from cumulet.wire.model import Member, OperationModel, Shape
from cumulet.wire.patterns import find_matcher

ERRORS_MAX = 10
"""AWS stops listing after ten."""

Check = Callable[[Any, str, list[str]], None]
"""(value, its path, what is wrong so far)."""

Test = Callable[[Any], Any]


def check(operation: OperationModel, params: Mapping[str, Any]) -> None:
    """Return if params satisfy the model, else raise the service's error, which lists all that is wrong."""
    try:
        compiled = operation.compiled["check"]
    except KeyError:
        compiled = operation.compiled["check"] = _compile(operation)
    # Nearly always all is right: then nothing is said, and no path is made.
    if compiled is None or compiled.hold(params):
        return
    errors: list[str] = []
    compiled.check(params, "", errors)
    if errors:
        raise dialect_of(operation.service.name, operation.service.protocol).error(errors[:ERRORS_MAX])


def _compile(operation: OperationModel) -> "_Checks | None":
    return _Compiler(operation).structure(operation.input, top=True) if operation.input is not None else None


_REMEMBERED_MAX = 512
_REMEMBERED_CHARACTERS_MAX = 64
"""Texts that have passed are few and short: table names, words of an enumeration, placeholders."""


class _Constraints:
    """What one shape itself demands."""

    __slots__ = ("_passed", "_remembers", "hold", "in_container", "tests")

    def __init__(self, tests: tuple[tuple[Test, str], ...], in_container: str, *, remembers: bool) -> None:
        self.tests = tests
        """Each with its words, in the order in which they are reported."""
        self.in_container = in_container
        """The same words in the order in which AWS prints them for a list's elements or a map's values."""
        self._passed: set[str] = set()
        self._remembers = remembers
        """Whether to look a text up costs less than to test it."""
        self.hold: Test = self._hold_all if remembers or len(tests) > 1 else tests[0][0]
        """Whether a value passes all tests."""

    def _hold_all(self, value: Any) -> bool:
        is_text = self._remembers and type(value) is str
        if is_text and value in self._passed:
            return True
        for holds, _ in self.tests:
            if not holds(value):
                return False
        if is_text and len(value) <= _REMEMBERED_CHARACTERS_MAX:
            if len(self._passed) >= _REMEMBERED_MAX:
                self._passed.clear()
            self._passed.add(value)
        return True


class _Checks(NamedTuple):
    """What a value and all below it has to stand, in two forms."""

    check: Check
    hold: Test
    """Whether all of it is right, without a word about what is not."""


class _Member(NamedTuple):
    """One member of a structure as its check sees it."""

    name: str
    path: str
    required: bool
    missing: Callable[[], ServiceError] | None
    first: Callable[[Any], ServiceError | None] | None
    check: Check | None
    hold: Test | None


class _Compiler:
    def __init__(self, operation: OperationModel) -> None:
        self._operation = operation.name
        self._service = operation.service
        self._dialect: Dialect = dialect_of(operation.service.name, operation.service.protocol)
        self._structures: dict[str, _Checks | None] = {}

    def structure(self, shape: Shape, *, top: bool = False) -> _Checks | None:
        if shape.name in self._structures:
            return self._structures[shape.name]
        recursive = _Recursive()
        self._structures[shape.name] = _Checks(recursive, recursive.hold)
        table = []
        for name in self._reported(shape):
            one = self._member(shape, shape.members[name], required=name in shape.required, top=top)
            if one.required or one.first is not None or one.check is not None:
                table.append(one)
        made = _check_members(table) if table else None
        recursive.checks = made
        self._structures[shape.name] = made
        return made

    def _reported(self, shape: Shape) -> list[str]:
        """Return the members of a structure in the order in which they are reported."""
        names = list(shape.members)
        for (structure, name), other in self._dialect.ahead.items():
            if structure == shape.name:
                names.remove(name)
                names.insert(names.index(other), name)
        return names

    def _member(self, holder: Shape, member: Member, *, required: bool, top: bool) -> _Member:
        place = (self._operation, member.name)
        dialect = self._dialect
        bare = dialect.bare.get(place)
        path = bare or _lower_first(member.name)
        in_body = top and member.location is None
        if in_body and dialect.prefix_body:
            path = f"{_lower_first(self._operation)}Input.{path}"
        bounds = dialect.bounds.get((holder.name, member.name))
        checked = self._value(member.shape, bounds, silent=bare is not None or member.shape.sensitive)
        missing = dialect.missing.get(place)
        check, hold = checked if checked is not None else (None, None)
        if in_body and dialect.body_error is not None:
            missing = dialect.body_error if required else None
            check = check and _all_or_nothing(check, dialect.body_error)
        first = dialect.first.get(place)
        if first is not None:
            hold = _both(lambda value: first(value) is None, checked)
        return _Member(member.name, path, required, missing, first, check, hold)

    def _value(self, shape: Shape, bounds: Bounds | None, *, silent: bool) -> _Checks | None:
        if is_opaque(self._service, shape):
            return None
        own, below = self._constraints(shape, bounds), self._below(shape)
        if own is None:
            return below
        own_error = self._dialect.patterns.get(shape.pattern or "")

        def check_value(value: Any, path: str, errors: list[str]) -> None:
            if not own.hold(value):
                for holds, words in own.tests:
                    if not holds(value):
                        if own_error is not None and words.endswith(f": {shape.pattern}"):
                            raise own_error(path)
                        errors.append(_failure(None if silent else _render(value, shape), path, words))
            if below is not None:
                below.check(value, path, errors)

        return _Checks(check_value, _both(own.hold, below))

    def _below(self, shape: Shape) -> _Checks | None:
        match shape.type:
            case "structure":
                return self.structure(shape)
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
        return None

    def _list(self, shape: Shape) -> _Checks:
        element = shape.member.shape
        opaque = is_opaque(self._service, element)
        silent = _is_secret(shape)
        own = None if opaque else self._constraints(element)
        below = None if opaque else self._below(element)
        words = own and f"Member must satisfy constraint: [{own.in_container}{self._dialect.in_elements}]"

        def check_elements(values: Any, path: str, errors: list[str]) -> None:
            if own is not None and not all(value is None or own.hold(value) for value in values):
                errors.append(_failure(None if silent else _render(values, shape), path, words or ""))
            for number, value in enumerate(values, 1):
                if value is None:
                    errors.append(_failure(None, f"{path}.{number}.member", _NULL))
                elif below is not None:
                    below.check(value, f"{path}.{number}.member", errors)

        return _Checks(check_elements, _each(own, below))

    def _map(self, shape: Shape) -> _Checks | None:
        inner = shape.value.shape
        if is_opaque(self._service, inner):
            return None
        silent, is_flat = _is_secret(shape), inner.type not in ("structure", "list", "map")
        keys, own, below = self._constraints(shape.key.shape), self._constraints(inner), self._below(inner)

        def refuse(values: Any, path: str, words: str) -> str:
            return _failure(None if silent else _render(values, shape), path, words)

        def check_entries(values: Any, path: str, errors: list[str]) -> None:
            if keys is not None and not all(map(keys.hold, values)):
                errors.append(refuse(values, path, f"Map keys must satisfy constraint: [{keys.in_container}]"))
            words = ""
            if own is not None and not all(value is None or own.hold(value) for value in values.values()):
                words = own.in_container
            if is_flat and None in values.values():
                words = f"{words}, {_NULL}" if words else _NULL
            if words:
                errors.append(refuse(values, path, f"Map value must satisfy constraint: [{words}]"))
            if is_flat:
                return
            for key, value in values.items():
                if value is None:
                    errors.append(_failure(None, f"{path}.{key}.member", _NULL))
                elif below is not None:
                    below.check(value, f"{path}.{key}.member", errors)

        hold_values = _each(own, below)
        if keys is None:
            return _Checks(check_entries, lambda values: hold_values(values.values()))
        hold_key = keys.hold
        return _Checks(check_entries, lambda values: all(map(hold_key, values)) and hold_values(values.values()))

    def _constraints(self, shape: Shape, bounds: Bounds | None = None) -> _Constraints | None:
        given = self._dialect.bounds
        bounds = bounds or given.get((self._operation, shape.name)) or given.get(("", shape.name))
        if bounds is None:
            bounds = Bounds(shape.min, shape.max, shape.pattern)
        enum = self._dialect.enums.get(shape.name, tuple(shape.enum or ()))
        return _make_constraints(shape, bounds, enum)


class _Recursive:
    """Stands for a structure's check while that is being compiled: shapes may contain themselves."""

    __slots__ = ("checks",)

    def __init__(self) -> None:
        self.checks: _Checks | None = None

    def __call__(self, value: Any, path: str, errors: list[str]) -> None:
        if self.checks is not None:
            self.checks.check(value, path, errors)

    def hold(self, value: Any) -> bool:
        return self.checks is None or bool(self.checks.hold(value))


_NULL = "Member must not be null"


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _both(own: Test, below: _Checks | None) -> Test:
    """Return the test of a value by itself and of what is below it."""
    if below is None:
        return own
    hold_below = below.hold
    return lambda value: own(value) and hold_below(value)


def _each(own: _Constraints | None, below: _Checks | None) -> Test:
    """Return the test of what stands in a container. Nothing may be null."""
    if own is not None:
        hold = _both(own.hold, below)
    elif below is not None:
        hold = below.hold
    else:
        return lambda values: None not in values
    return lambda values: None not in values and all(map(hold, values))


def _all_or_nothing(checked: Check, make_error: Callable[[], ServiceError]) -> Check:
    def check_body(value: Any, path: str, errors: list[str]) -> None:
        found: list[str] = []
        checked(value, path, found)
        if found:
            raise make_error()

    return check_body


def _check_members(table: list[_Member]) -> _Checks:
    needed = tuple([member.name for member in table if member.required or member.missing is not None])
    looked_at = {member.name: member for member in table if member.first is not None or member.check is not None}

    def check_members(value: Any, path: str, errors: list[str]) -> None:
        wrong: dict[str, list[str] | ServiceError] = {}
        found_wrong: list[str] = []
        for name, found in value.items():
            member = looked_at.get(name)
            if member is None or found is None:
                continue
            if member.first is not None and (error := member.first(found)) is not None:
                wrong[name] = error
            elif member.check is not None:
                try:
                    member.check(found, f"{path}.{member.path}" if path else member.path, found_wrong)
                except ServiceError as error:
                    wrong[name] = error
                if found_wrong:
                    wrong.setdefault(name, found_wrong)
                    found_wrong = []
        for name in needed:
            if value.get(name) is None:
                break
        else:
            if not wrong:
                return
        report(value, f"{path}." if path else "", wrong, errors)

    def report(value: Any, prefix: str, wrong: Mapping[str, list[str] | ServiceError], errors: list[str]) -> None:
        # In AWS's order, whatever the order in which the members were given.
        for member in table:
            if value.get(member.name) is None:
                if member.missing is not None:
                    raise member.missing()
                if member.required:
                    errors.append(f"Value null at '{prefix}{member.path}' failed to satisfy constraint: {_NULL}")
            elif (problem := wrong.get(member.name)) is not None:
                if isinstance(problem, ServiceError):
                    raise problem
                errors.extend(problem)

    tests = {name: member.hold for name, member in looked_at.items()}

    def hold_members(value: Any) -> bool:
        for name, found in value.items():
            hold = tests.get(name)
            if hold is not None and found is not None and not hold(found):
                return False
        for name in needed:
            if value.get(name) is None:
                break
        else:
            return True
        return False

    return _Checks(check_members, hold_members)


def _make_constraints(shape: Shape, bounds: Bounds, enum: tuple[str, ...]) -> _Constraints | None:
    measure, noun = (float, "value") if shape.type in _NUMBERS else (len, "length")
    low, high = bounds.min, bounds.max
    tests: dict[str, tuple[Test, str]] = {}
    if high is not None and shape.type != "timestamp":
        tests["max"] = (
            lambda value: measure(value) <= high,
            f"Member must have {noun} less than or equal to {high:.0f}",
        )
    if low is not None and shape.type != "timestamp":
        tests["min"] = (
            lambda value: measure(value) >= low,
            f"Member must have {noun} greater than or equal to {low:.0f}",
        )
    if bounds.pattern is not None and (matches := find_matcher(bounds.pattern)) is not None:
        tests["pattern"] = (matches, f"Member must satisfy regular expression pattern: {bounds.pattern}")
    if enum:
        tests["enum"] = (frozenset(enum).__contains__, f"Member must satisfy enum value set: [{', '.join(enum)}]")
    if bounds.or_arn:
        tests = _names_or_arns(tests)
    if not tests:
        return None
    reported = [tests[kind] for kind in ("enum", "pattern", "max", "min") if kind in tests]
    words = ", ".join(words for _, words in tests.values())
    return _Constraints(tuple(reported), words, remembers="pattern" in tests or "enum" in tests)


_NUMBERS = ("integer", "long", "float", "double")


def _names_or_arns(tests: dict[str, tuple[Test, str]]) -> dict[str, tuple[Test, str]]:
    # DynamoDB looks at the characters of a name only if its length is right.
    fits = [tests[kind][0] for kind in ("min", "max") if kind in tests]

    def guard(kind: str, holds: Test) -> Test:
        if kind != "pattern":
            return lambda value: value.startswith("arn:") or holds(value)
        return lambda value: value.startswith("arn:") or not all(fit(value) for fit in fits) or holds(value)

    return {kind: (guard(kind, holds), words) for kind, (holds, words) in tests.items()}


def _failure(value: str | None, path: str, words: str) -> str:
    if words is _NULL:
        return f"Value null at '{path}' failed to satisfy constraint: {words}"
    shown = "" if value is None else f" '{value}'"
    return f"Value{shown} at '{path}' failed to satisfy constraint: {words}"


def _is_secret(shape: Shape) -> bool:
    """Return whether a container, or what stands in it, is not to be printed."""
    inner = (shape.member.shape,) if shape.type == "list" else (shape.key.shape, shape.value.shape)
    return shape.sensitive or any(one.sensitive for one in inner)


def _render(value: Any, shape: Shape) -> str:
    """Return a value as Java prints it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        inner = shape.member.shape if shape.type == "list" else shape
        return f"[{', '.join(_render(one, inner) for one in value)}]"
    if isinstance(value, Mapping):
        return _render_mapping(value, shape)
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)


def _render_mapping(value: Mapping[str, Any], shape: Shape) -> str:
    if shape.type == "structure":
        members = ((name, member.shape) for name, member in shape.members.items() if name in value)
        shown = (f"{_lower_first(name)}={_render(value[name], inner)}" for name, inner in members)
        return f"{shape.name}({', '.join(shown)})"
    inner = shape.value.shape if shape.type == "map" else shape
    return f"{{{', '.join(f'{key}={_render(one, inner)}' for key, one in value.items())}}}"
