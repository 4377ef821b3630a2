"""Properties of DynamoDB's pure cores: numbers, keys, item bytes, sizes, and conditions against a naive reference."""

import base64
import binascii
import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.conditions import bind_condition
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.projections import bind_projection
from cumulet.services.dynamodb.core.expressions.updates import bind_update
from cumulet.services.dynamodb.core.item_codec import decode_item, encode_item, stored_bytes, stored_json
from cumulet.services.dynamodb.core.key_codec import encode_key, segment_hashes
from cumulet.services.dynamodb.core.numbers import add_numbers, canonical_number, encode_number, subtract_numbers
from cumulet.services.dynamodb.core.values import canonical_item, equal, item_bytes
from cumulet.store.tuples import pack

pytestmark = pytest.mark.slow

few = settings(max_examples=150, deadline=None)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Draw a number that DynamoDB takes, in one of its notations."""
    digits = draw(st.from_regex(r"[0-9]{1,38}", fullmatch=True))
    exponent = draw(st.integers(-90, 80))
    sign = draw(st.sampled_from(["", "-", "+"]))
    point = draw(st.integers(0, len(digits)))
    text = f"{digits[:point] or '0'}.{digits[point:]}" if draw(st.booleans()) else digits
    return f"{sign}{text}e{exponent}" if draw(st.booleans()) else f"{sign}{text}"


texts = st.text(st.characters(codec="utf-8"), max_size=8)
binaries = st.binary(max_size=6).map(lambda raw: base64.b64encode(raw).decode())
scalars = st.one_of(
    texts.map(lambda text: {"S": text}),
    numbers().map(lambda number: {"N": number}),
    binaries.map(lambda raw: {"B": raw}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
    st.just({"NULL": True}),
    st.lists(texts, min_size=1, max_size=4, unique=True).map(lambda content: {"SS": content}),
    st.lists(numbers(), min_size=1, max_size=4, unique_by=Decimal).map(lambda content: {"NS": content}),
    st.lists(binaries, min_size=1, max_size=4, unique=True).map(lambda content: {"BS": content}),
)
values: st.SearchStrategy[dict[str, Any]] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda content: {"L": content}),
        st.dictionaries(texts, inner, max_size=4).map(lambda content: {"M": content}),
    ),
    max_leaves=8,
)
items = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), values, max_size=4)


@few
@given(numbers(), numbers())
def test_the_order_of_encoded_numbers_is_the_order_of_numbers(left: str, right: str) -> None:
    one, two = Decimal(left), Decimal(right)
    assert (pack((encode_number(left),)) < pack((encode_number(right),))) == (one < two)
    assert (encode_number(left) == encode_number(right)) == (one == two)


@few
@given(numbers())
def test_canonical_numbers_keep_their_value_and_stay_as_they_are(number: str) -> None:
    canonical = canonical_number(number)
    assert Decimal(canonical) == Decimal(number)
    assert canonical_number(canonical) == canonical
    assert "e" not in canonical.lower() and not canonical.startswith("+")
    if "." in canonical:
        assert not canonical.endswith(("0", "."))


@few
@given(st.integers(-(10**18), 10**18), st.integers(-(10**18), 10**18), st.integers(0, 18))
def test_arithmetic_is_that_of_integers(left: int, right: int, places: int) -> None:
    def shifted(number: int) -> str:
        return f"{number}e-{places}"

    assert Decimal(add_numbers(shifted(left), shifted(right))) == Decimal(shifted(left + right))
    assert Decimal(subtract_numbers(shifted(left), shifted(right))) == Decimal(shifted(left - right))


@few
@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_the_order_of_encoded_keys_is_the_order_of_utf8(one: tuple[str, str], two: tuple[str, str]) -> None:
    def packed(key: tuple[str, str]) -> bytes:
        return pack(tuple(encode_key("S", part) for part in key))

    def plain(key: tuple[str, str]) -> tuple[bytes, ...]:
        return tuple(part.encode() for part in key)

    assert (packed(one) < packed(two)) == (plain(one) < plain(two))


@few
@given(st.integers(1, 1_000_000))
def test_segments_join_without_gap_or_overlap(total: int) -> None:
    for segment in {0, total // 3, total - 1}:
        _, end = segment_hashes(segment, total)
        assert (end is None) == (segment == total - 1)
        if end is not None:
            assert segment_hashes(segment + 1, total)[0] == end


@few
@given(items)
def test_a_stored_item_is_its_canonical_form(item: dict[str, Any]) -> None:
    canonical, size = canonical_item(item)
    stored = encode_item(canonical, size)
    assert decode_item(stored) == canonical
    assert msgspec.json.decode(bytes(stored_json(stored))) == canonical
    assert (
        stored_bytes(stored)
        == size
        == item_bytes(canonical)
        == sum(len(name.encode()) + naive_size(value) for name, value in canonical.items())
    )
    assert canonical_item(canonical) == (canonical, size)


def naive_size(value: dict[str, Any]) -> int:
    """Return a value's size by the words of the developer guide, without a look at the code."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(base64.b64decode(content))
        case "N":
            whole, _, fraction = content.lstrip("-").partition(".")
            if content == "0":
                return 1
            # Pairs of digits from the decimal point on; the first and the last pair may be half empty.
            if fraction:
                first = len(whole) if whole != "0" else len(fraction.lstrip("0")) - len(fraction)
                last = -len(fraction)
            else:
                first, last = len(whole), len(whole) - len(whole.rstrip("0"))
            return math.ceil(first / 2) - math.floor(last / 2) + 1 + content.startswith("-")
        case "SS" | "NS" | "BS":
            return sum(naive_size({kind[0]: element}) for element in content)
        case "L":
            return 3 + sum(1 + naive_size(element) for element in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + naive_size(element) for name, element in content.items())
        case _:
            return 1


# --- conditions

VALUES: dict[str, Any] = {
    ":s": {"S": "ab"},
    ":n": {"N": "2"},
    ":m": {"N": "10"},
    ":b": {"B": "AQI="},
    ":ss": {"SS": ["a", "ab"]},
    ":t": {"S": "N"},
}
small_values = st.one_of(
    st.sampled_from(["", "a", "ab", "abc", "b"]).map(lambda text: {"S": text}),
    st.sampled_from(["0", "1", "2", "3", "10", "2.5"]).map(lambda number: {"N": number}),
    st.sampled_from(["AQ==", "AQI=", "AQID"]).map(lambda raw: {"B": raw}),
    st.sampled_from([{"SS": ["ab", "a"]}, {"SS": ["ab"]}, {"NS": ["2"]}, {"BOOL": True}, {"L": [{"S": "ab"}]}]),
)
small_items = st.dictionaries(st.sampled_from(["a", "b", "c"]), small_values, max_size=3)
paths = st.sampled_from(["a", "b", "c"])
ordered_refs = st.sampled_from([":s", ":n", ":m", ":b"])
comparisons = st.one_of(
    st.tuples(st.sampled_from(["=", "<>"]), paths, st.sampled_from([":s", ":n", ":ss"])),
    st.tuples(st.sampled_from(["<", "<=", ">", ">="]), paths, ordered_refs),
    st.tuples(st.just("BETWEEN"), paths, st.just((":n", ":m"))),
    st.tuples(st.just("IN"), paths, st.lists(ordered_refs, min_size=1, max_size=3).map(tuple)),
    st.tuples(st.sampled_from(["attribute_exists", "attribute_not_exists"]), paths),
    st.tuples(st.just("begins_with"), paths, st.sampled_from([":s", ":b"])),
    st.tuples(st.just("contains"), paths, ordered_refs),
    st.tuples(st.just("attribute_type"), paths, st.just(":t")),
    st.tuples(st.just("size"), st.sampled_from(["<", ">=", "="]), paths, st.sampled_from([":n", ":m"])),
)
trees: st.SearchStrategy[Any] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(st.just("NOT"), inner),
        st.tuples(st.just("AND"), inner, inner),
        st.tuples(st.just("OR"), inner, inner),
    ),
    max_leaves=8,
)
PRECEDENCE = {"OR": 1, "AND": 2, "NOT": 3}


def render(tree: Any, around: int = 0) -> str:
    """Return the tree as an expression, with parentheses only where precedence needs them."""
    match tree:
        case ("AND" | "OR" as operator, left, right):
            rank = PRECEDENCE[operator]
            text = f"{render(left, rank)} {operator} {render(right, rank + 1)}"
        case ("NOT", inner):
            rank, text = 3, f"NOT {render(inner, 3)}"
        case ("BETWEEN", path, (low, high)):
            rank, text = 4, f"{path} BETWEEN {low} AND {high}"
        case ("IN", path, options):
            rank, text = 4, f"{path} IN ({', '.join(options)})"
        case ("size", operator, path, ref):
            rank, text = 4, f"size({path}) {operator} {ref}"
        case ("=" | "<>" | "<" | "<=" | ">" | ">=" as operator, path, ref):
            rank, text = 4, f"{path}{operator}{ref}"
        case (function, *operands):
            rank, text = 4, f"{function}({', '.join(operands)})"
    return f"({text})" if rank < around else text


def reference(tree: Any, item: dict[str, Any]) -> bool:
    """Return whether the condition holds, the slow way."""
    match tree:
        case ("AND", left, right):
            return reference(left, item) and reference(right, item)
        case ("OR", left, right):
            return reference(left, item) or reference(right, item)
        case ("NOT", inner):
            return not reference(inner, item)
        case ("attribute_exists", path):
            return path in item
        case ("attribute_not_exists", path):
            return path not in item
        case ("<>", path, ref):
            return not reference(("=", path, ref), item)
        case ("size", operator, path, ref):
            content = next(iter(item[path].values())) if path in item else None
            if "B" in item.get(path, {}):
                content = binascii.a2b_base64(content)
            if content is None or isinstance(content, bool) or "N" in item[path]:
                return False
            return ordered(operator, Decimal(len(content)), Decimal(VALUES[ref]["N"]))
    operator, path, operand = tree
    if path not in item:
        return False
    ((kind, content),) = item[path].items()
    if operator == "BETWEEN":
        return reference((">=", path, operand[0]), item) and reference(("<=", path, operand[1]), item)
    if operator == "IN":
        return any(reference(("=", path, option), item) for option in operand)
    ((other_kind, other),) = VALUES[operand].items()
    if operator == "attribute_type":
        return kind == str(other)
    if operator == "contains":
        if kind == "L":
            return VALUES[operand] in content
        if kind in ("SS", "NS"):
            return kind[0] == other_kind and other in content
        return kind == other_kind and kind in ("S", "B") and plain(kind, other) in plain(kind, content)
    if kind != other_kind:
        return False
    if operator == "begins_with":
        return bool(plain(kind, content).startswith(plain(kind, other)))
    if operator == "=":
        return set(content) == set(other) if kind == "SS" else bool(plain(kind, content) == plain(kind, other))
    return ordered(operator, plain(kind, content), plain(kind, other))


def plain(kind: str, content: Any) -> Any:
    if kind == "N":
        return Decimal(content)
    return base64.b64decode(content) if kind == "B" else content


def ordered(operator: str, left: Any, right: Any) -> bool:
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "=": left == right}[
        operator
    ]


@settings(max_examples=400, deadline=None)
@given(trees, small_items)
def test_conditions_agree_with_the_reference(tree: Any, item: dict[str, Any]) -> None:
    test = bind_condition(render(tree), "ConditionExpression", Placeholders(None, VALUES))
    assert test(item) == reference(tree, item)


@few
@given(values)
def test_a_value_equals_itself_with_its_sets_reversed(value: dict[str, Any]) -> None:
    def reverse(value: dict[str, Any]) -> dict[str, Any]:
        ((kind, content),) = value.items()
        if kind in ("SS", "NS", "BS"):
            return {kind: content[::-1]}
        if kind == "L":
            return {kind: [reverse(element) for element in content]}
        if kind == "M":
            return {kind: {name: reverse(content[name]) for name in reversed(content)}}
        return value

    assert equal(value, reverse(value))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("()ab:#v[]0.,=<>+- ")), max_size=60))
def test_any_text_parses_or_is_refused_in_aws_words(text: str) -> None:
    for name in ("ConditionExpression", "UpdateExpression", "ProjectionExpression"):
        try:
            if name == "ConditionExpression":
                bind_condition(text, name, Placeholders({"#v": "v"}, VALUES))
            elif name == "UpdateExpression":
                bind_update("SET " + text, Placeholders({"#v": "v"}, VALUES))
            else:
                bind_projection(text, Placeholders({"#v": "v"}, VALUES))
        except ServiceError as error:
            assert error.code == "ValidationException"
            assert error.message.startswith(f"Invalid {name}: ")
