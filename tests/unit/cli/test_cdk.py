"""Templates as `cdk synth` writes them."""

from pathlib import Path
from typing import Any

import pytest

from cumulet.cli.cdk import find_template_of_cdk, localise
from cumulet.cli.console import CliError

FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Code": {"S3Bucket": {"Fn::Sub": "cdk-assets-${AWS::AccountId}"}, "S3Key": "ab.zip"},
        "Handler": "a.b",
    },
    "Metadata": {"aws:cdk:path": "App/F", "aws:asset:path": "asset.ab", "aws:asset:property": "Code"},
}
BOOTSTRAP = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"}
RULE = {"Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains": [["1"], {"Ref": "BootstrapVersion"}]}]}}]}


def test_assets_are_local_and_nothing_asks_for_a_bootstrap() -> None:
    template: dict[str, Any] = {
        "Resources": {"F": FUNCTION, "CDKMetadata": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "v2"}}},
        "Parameters": {"BootstrapVersion": BOOTSTRAP},
        "Rules": {"CheckBootstrapVersion": RULE},
        "Outputs": {},
    }
    metadata = {**FUNCTION["Metadata"], "SkipBuild": True}  # type: ignore[dict-item]
    assert localise(template) == {
        "Resources": {
            "F": {**FUNCTION, "Properties": {"Code": "asset.ab", "Handler": "a.b"}, "Metadata": metadata},
        },
        "Outputs": {},
    }


def test_a_persons_own_parameters_and_rules_remain() -> None:
    own = {"Type": "String", "Default": "x"}
    template = {
        "Resources": {},
        "Parameters": {"BootstrapVersion": BOOTSTRAP, "Own": own},
        "Rules": {"CheckBootstrapVersion": RULE, "OwnRule": RULE},
    }
    assert localise(template) == {"Resources": {}, "Parameters": {"Own": own}, "Rules": {"OwnRule": RULE}}


@pytest.mark.parametrize(
    "template",
    [
        {"Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "src"}}}},
        {"Resources": {"F": "no resource", "G": {"Type": "T", "Metadata": {"aws:asset:path": 1}}}},
        {"Resources": {}, "Parameters": {"BootstrapVersion": {"Type": "String", "Default": "mine"}}},
        {"Resources": ["none"], "Parameters": None},
    ],
)
def test_what_is_not_the_cdks_stays_as_it_is(template: dict[str, Any]) -> None:
    assert localise(template) == template


def test_an_image_is_built_by_its_owner() -> None:
    metadata = {"aws:asset:path": "asset.cd", "aws:asset:property": "Code.ImageUri"}
    with pytest.raises(CliError, match=r"F is a container image that `cdk deploy` would build of asset\.cd"):
        localise({"Resources": {"F": {**FUNCTION, "Metadata": metadata}}})


def test_the_only_stack_of_a_folder_is_found(tmp_path: Path) -> None:
    assert find_template_of_cdk(tmp_path) is None
    (tmp_path / "One.template.json").write_text("{}")
    (tmp_path / "OneInner1A2B.nested.template.json").write_text("{}")
    assert find_template_of_cdk(tmp_path) == tmp_path / "One.template.json"
    (tmp_path / "Two.template.json").write_text("{}")
    with pytest.raises(CliError, match=r"several templates in .*, name one: One\.template\.json, Two\.template\.json"):
        find_template_of_cdk(tmp_path)
