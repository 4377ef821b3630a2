"""The SAM transform on the example application, and on a document that it refuses."""

from pathlib import Path
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.core.order import find_dependencies, plan_order
from cumulet.services.cloudformation.core.sam import translate
from cumulet.services.cloudformation.core.template import read_template
from cumulet.services.cloudformation.core.text import parse_text
from cumulet.services.cloudformation.resolution import KNOWN_TYPES, check_attributes
from cumulet.services.cloudformation.resources import TYPES

NOTES = Path(__file__).parents[5] / "examples" / "notes" / "template.yaml"

pytestmark = pytest.mark.slow  # the translator takes a second to import


def translated(raw: dict[str, Any]) -> dict[str, Any]:
    return translate(raw, {}, "us-east-1")


@pytest.fixture(scope="module")
def notes() -> dict[str, Any]:
    raw = parse_text(NOTES.read_text())
    raw["Resources"]["NotesFunction"]["Properties"]["CodeUri"] = "s3://artifacts/notes.zip"
    return translated(raw)


def test_the_notes_become_what_is_built(notes: dict[str, Any]) -> None:
    template = read_template(notes, KNOWN_TYPES)
    check_attributes(template)
    for name, resource in template.resources.items():
        assert resource.properties.keys() <= TYPES[resource.type].properties, name
        assert TYPES[resource.type].required <= resource.properties.keys(), name
    kinds = sorted(resource.type for resource in template.resources.values())
    assert kinds == [
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::Stage",
        "AWS::DynamoDB::Table",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        *["AWS::Lambda::Permission"] * 5,
        "AWS::Logs::LogGroup",
    ]
    order = plan_order(find_dependencies(template, {}))
    assert order.index("NotesTable") < order.index("NotesFunctionRole") < order.index("NotesFunction")
    assert order.index("NotesFunction") < order.index("NotesApi") < order.index("NotesApiProdStage")


def test_the_role_of_the_notes_allows_what_is_used_and_no_more(notes: dict[str, Any]) -> None:
    (policy,) = notes["Resources"]["NotesFunctionRole"]["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    source = (NOTES.parent / "src" / "notes.py").read_text()
    used = {
        name for name in ("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan") if f'"{name}"' in source
    }
    assert {action.removeprefix("dynamodb:") for action in statement["Action"]} == used
    assert statement["Resource"] == {"Fn::GetAtt": ["NotesTable", "Arn"]}


def test_what_the_translator_refuses_is_told_in_its_words() -> None:
    raw = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"F": {"Type": "AWS::Serverless::Function"}}}
    with pytest.raises(ServiceError) as refusal:
        translated(raw)
    assert refusal.value.code == "ValidationError"
    assert refusal.value.message.startswith(
        "Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application Specification document."
        " Number of errors found: 1. Resource with id [F] is invalid."
    )


@pytest.mark.parametrize("malformed", [{"Globals": {"Function": "x"}}, {"Globals": "x"}, {"Condition": {}}])
def test_what_the_translator_stumbles_over_is_told_in_awss_words(malformed: dict[str, Any]) -> None:
    events = {"A": {"Type": "Api", "Properties": {"Path": "/a", "Method": "get"}}}
    properties = {"Handler": "a.b", "Runtime": "python3.12", "InlineCode": "x", "Events": events, "Tags": {"a": "b"}}
    function = {"Type": "AWS::Serverless::Function", "Properties": properties}
    if "Condition" in malformed:
        function |= malformed
    with pytest.raises(ServiceError) as refused:
        translated({"Resources": {"F": function}, **malformed})
    assert refused.value.message == "Transform AWS::Serverless-2016-10-31 failed with: Internal transform failure."


def test_the_users_own_aws_profile_plays_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    raw = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"T": {"Type": "AWS::Serverless::SimpleTable"}}}
    assert translated(raw)["Resources"]["T"]["Type"] == "AWS::DynamoDB::Table"
