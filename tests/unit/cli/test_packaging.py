"""From a template's local folders to archives in S3."""

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cumulet.cli import builds
from cumulet.cli.client import Connection
from cumulet.cli.console import CliError
from cumulet.cli.packaging import package_code, package_files, package_template
from cumulet.settings import make_client_settings


class FakeS3:
    """A bucket that remembers what was put into it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "000000000000"}

    def create_bucket(self, **request: Any) -> None:
        assert request["Bucket"] == "cumulet-artifacts-000000000000-us-east-1"

    def head_object(self, **request: Any) -> None:
        if request["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def put_object(self, **request: Any) -> None:
        assert request["Key"] not in self.objects, "uploaded again though it was there"
        self.objects[request["Key"]] = request["Body"]


class FakeConnection(Connection):
    def __init__(self) -> None:
        self.settings = make_client_settings({})
        self.s3 = FakeS3()
        self.client = lambda service: self.s3  # type: ignore[assignment]


def template(code: str, kind: str = "AWS::Serverless::Function") -> dict[str, Any]:
    member = "CodeUri" if kind == "AWS::Serverless::Function" else "Code"
    return {"Resources": {"Hello": {"Type": kind, "Properties": {member: code, "Handler": "app.handler"}}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "src"
    (source / "inner" / "__pycache__").mkdir(parents=True)
    (source / "app.py").write_text("def handler(event, context): ...\n")
    (source / "inner" / "more.py").write_text("")
    (source / "inner" / "__pycache__" / "more.pyc").write_bytes(b"x")
    (source / "requirements.txt").write_text("# nothing\n")
    return tmp_path


def test_a_folder_becomes_an_archive_without_what_python_makes_again(folder: Path) -> None:
    connection = FakeConnection()
    packaged = package_code(connection, template("src/"), folder)
    uri = packaged["Resources"]["Hello"]["Properties"]["CodeUri"]
    bucket, key = uri.removeprefix("s3://").split("/")
    assert bucket == "cumulet-artifacts-000000000000-us-east-1"
    with zipfile.ZipFile(io.BytesIO(connection.s3.objects[key])) as archive:
        assert sorted(archive.namelist()) == ["app.py", "inner/more.py", "requirements.txt"]


def test_a_function_that_names_no_place_has_its_code_beside_the_template(folder: Path) -> None:
    (folder / "template.yaml").write_text("")
    given = template("src/")
    del given["Resources"]["Hello"]["Properties"]["CodeUri"]
    connection = FakeConnection()
    packaged = package_code(connection, given, folder)
    assert packaged["Resources"]["Hello"]["Properties"]["CodeUri"].startswith("s3://")
    with zipfile.ZipFile(io.BytesIO(*connection.s3.objects.values())) as archive:
        assert {"template.yaml", "src/app.py"} <= set(archive.namelist())
    given["Resources"]["Hello"]["Properties"]["PackageType"] = "Image"
    assert package_code(connection, given, folder) == given


@pytest.mark.parametrize(
    ("kind", "member", "as_uri"),
    [
        ("AWS::Serverless::Api", "DefinitionUri", True),
        ("AWS::Serverless::HttpApi", "DefinitionUri", True),
        ("AWS::ApiGateway::RestApi", "BodyS3Location", False),
        ("AWS::ApiGatewayV2::Api", "BodyS3Location", False),
    ],
)
def test_descriptions_of_apis_are_uploaded(tmp_path: Path, kind: str, member: str, as_uri: bool) -> None:
    (tmp_path / "api.yaml").write_text("openapi: 3.0.1")
    connection = FakeConnection()
    given = {"Resources": {"Api": {"Type": kind, "Properties": {member: "api.yaml", "Name": "n"}}}}
    packaged = package_files(connection, given, tmp_path)
    ((key, content),) = connection.s3.objects.items()
    bucket = "cumulet-artifacts-000000000000-us-east-1"
    place = f"s3://{bucket}/{key}" if as_uri else {"Bucket": bucket, "Key": key}
    assert packaged["Resources"]["Api"]["Properties"] == {member: place, "Name": "n"}
    assert (key[-5:], content) == (".yaml", b"openapi: 3.0.1")
    assert package_files(connection, packaged, tmp_path) == packaged


def test_what_is_included_is_uploaded_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "part.json").write_text("{}")

    def including(location: Any) -> dict[str, Any]:
        return {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": location}}}

    connection = FakeConnection()
    resolved_later = including({"Fn::Sub": "s3://${Bucket}/part.json"})
    given = {"Mappings": including("./part.json"), "Resources": {"A": {"Properties": {"Body": [resolved_later]}}}}
    packaged = package_files(connection, given, tmp_path)
    (key,) = connection.s3.objects
    assert packaged["Mappings"] == including(f"s3://cumulet-artifacts-000000000000-us-east-1/{key}")
    assert packaged["Resources"] == given["Resources"]
    with pytest.raises(CliError, match=r"gone\.json, which the template names, does not exist"):
        package_files(connection, including("gone.json"), tmp_path)


@pytest.mark.parametrize(
    ("kind", "member"), [("AWS::CloudFormation::Stack", "TemplateURL"), ("AWS::Serverless::Application", "Location")]
)
def test_templates_within_a_template_are_packaged_from_where_they_lie(folder: Path, kind: str, member: str) -> None:
    connection = FakeConnection()
    inner = folder / "inner"
    inner.mkdir()
    (inner / "template.yaml").write_text(json.dumps(template("../src")))
    outer = {"Resources": {"Inner": {"Type": kind, "Properties": {member: "inner/template.yaml"}}}}
    packaged = package_template(connection, outer, folder)
    url = packaged["Resources"]["Inner"]["Properties"][member]
    assert url.startswith(f"{connection.settings.endpoint}/cumulet-artifacts-000000000000-us-east-1/")
    uploaded = json.loads(connection.s3.objects[url.rpartition("/")[2]])
    assert uploaded["Resources"]["Hello"]["Properties"]["CodeUri"].startswith("s3://cumulet-artifacts-")
    assert package_template(connection, packaged, folder) == packaged

    itself = {"Resources": {"Me": {"Type": kind, "Properties": {member: "./template.yaml"}}}}
    (inner / "template.yaml").write_text(json.dumps(itself))
    with pytest.raises(CliError, match=r"inner/template.yaml has itself as a stack within it"):
        package_template(connection, outer, folder)
    (inner / "template.yaml").unlink()
    with pytest.raises(CliError, match=r"inner/template.yaml could not be read"):
        package_template(connection, outer, folder)


def test_stacks_within_stacks_of_the_cdk_bring_their_assets(folder: Path) -> None:
    connection = FakeConnection()
    elsewhere: Any = {"Fn::Join": ["", ["https://s3.", {"Ref": "AWS::URLSuffix"}, "/cdk-assets/inner.json"]]}

    def asset(kind: str, path: str, member: str, properties: Any) -> dict[str, Any]:
        return {
            "Type": kind,
            "Properties": properties,
            "Metadata": {"aws:asset:path": path, "aws:asset:property": member},
        }

    code = {"Handler": "app.handler", "Runtime": "python3.11", "Code": {"S3Bucket": "cdk-assets", "S3Key": "k"}}
    inner = {"Resources": {"F": asset("AWS::Lambda::Function", "src", "Code", code)}}
    (folder / "Inner.nested.template.json").write_text(json.dumps(inner))
    kind = "AWS::CloudFormation::Stack"
    stack = asset(kind, "Inner.nested.template.json", "TemplateURL", {"TemplateURL": elsewhere})
    packaged = package_template(connection, {"Resources": {"Inner": stack}}, folder)
    url = packaged["Resources"]["Inner"]["Properties"]["TemplateURL"]
    uploaded = json.loads(connection.s3.objects[url.rpartition("/")[2]])
    assert uploaded["Resources"]["F"]["Properties"]["Code"]["S3Bucket"].startswith("cumulet-artifacts-")


def test_what_a_nodejs_function_needs_goes_with_it(folder: Path) -> None:
    module = folder / "src" / "node_modules" / "left-pad" / "index.js"
    module.parent.mkdir(parents=True)
    module.write_text("")
    connection = FakeConnection()
    package_code(connection, template("src/"), folder)
    with zipfile.ZipFile(io.BytesIO(*connection.s3.objects.values())) as archive:
        assert "node_modules/left-pad/index.js" in archive.namelist()


@pytest.mark.parametrize(
    ("kind", "member"), [("AWS::Serverless::LayerVersion", "ContentUri"), ("AWS::Lambda::LayerVersion", "Content")]
)
def test_layers_are_packaged_and_get_nothing_installed(folder: Path, kind: str, member: str) -> None:
    (folder / "src" / "requirements.txt").write_text("no-such-distribution-anywhere==0\n")
    connection = FakeConnection()
    given = {"Resources": {"Shared": {"Type": kind, "Properties": {member: "src"}}}}
    packaged = package_code(connection, given, folder)["Resources"]["Shared"]["Properties"][member]
    (key,) = connection.s3.objects
    assert packaged.endswith(key) if member == "ContentUri" else packaged["S3Key"] == key


@pytest.mark.slow
def test_requirements_are_those_of_the_python_that_will_run_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are installed once for all functions of a folder."""
    wheel = folder / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("tiny.py", "")
        made.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
        made.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr("tiny-1.dist-info/RECORD", "")
    (folder / "src" / "requirements.txt").write_text(f"{wheel}\nnot-for-this-one; python_version < '3'\n")
    asked: list[str] = []
    own = builds.find_interpreter("python3.12")
    monkeypatch.setattr(builds, "find_interpreter", lambda wanted: asked.append(wanted) or own)
    connection = FakeConnection()
    given = template("src/")
    given["Globals"] = {"Function": {"Runtime": "python3.12"}}
    given["Resources"]["Another"] = given["Resources"]["Hello"]
    monkeypatch.chdir(folder)
    packaged = package_code(connection, given, Path())
    assert "Runtime" not in packaged["Resources"]["Hello"]["Properties"]
    with zipfile.ZipFile(io.BytesIO(*connection.s3.objects.values())) as archive:
        assert "tiny.py" in archive.namelist()
    assert asked == ["python3.12"]


@pytest.mark.slow
def test_what_is_no_python_gets_nothing_installed(folder: Path) -> None:
    (folder / "src" / "requirements.txt").write_text("no-such-distribution-anywhere==0\n")
    given = template("src/")
    given["Globals"] = {"Function": {"Runtime": "nodejs20.x"}}
    package_code(FakeConnection(), given, folder)
    given["Globals"] = {"Function": {"Runtime": {"Ref": "Runtime"}}}
    (folder / "src" / "requirements.txt").write_text("/no/such/wheel-1-py3-none-any.whl\n")
    with pytest.raises(CliError, match="the requirements of Hello could not be made"):
        package_code(FakeConnection(), given, folder)


def test_unchanged_code_has_an_unchanged_key_and_is_not_uploaded_again(folder: Path) -> None:
    connection = FakeConnection()
    first = package_code(connection, template("src/"), folder)
    (folder / "src" / "app.py").touch()
    assert package_code(connection, template("src/"), folder) == first
    (folder / "src" / "app.py").write_text("changed = True\n")
    assert package_code(connection, template("src/"), folder) != first


def test_a_plain_function_gets_bucket_and_key(folder: Path) -> None:
    packaged = package_code(FakeConnection(), template("src/app.py", "AWS::Lambda::Function"), folder)
    assert set(packaged["Resources"]["Hello"]["Properties"]["Code"]) == {"S3Bucket", "S3Key"}


def test_globals_name_the_folder_of_functions_that_do_not(folder: Path) -> None:
    given = {
        "Globals": {"Function": {"CodeUri": "src"}},
        "Resources": {"Hello": {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "app.handler"}}},
    }
    packaged = package_code(FakeConnection(), given, folder)
    assert packaged["Resources"]["Hello"]["Properties"]["CodeUri"].startswith("s3://")


@pytest.mark.parametrize(
    "resource",
    [
        {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "s3://bucket/key"}},
        {"Type": "AWS::Serverless::Function", "Properties": {"InlineCode": "pass"}},
        {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"ZipFile": "pass"}}},
        {"Type": "AWS::DynamoDB::Table", "Properties": {}},
        "not a resource at all",
    ],
)
def test_what_is_not_local_code_stays_as_it_is(resource: Any, folder: Path) -> None:
    given = {"Resources": {"Hello": resource}}
    assert package_code(FakeConnection(), given, folder) == given


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(CliError, match=r"the code of Hello should lie in .*nowhere"):
        package_code(FakeConnection(), template("nowhere/"), folder)


def test_what_sam_has_built_is_not_built_again(folder: Path) -> None:
    built = folder / ".aws-sam" / "build"
    shutil.copytree(folder / "src", built / "Hello")
    (built / "Hello" / "requirements.txt").write_text("no-such-distribution-anywhere==0\n")
    given = template("Hello")
    given["Resources"]["Hello"]["Properties"]["Runtime"] = "python3.12"
    given["Resources"]["Hello"]["Metadata"] = {"BuildMethod": "rust-cargolambda"}
    connection = FakeConnection()
    package_code(connection, given, built)
    with zipfile.ZipFile(io.BytesIO(*connection.s3.objects.values())) as archive:
        assert "requirements.txt" in archive.namelist()


def test_a_servers_data_goes_into_no_archive(folder: Path) -> None:
    (folder / "src" / ".cumulet").mkdir()
    (folder / "src" / ".cumulet" / "store.db").write_bytes(b"secrets")
    connection = FakeConnection()
    package_code(connection, template("src/"), folder)
    with zipfile.ZipFile(io.BytesIO(*connection.s3.objects.values())) as archive:
        assert not [name for name in archive.namelist() if ".cumulet" in name]


@pytest.mark.parametrize(
    "malformed",
    [
        {"Resources": None},
        {"Resources": [1]},
        {"Resources": {"Hello": {"Type": {"Ref": "Kind"}, "Properties": {"CodeUri": "src"}}}},
        {"Resources": {"Hello": {"Type": "AWS::Serverless::Function", "Properties": [1]}}},
    ],
)
def test_what_is_malformed_is_the_stacks_to_refuse(folder: Path, malformed: dict[str, Any]) -> None:
    connection = FakeConnection()
    assert package_code(connection, package_files(connection, malformed, folder), folder) == malformed


@pytest.mark.parametrize("of_all", [None, [], {"Function": None}])
def test_globals_that_say_nothing(folder: Path, of_all: Any) -> None:
    packaged = package_code(FakeConnection(), {**template("src"), "Globals": of_all}, folder)
    assert packaged["Globals"] == of_all
    assert packaged["Resources"]["Hello"]["Properties"]["CodeUri"].startswith("s3://")


def test_passwords_of_a_registry_stay_here(folder: Path) -> None:
    (folder / "src" / ".npmrc").write_text("//registry.example/:_authToken=secret\n")
    connection = FakeConnection()
    package_code(connection, template("src"), folder)
    with zipfile.ZipFile(io.BytesIO(*connection.s3.objects.values())) as archive:
        assert sorted(archive.namelist()) == ["app.py", "inner/more.py", "requirements.txt"]


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs a file that root cannot read either")
def test_code_that_cannot_be_read(folder: Path) -> None:
    (folder / "src" / "memory").symlink_to("/proc/self/mem")
    with pytest.raises(CliError, match="the code of Hello could not be read or written: "):
        package_code(FakeConnection(), template("src"), folder)
