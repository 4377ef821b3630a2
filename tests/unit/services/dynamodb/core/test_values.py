"""Values: what is accepted, in which form, at what size, and the words for what is not."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.values import canonical_item, canonical_value, equal, value_bytes

INVALID = "One or more parameter values were invalid: "


@pytest.mark.parametrize(
    ("given", "canonical", "size"),
    [
        ({"S": ""}, {"S": ""}, 0),
        ({"S": "é€"}, {"S": "é€"}, 5),
        ({"N": "1.50"}, {"N": "1.5"}, 3),
        ({"B": "aGk="}, {"B": "aGk="}, 2),
        ({"B": ""}, {"B": ""}, 0),
        ({"BOOL": False}, {"BOOL": False}, 1),
        ({"NULL": True}, {"NULL": True}, 1),
        ({"SS": ["b", "\u00e9", "a", ""]}, {"SS": ["", "a", "b", "\u00e9"]}, 4),
        ({"NS": ["20", "1.0", "-3"]}, {"NS": ["-3", "1", "20"]}, 7),
        ({"BS": ["aGk=", "YQ==", "/w=="]}, {"BS": ["YQ==", "aGk=", "/w=="]}, 4),
        ({"L": []}, {"L": []}, 3),
        ({"M": {}}, {"M": {}}, 3),
        ({"L": [{"N": "01"}, {"S": "ab"}]}, {"L": [{"N": "1"}, {"S": "ab"}]}, 3 + 3 + 3),
        ({"M": {"k": {"N": "01"}}}, {"M": {"k": {"N": "1"}}}, 3 + 1 + 2 + 1),
        ({"S": "a", "N": None}, {"S": "a"}, 1),
        ({"S": "a", "X": 1}, {"S": "a"}, 1),
    ],
)
def test_canonical_value(given: dict[str, Any], canonical: dict[str, Any], size: int) -> None:
    assert canonical_value(given) == (canonical, size)
    assert value_bytes(canonical) == size


def test_canonical_value_leaves_the_request_as_it_was() -> None:
    given = {"M": {"a": {"N": "01"}, "l": {"L": [{"N": "02"}]}}}
    assert canonical_value(given)[0] == {"M": {"a": {"N": "1"}, "l": {"L": [{"N": "2"}]}}}
    assert given == {"M": {"a": {"N": "01"}, "l": {"L": [{"N": "02"}]}}}


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (
            {},
            "ValidationException",
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            {"S": None},
            "ValidationException",
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            {"S": "a", "N": "1"},
            "ValidationException",
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes",
        ),
        ({"SS": []}, "ValidationException", INVALID + "An string set  may not be empty"),
        ({"NS": []}, "ValidationException", INVALID + "An number set  may not be empty"),
        ({"BS": []}, "ValidationException", INVALID + "Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, "ValidationException", INVALID + "Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "ValidationException", INVALID + "Input collection contains duplicates"),
        (
            {"BS": ["YQ==", "YQ=="]},
            "ValidationException",
            INVALID + "Input collection [YQ==, YQ==]of type BS contains duplicates.",
        ),
        ({"NULL": False}, "ValidationException", INVALID + "Null attribute value types must have the value of true"),
        ({"S": 5}, "SerializationException", "NUMBER_VALUE cannot be converted to String"),
        ({"N": 1.5}, "SerializationException", "DECIMAL_VALUE cannot be converted to String"),
        ({"N": True}, "SerializationException", "TRUE_VALUE cannot be converted to String"),
        ({"S": {}}, "SerializationException", "Start of structure or map found where not expected"),
        ({"B": "YWJjZGVmZ2g"}, "SerializationException", "only base64-encoded strings are convertible to bytes"),
        ({"B": "YQ==?"}, "SerializationException", "only base64-encoded strings are convertible to bytes"),
        ({"B": "YR=="}, "SerializationException", "only base64-encoded strings are convertible to bytes"),
        ("text", "SerializationException", "Unexpected value type in payload"),
        ({"BOOL": "true"}, "SerializationException", "Unexpected token received from parser"),
        ({"L": {}}, "SerializationException", "Start of structure or map found where not expected"),
    ],
)
def test_bad_value(given: Any, code: str, message: str) -> None:
    with pytest.raises(ServiceError) as error:
        canonical_value(given)
    assert (error.value.code, error.value.message) == (code, message)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "deep"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


def test_nesting_ends_at_32_levels() -> None:
    canonical_value(nested(31))
    with pytest.raises(ServiceError, match="nested levels beyond supported limit"):
        canonical_value(nested(32))


def test_canonical_item_counts_names_and_values() -> None:
    assert canonical_item({"pk": {"S": "abc"}, "n": {"N": "1"}})[1] == 2 + 3 + 1 + 2


@pytest.mark.parametrize("name", ["", "a" * 65536])
def test_attribute_names_have_1_to_65535_bytes(name: str) -> None:
    with pytest.raises(ServiceError, match="One or more parameter values were invalid"):
        canonical_item({name: {"S": "x"}})


def test_sets_are_equal_in_any_order_also_inside_documents() -> None:
    assert equal({"L": [{"SS": ["a", "b"]}]}, {"L": [{"SS": ["b", "a"]}]})
    assert not equal({"SS": ["a", "b"]}, {"SS": ["a", "c"]})
    assert not equal({"S": "1"}, {"N": "1"})
