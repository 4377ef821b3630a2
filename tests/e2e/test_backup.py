"""What a server has built is there and works after a journey through a backup, on either engine."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postgres import Cluster
from running import Server, start_server

pytestmark = pytest.mark.slow

FAST = {"Delay": 0, "MaxAttempts": 2000}
OBJECT = os.urandom(1_500_000)

TEMPLATE = """
Parameters:
  Days: {Type: Number, Default: 7}
Resources:
  Notes:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: notes
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: /notes, RetentionInDays: !Ref Days}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: reader
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]
      Policies:
        - PolicyName: read
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: "dynamodb:GetItem", Resource: !GetAtt Notes.Arn}]
  Reader:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: reader
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Code:
        ZipFile: |
          import boto3
          def handler(event, context):
              return boto3.client("dynamodb").get_item(TableName="notes", Key={"id": {"S": event}})["Item"]["text"]["S"]
Outputs:
  Table: {Value: !Ref Notes}
"""


def build(server: Server) -> None:
    cfn, dynamodb, s3 = server.client("cloudformation"), server.client("dynamodb"), server.client("s3")
    cfn.create_stack(StackName="notes", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_NAMED_IAM"])
    cfn.get_waiter("stack_create_complete").wait(StackName="notes", WaiterConfig=FAST)
    for number in range(30):
        dynamodb.put_item(TableName="notes", Item={"id": {"S": f"n{number}"}, "text": {"S": f"note {number}"}})
    s3.create_bucket(Bucket="files")
    s3.put_object(Bucket="files", Key="large", Body=OBJECT)


def look(server: Server) -> Any:
    """Return what clients see of all that was built; a function has to run for it."""
    items = server.client("dynamodb").scan(TableName="notes")["Items"]
    body = server.client("s3").get_object(Bucket="files", Key="large")["Body"].read()
    answer = server.client("lambda").invoke(FunctionName="reader", Payload=json.dumps("n7"))
    (stack,) = server.client("cloudformation").describe_stacks(StackName="notes")["Stacks"]
    configuration = server.client("lambda").get_function_configuration(FunctionName="reader")
    return {
        "items": items,
        "object": hashlib.sha256(body).hexdigest(),
        "answer": json.load(answer["Payload"]),
        "stack": (stack["StackId"], stack["StackStatus"], stack["Outputs"]),
        "role": server.client("iam").get_role(RoleName="reader")["Role"]["Arn"],
        "code": configuration["CodeSha256"],
    }


def go_on(server: Server) -> None:
    """Change what was built, and take it away."""
    cfn = server.client("cloudformation")
    cfn.update_stack(
        StackName="notes",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Days", "ParameterValue": "30"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cfn.get_waiter("stack_update_complete").wait(StackName="notes", WaiterConfig=FAST)
    (group,) = server.client("logs").describe_log_groups(logGroupNamePrefix="/notes")["logGroups"]
    assert group["retentionInDays"] == 30
    cfn.delete_stack(StackName="notes")
    cfn.get_waiter("stack_delete_complete").wait(StackName="notes", WaiterConfig=FAST)
    assert server.client("dynamodb").list_tables()["TableNames"] == []


def run(*arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "cumulet", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def test_everything_works_after_a_restore_on_either_engine(postgres: Cluster, tmp_path: Path) -> None:
    url, file = postgres.url(postgres.new_database()), str(tmp_path / "notes.backup")
    server = start_server(tmp_path / "data")
    try:
        build(server)
        before = look(server)
        assert before["answer"] == "note 7"
        said = run("backup", file, "--data-dir", str(server.data_dir))
        assert said.stdout.startswith("Backed up ")
        assert said.stderr == "", "bars are for people who watch"
        # The server goes on, and its folder is still its own.
        refused = run("restore", file, "--data-dir", str(server.data_dir), status=1)
        assert "is in use by another Cumulet server" in refused.stderr
        assert look(server) == before
    finally:
        assert server.stop() == 0

    run("restore", file, "--data-dir", str(tmp_path / "restored"))
    restored = start_server(tmp_path / "restored")
    try:
        assert look(restored) == before
    finally:
        assert restored.stop() == 0

    run("migrate", "--from", str(tmp_path / "restored"), "--to", url)
    node = start_server(tmp_path / "node", "--store", url)
    try:
        assert look(node) == before
        in_use = run("migrate", "--from", url, "--to", str(tmp_path / "elsewhere"), status=1)
        assert f"is in use by a Cumulet server (process {node.process.pid} at " in in_use.stderr
        go_on(node)
    finally:
        assert node.stop() == 0
