"""A house with every service, an account that has something of everything, and a request for each operation."""

import io
import json
import zipfile
from typing import Any

from cumulet.app import SERVICES, check_params
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.iam import IamAuthorizer
from cumulet.services.kit import Operation
from cumulet.services.lambda_ import build as build_lambda
from cumulet.wire.model import Shape, load_service
from harness import House

THEIRS = Scope("111111111111", "us-east-1")
SECRET = "kept-from-strangers"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


class Nothing:
    """An execution plane that runs nothing."""

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def prepare(self, *_: Any) -> None:
        return None

    async def interpreter_of(self, *_: Any) -> str:
        return "3.12.1"

    async def find_image(self, *_: Any) -> Any:
        raise ServiceError("InvalidParameterValueException", "there are no images")

    async def invoke(self, *_: Any) -> Any:
        raise ServiceError("ServiceException", "nothing runs here")


class AllServices(House):
    """Every service with its real rules: what the model demands, and who may."""

    def __init__(self) -> None:
        super().__init__(*SERVICES, authorizer=IamAuthorizer())
        self.dispatcher._builders["lambda"] = lambda: build_lambda(self.ground, Nothing())  # type: ignore[arg-type]
        self.dispatcher._check_params = check_params


Names = dict[Any, Any]
"""Values by member; by (service, operation or "*", member) where a member's name has several meanings."""


async def furnish(house: AllServices) -> Names:
    """Make something of everything, and return what each member of an input would be called by."""

    async def made(service: str, operation: str, **params: Any) -> Any:
        return await house.call(service, operation, params, scope=THEIRS)

    tags = [{"Key": "k", "Value": SECRET}]
    role = (await made("iam", "CreateRole", RoleName="theirs", AssumeRolePolicyDocument=TRUST, Description=SECRET))[
        "Role"
    ]
    policy = (await made("iam", "CreatePolicy", PolicyName="theirs", PolicyDocument=POLICY, Tags=tags))["Policy"]
    await made("iam", "CreateUser", UserName="theirs", Tags=tags)
    key = (await made("iam", "CreateAccessKey", UserName="theirs"))["AccessKey"]
    table = await made(
        "dynamodb",
        "CreateTable",
        TableName="theirs",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        Tags=tags,
    )
    house.clock.advance(60)
    await made("dynamodb", "PutItem", TableName="theirs", Item={"pk": {"S": "a"}, "text": {"S": SECRET}})
    backup = await made("dynamodb", "CreateBackup", TableName="theirs", BackupName=SECRET)
    stream = table["TableDescription"]["LatestStreamArn"]
    shard = (await made("dynamodbstreams", "DescribeStream", StreamArn=stream))["StreamDescription"]["Shards"][0][
        "ShardId"
    ]
    iterator = await made(
        "dynamodbstreams", "GetShardIterator", StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )
    await made("logs", "CreateLogGroup", logGroupName="theirs", tags={"k": SECRET})
    await made("logs", "CreateLogStream", logGroupName="theirs", logStreamName="theirs")
    event = {"timestamp": house.clock.now_ms(), "message": SECRET}
    await made("logs", "PutLogEvents", logGroupName="theirs", logStreamName="theirs", logEvents=[event])
    await made("s3", "CreateBucket", Bucket="theirs")
    await made("s3", "PutObject", Bucket="theirs", Key="theirs", Body=SECRET.encode())
    upload = (await made("s3", "CreateMultipartUpload", Bucket="theirs", Key="theirs"))["UploadId"]
    function = await made(
        "lambda",
        "CreateFunction",
        FunctionName="theirs",
        Role=role["Arn"],
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": packed()},
        Description=SECRET,
        Publish=True,
    )
    await made("lambda", "CreateAlias", FunctionName="theirs", Name="live", FunctionVersion="1", Description=SECRET)
    await made("lambda", "PutFunctionEventInvokeConfig", FunctionName="theirs", MaximumRetryAttempts=1)
    await made("lambda", "CreateFunctionUrlConfig", FunctionName="theirs", AuthType="NONE")
    layer = await made(
        "lambda", "PublishLayerVersion", LayerName="theirs", Content={"ZipFile": packed()}, Description=SECRET
    )
    publishers = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:111111111111:/signing-profiles/one/1"]}
    signing = await made(
        "lambda",
        "CreateCodeSigningConfig",
        Description=SECRET,
        AllowedPublishers=publishers,
    )
    rest = await made("apigateway", "CreateRestApi", name="theirs", description=SECRET)
    root = (await made("apigateway", "GetResources", restApiId=rest["id"]))["items"][0]["id"]
    await made(
        "apigateway", "PutMethod", restApiId=rest["id"], resourceId=root, httpMethod="GET", authorizationType="NONE"
    )
    await made("apigateway", "PutIntegration", restApiId=rest["id"], resourceId=root, httpMethod="GET", type="MOCK")
    deployment = await made(
        "apigateway", "CreateDeployment", restApiId=rest["id"], stageName="prod", description=SECRET
    )
    api_key = await made("apigateway", "CreateApiKey", name="theirs", description=SECRET, enabled=True)
    plan = await made("apigateway", "CreateUsagePlan", name="theirs", description=SECRET)
    http = await made("apigatewayv2", "CreateApi", Name="theirs", ProtocolType="HTTP", Description=SECRET)
    api = {"ApiId": http["ApiId"]}
    proxy = {"IntegrationType": "HTTP_PROXY", "IntegrationMethod": "GET", "PayloadFormatVersion": "1.0"}
    integration = await made(
        "apigatewayv2", "CreateIntegration", IntegrationUri="https://example.com", Description=SECRET, **api, **proxy
    )
    route = await made("apigatewayv2", "CreateRoute", RouteKey="GET /a", OperationName=SECRET, **api)
    authorizer = await made(
        "apigatewayv2",
        "CreateAuthorizer",
        Name=SECRET,
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": "https://example.com", "Audience": ["a"]},
        **api,
    )
    await made("apigatewayv2", "CreateStage", StageName="$default", Description=SECRET, **api)
    stack = await made(
        "cloudformation",
        "CreateStack",
        StackName="theirs",
        TemplateBody=json.dumps({"Description": SECRET, "Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}),
    )
    await (await house.dispatcher.service("cloudformation")).plane.idle()
    await made(
        "cloudformation",
        "CreateChangeSet",
        StackName="theirs",
        ChangeSetName="theirs",
        TemplateBody=json.dumps({"Description": SECRET, "Resources": {"More": {"Type": "AWS::Logs::LogGroup"}}}),
    )
    api_arn = f"arn:aws:apigateway:us-east-1::/restapis/{rest['id']}"
    group_arn = "arn:aws:logs:us-east-1:111111111111:log-group:theirs"
    item = {"pk": {"S": "a"}}
    table_arn, function_arn = table["TableDescription"]["TableArn"], function["FunctionArn"].removesuffix(":1")
    statement = f"SELECT * FROM \"{table_arn}\" WHERE pk = 'a'"
    return {
        "PolicyArn": policy["Arn"],
        "VersionId": "v1",
        "RoleArn": role["Arn"],
        "AccessKeyId": key["AccessKeyId"],
        "PolicyDocument": POLICY,
        "AssumeRolePolicyDocument": TRUST,
        "PermissionsBoundary": policy["Arn"],
        "TableName": table_arn,
        ("dynamodb", "CreateTable", "TableName"): "mine",
        ("dynamodbstreams", "*", "TableName"): "theirs",
        "TableArn": table_arn,
        "KeyConditionExpression": "pk = :a",
        ("dynamodb", "Query", "ExpressionAttributeValues"): {":a": {"S": "a"}},
        "SourceTableArn": table_arn,
        "BackupArn": backup["BackupDetails"]["BackupArn"],
        "StreamArn": stream,
        "ShardId": shard,
        "ShardIterator": iterator["ShardIterator"],
        "ShardIteratorType": "TRIM_HORIZON",
        "Key": item,
        "Item": item,
        "ExportArn": table_arn + "/export/01234567890123-0a0b0c0d",
        "ImportArn": table_arn + "/import/01234567890123-0a0b0c0d",
        "RequestItems": {table_arn: {"Keys": [item]}},
        ("dynamodb", "BatchWriteItem", "RequestItems"): {table_arn: [{"DeleteRequest": {"Key": item}}]},
        ("dynamodb", "TransactGetItems", "TransactItems"): [{"Get": {"TableName": table_arn, "Key": item}}],
        ("dynamodb", "TransactWriteItems", "TransactItems"): [{"Delete": {"TableName": table_arn, "Key": item}}],
        ("dynamodb", "*", "ResourceArn"): table_arn,
        "Statement": statement,
        "Statements": [{"Statement": statement}],
        "TransactStatements": [{"Statement": statement}],
        "logGroupIdentifier": group_arn,
        ("logs", "*", "resourceArn"): group_arn,
        "Bucket": "theirs",
        ("s3", "*", "Key"): "theirs",
        "CopySource": "theirs/theirs",
        "UploadId": upload,
        "FunctionName": function_arn,
        "Qualifier": "live",
        "FunctionVersion": "1",
        ("lambda", "*", "Name"): "live",
        ("lambda", "*", "Role"): role["Arn"],
        ("lambda", "ListFunctions", "FunctionVersion"): None,
        ("lambda", "AddPermission", "Action"): "lambda:InvokeFunction",
        ("lambda", "AddLayerVersionPermission", "Action"): "lambda:GetLayerVersion",
        ("lambda", "*", "Principal"): "*",
        ("lambda", "*", "AllowedPublishers"): publishers,
        ("lambda", "*", "Resource"): function_arn,
        "LayerName": layer["LayerArn"],
        "VersionNumber": 1,
        "Arn": layer["LayerVersionArn"],
        "CodeSigningConfigArn": signing["CodeSigningConfig"]["CodeSigningConfigArn"],
        "restApiId": rest["id"],
        "resourceId": root,
        "parentId": root,
        "httpMethod": "GET",
        "statusCode": "200",
        "keyType": "API_KEY",
        "deploymentId": deployment["id"],
        "stageName": "prod",
        "apiKey": api_key["id"],
        "usagePlanId": plan["id"],
        "keyId": api_key["id"],
        ("apigateway", "*", "resourceArn"): api_arn,
        ("apigatewayv2", "*", "ResourceArn"): f"arn:aws:apigateway:us-east-1::/apis/{http['ApiId']}",
        "ApiId": http["ApiId"],
        "StageName": "$default",
        "IntegrationId": integration["IntegrationId"],
        "RouteId": route["RouteId"],
        "AuthorizerId": authorizer["AuthorizerId"],
        "AuthorizerType": "JWT",
        "ProtocolType": "HTTP",
        ("apigatewayv2", "*", "RouteKey"): "GET /b",
        ("apigatewayv2", "CreateStage", "StageName"): "other",
        ("apigatewayv2", "CreateIntegration", "IntegrationType"): "HTTP_PROXY",
        ("apigatewayv2", "CreateIntegration", "IntegrationUri"): "https://example.com",
        ("apigatewayv2", "CreateIntegration", "PayloadFormatVersion"): "1.0",
        ("cloudformation", "*", "StackName"): stack["StackId"],
        "RoleName": "theirs",
        "UserName": "theirs",
        "logGroupName": "theirs",
        ("logs", "DescribeLogStreams", "logGroupName"): None,
        ("logs", "FilterLogEvents", "logGroupName"): None,
        ("logs", "GetLogEvents", "logGroupName"): None,
        "logStreamName": "theirs",
        "ChangeSetName": "theirs",
    }


def packed() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("app.py", f"# {SECRET}")
    return held.getvalue()


def asked(service: str, operation: Operation, names: Names) -> dict[str, Any]:
    """Return params of an operation: what its model requires, and whatever names a thing."""
    model = load_service(service).find_operation(operation.name)
    if model is None or model.input is None:
        return {}
    found: dict[str, Any] = {}
    for name, member in model.input.members.items():
        for key in ((service, operation.name, name), (service, "*", name), name):
            if key in names:
                if name in operation.params and names[key] is not None:
                    found[name] = names[key]
                break
        else:
            if name in model.input.required:
                found[name] = sample(member.shape)
    return found


def sample(shape: Shape) -> Any:
    """Return a value that the model allows."""
    match shape.type:
        case "structure":
            return {name: sample(shape.members[name].shape) for name in shape.required}
        case "list":
            return [sample(shape.member.shape)]
        case "map":
            return {sample(shape.key.shape): sample(shape.value.shape)}
        case "boolean":
            return False
        case "blob":
            return b""
        case "integer" | "long" | "float" | "double" | "timestamp":
            return int(shape.min or 1)
    return shape.enum[0] if shape.enum else "a" * int(max(shape.min or 1, 3))
