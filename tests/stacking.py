"""A house with CloudFormation and the services whose resources its templates declare."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from cumulet.scope import SYSTEM, Scope
from cumulet.services.cloudformation.plane import CloudFormationPlane
from cumulet.services.cloudformation.records import BUSY
from cumulet.services.kit import Output, Principal
from cumulet.store.leases import Lease
from cumulet.store.memory import MemoryStore
from harness import House

SERVICES = ("apigateway", "apigatewayv2", "cloudformation", "dynamodb", "iam", "lambda", "logs", "s3")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    },
}
BAD_ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": TRUST, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/NoSuchPolicy"]},
}


def role(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST, **properties}}


def log_group(name: Any = None, days: int = 7, **attributes: Any) -> dict[str, Any]:
    properties = {"RetentionInDays": days} | ({"LogGroupName": name} if name else {})
    return {"Type": "AWS::Logs::LogGroup", "Properties": properties, **attributes}


class Stacks:
    """Stacks in a house, brought to rest after every step."""

    def __init__(self, *, store: MemoryStore | None = None, node_id: str = "node-1") -> None:
        self.house = House(*SERVICES, store=store, node_id=node_id)

    async def call(self, operation: str, **params: Any) -> Any:
        output = await self.house.call("cloudformation", operation, params)
        await (await self.plane()).idle()
        return output

    async def plane(self) -> CloudFormationPlane:
        plane: CloudFormationPlane = (await self.house.dispatcher.service("cloudformation")).plane
        return plane

    async def create(self, name: str = "s", outputs: Any = None, **resources: Any) -> Any:
        return await self.call("CreateStack", **self.request(name, outputs, resources))

    async def update(self, name: str = "s", outputs: Any = None, **resources: Any) -> Any:
        return await self.call("UpdateStack", **self.request(name, outputs, resources))

    @staticmethod
    def request(name: str, outputs: Any, resources: Any, **more: Any) -> dict[str, Any]:
        body = json.dumps({"Resources": resources, "Outputs": outputs or {}})
        return {"StackName": name, "TemplateBody": body, "Capabilities": ["CAPABILITY_NAMED_IAM"], **more}

    async def stack(self, name: str = "s") -> Any:
        return (await self.call("DescribeStacks", StackName=name))["Stacks"][0]

    async def status(self, name: str = "s") -> str:
        return str((await self.stack(name))["StackStatus"])

    async def events(self, name: str = "s") -> list[str]:
        """Return `<logical id> <status>` of every event, oldest first."""
        events = (await self.call("DescribeStackEvents", StackName=name))["StackEvents"]
        return [f"{event['LogicalResourceId']} {event['ResourceStatus']}" for event in reversed(events)]

    async def reasons(self, name: str = "s") -> dict[str, str]:
        """Return the reason of every event that has one, by `<logical id> <status>`."""
        events = (await self.call("DescribeStackEvents", StackName=name))["StackEvents"]
        return {
            f"{event['LogicalResourceId']} {event['ResourceStatus']}": event["ResourceStatusReason"]
            for event in reversed(events)
            if "ResourceStatusReason" in event
        }

    async def physical_id(self, logical_id: str, name: str = "s") -> str:
        detail = await self.call("DescribeStackResource", StackName=name, LogicalResourceId=logical_id)
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    async def log_groups(self) -> dict[str, int | None]:
        found = await self.house.call("logs", "DescribeLogGroups", {})
        return {group["logGroupName"]: group.get("retentionInDays") for group in found["logGroups"]}

    async def roles(self) -> list[str]:
        return [role["RoleName"] for role in (await self.house.call("iam", "ListRoles", {}))["Roles"]]

    async def tables(self) -> list[str]:
        return list((await self.house.call("dynamodb", "ListTables", {}))["TableNames"])

    async def next_server(self) -> None:
        """Start another server over the same store, and return when it has brought every stack to rest."""
        house = House(*SERVICES, store=self.house.store, clock=self.house.clock, node_id="node-2")
        await house.dispatcher.service("cloudformation")
        for _ in range(10_000):
            await asyncio.sleep(0)
            if not await house.store.read(lambda tx: list(BUSY.scan(tx, SYSTEM))):
                break
        await house.workers.stop()


class Interfering:
    """Operations that pass everything on, except what `meet` does not return from."""

    def __init__(self, house: House, meet: Any) -> None:
        self._house = house
        self._meet = meet
        self.calls: list[str] = []

    async def call(
        self,
        principal: Principal,
        scope: Scope,
        service: str,
        operation: str,
        params: Mapping[str, Any],
        lease: Lease | None = None,
        *,
        trace_header: str = "",
    ) -> Output:
        self.calls.append(f"{service}:{operation}")
        await self._meet(f"{service}:{operation}", params)
        return await self._house.dispatcher.call(
            principal, scope, service, operation, params, lease, trace_header=trace_header
        )

    async def authorize(self, *args: Any, **kwargs: Any) -> None:
        await self._house.dispatcher.authorize(*args, **kwargs)
