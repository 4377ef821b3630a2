"""What a policy document must look like, and IAM's words for one that does not."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.policy.documents import DocumentKind, parse_document

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUSTING: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


def document(*statements: object, version: str | None = "2012-10-17", **more: object) -> str:
    element: dict[str, object] = {"Statement": list(statements), **more}
    if version:
        element["Version"] = version
    return json.dumps(element)


def without(name: str, statement: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in statement.items() if key != name}


SYNTAX = "Syntax errors in policy."

BAD: list[tuple[str, DocumentKind, str, str]] = [
    ("not JSON", "identity", "{", SYNTAX),
    ("trust policy that is not JSON", "trust", "{", "This policy contains invalid Json"),
    ("not an object", "identity", "[]", SYNTAX),
    ("unknown element", "identity", document(GOOD, Extra=1), SYNTAX),
    ("unknown statement element", "identity", document({**GOOD, "Actions": "*"}), SYNTAX),
    ("an element twice", "identity", '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}', SYNTAX),
    ("unknown version", "identity", document(GOOD, version="2013-01-01"), SYNTAX),
    ("no statements", "identity", document(), SYNTAX),
    ("unknown effect", "identity", document({**GOOD, "Effect": "allow"}), SYNTAX),
    ("no effect", "identity", document(without("Effect", GOOD)), SYNTAX),
    ("no effect in a trust policy", "trust", document(without("Effect", TRUSTING)), "Missing required field Effect"),
    ("no actions", "identity", document(without("Action", GOOD)), "Policy statement must contain actions."),
    ("empty actions", "identity", document({**GOOD, "Action": []}), "Policy statement must contain actions."),
    ("action and its opposite", "identity", document({**GOOD, "NotAction": "s3:*"}), SYNTAX),
    ("action that is no text", "identity", document({**GOOD, "Action": [1]}), SYNTAX),
    (
        "action without a vendor",
        "identity",
        document({**GOOD, "Action": "GetObject"}),
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
    ),
    (
        "action with two colons",
        "identity",
        document({**GOOD, "Action": "s3:Get:Object"}),
        "Actions/Condition can contain only one colon.",
    ),
    ("vendor with a wildcard", "identity", document({**GOOD, "Action": "s*:Get"}), "Vendor s* is not valid"),
    ("no resources", "identity", document(without("Resource", GOOD)), "Policy statement must contain resources."),
    (
        "resource that is no ARN",
        "identity",
        document({**GOOD, "Resource": "my-bucket"}),
        'Resource my-bucket must be in ARN format or "*".',
    ),
    (
        "unknown partition",
        "identity",
        document({**GOOD, "Resource": "arn:gcp:s3:::x"}),
        'Partition "gcp" is not valid for resource "arn:gcp:s3:::x".',
    ),
    (
        "wildcard service",
        "identity",
        document({**GOOD, "Resource": "arn:aws:s*:::x"}),
        "Resource vendor must be fully qualified and cannot contain regexes.",
    ),
    (
        "principal in an identity policy",
        "identity",
        document({**GOOD, "Principal": "*"}),
        "Policy document should not specify a principal.",
    ),
    (
        "the same Sid twice",
        "identity",
        document({**GOOD, "Sid": "A"}, {**GOOD, "Sid": "A"}),
        "Statement IDs (SID) in a single policy must be unique.",
    ),
    (
        "Sid with a dash",
        "identity",
        document({**GOOD, "Sid": "a-b"}),
        "Statement IDs (SID) must be alpha-numeric. "
        "Check that your input satisfies the regular expression [0-9A-Za-z]*",
    ),
    ("condition that is no object", "identity", document({**GOOD, "Condition": "x"}), SYNTAX),
    ("unknown operator", "identity", document({**GOOD, "Condition": {"StringIs": {"a:b": "c"}}}), SYNTAX),
    ("unknown quantifier", "identity", document({**GOOD, "Condition": {"ForSome:Bool": {"a:b": "c"}}}), SYNTAX),
    ("Null with IfExists", "identity", document({**GOOD, "Condition": {"NullIfExists": {"a:b": "true"}}}), SYNTAX),
    ("date that is none", "identity", document({**GOOD, "Condition": {"DateLessThan": {"a:b": "soon"}}}), SYNTAX),
    (
        "network that is none",
        "identity",
        document({**GOOD, "Condition": {"IpAddress": {"a:b": "10.0.0.0/40"}}}),
        SYNTAX,
    ),
    ("condition value that is an object", "identity", document({**GOOD, "Condition": {"Bool": {"a:b": {}}}}), SYNTAX),
    ("resource in a trust policy", "trust", document({**TRUSTING, "Resource": "*"}), "Has prohibited field Resource"),
    ("no principal", "trust", document(without("Principal", TRUSTING)), "Missing required field Principal"),
    ("no action in a trust policy", "trust", document(without("Action", TRUSTING)), "Missing required field Action"),
    (
        "another service's action in a trust policy",
        "trust",
        document({**TRUSTING, "Action": "s3:GetObject"}),
        "AssumeRole policy may only specify STS AssumeRole actions.",
    ),
    (
        "principal that is no ARN",
        "trust",
        document({**TRUSTING, "Principal": {"AWS": "someone"}}),
        'Invalid principal in policy: "AWS":"someone"',
    ),
    (
        "service that is no host name",
        "trust",
        document({**TRUSTING, "Principal": {"Service": "lambda"}}),
        'Invalid principal in policy: "SERVICE":"lambda"',
    ),
    ("no principal in a resource policy", "resource", document(GOOD), "Missing required field Principal"),
]


@pytest.mark.parametrize(("kind", "text", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_refused(kind: DocumentKind, text: str, words: str) -> None:
    with pytest.raises(ServiceError) as refused:
        parse_document(text, kind)

    assert (refused.value.code, refused.value.message) == ("MalformedPolicyDocument", words)


ACCEPTED: list[tuple[str, DocumentKind, str]] = [
    ("one statement without a list", "identity", json.dumps({"Version": "2012-10-17", "Statement": GOOD})),
    ("everything", "identity", document({**GOOD, "Action": "*"})),
    ("an incomplete ARN", "identity", document({**GOOD, "Resource": "arn:aws:s3"})),
    ("numbers and booleans as values", "identity", document({**GOOD, "Condition": {"Bool": {"aws:x": True}}})),
    ("an Id", "identity", document(GOOD, Id="some id")),
    ("an identity policy of the old version", "identity", document(GOOD, version="2008-10-17")),
    ("an identity policy without a version", "identity", document(GOOD, version=None)),
    ("a trust policy of the old version", "trust", document(TRUSTING, version="2008-10-17")),
    ("tagging in a trust policy", "trust", document({**TRUSTING, "Action": ["sts:AssumeRole", "sts:TagSession"]})),
    ("a resource policy without a resource", "resource", document({**without("Resource", GOOD), "Principal": "*"})),
]


@pytest.mark.parametrize(("kind", "text"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_what_is_accepted(kind: DocumentKind, text: str) -> None:
    assert len(parse_document(text, kind).statements) == 1


def test_a_document_is_compiled_once() -> None:
    text = document(GOOD)

    assert parse_document(text) is parse_document(text)
