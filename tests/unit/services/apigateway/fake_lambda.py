"""A house with API Gateway and a Lambda service that a test plays itself."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

from cumulet.errors import ServiceError
from cumulet.services.apigateway import build_v1, build_v2
from cumulet.services.apigateway.gateway import Gateway
from cumulet.services.dispatch import Dispatcher
from cumulet.services.iam import IamAuthorizer
from cumulet.services.kit import (
    Call,
    Demand,
    Ground,
    Operation,
    Output,
    Params,
    Principal,
    Ruling,
    Service,
    operation,
)
from cumulet.settings import Settings
from cumulet.store.api import ReadTx
from cumulet.wire.message import Headers, Request, Response
from harness import SCOPE, AllowAll, House

FUNCTION = f"arn:aws:lambda:us-east-1:{SCOPE.account}:function:notes"
URI = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"

OK = {"statusCode": 200, "body": "fine"}


class FakeLambda:
    """Records every Invoke, and answers with `answer`: a value, an error to raise, or a function of the event."""

    def __init__(self) -> None:
        self.answer: Any = OK
        self.function_error: str | None = None
        self.pieces: list[Any] = []
        """Of a streamed answer: bytes, or an error's name to end with."""
        self.left = 0
        """How often a reader of a streamed answer has gone, or has read it all."""
        self.calls: list[tuple[Call, Params]] = []

    @property
    def event(self) -> dict[str, Any]:
        """The last event."""
        decoded: dict[str, Any] = json.loads(self.calls[-1][1]["Payload"])
        return decoded

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def invoke(self, call: Call, params: Params) -> Output:
        self.calls.append((call, params))
        answer = self.answer
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = await answer(json.loads(params["Payload"]))
        payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if (kind := params.get("InvocationType", "RequestResponse")) != "RequestResponse":
            return {"StatusCode": 202, "Payload": b""} if kind == "Event" else {"StatusCode": 204}
        output: dict[str, Any] = {"StatusCode": 200, "Payload": payload, "ExecutedVersion": "$LATEST"}
        if params.get("LogType") == "Tail":
            output["LogResult"] = "TG9n"
        if self.function_error:
            output["FunctionError"] = self.function_error
        return output


@operation(
    "Invoke",
    action="lambda:InvokeFunction",
    resource="*",
    params="FunctionName InvocationType LogType ClientContext Payload TenantId",
)
async def invoke(call: Call, plane: FakeLambda, params: Params) -> Output:
    """Whatever the test says."""
    return await plane.invoke(call, params)


@operation(
    "InvokeWithResponseStream",
    action="lambda:InvokeFunction",
    resource="*",
    params="FunctionName InvocationType LogType ClientContext Payload TenantId",
)
async def invoke_with_response_stream(call: Call, plane: FakeLambda, params: Params) -> Output:
    """What the test says, piece by piece."""
    plane.calls.append((call, params))
    if isinstance(plane.answer, Exception):
        raise plane.answer

    async def events() -> AsyncIterator[Any]:
        try:
            for piece in plane.pieces:
                if isinstance(piece, str):
                    yield {"InvokeComplete": {"ErrorCode": piece}}
                    return
                yield {"PayloadChunk": {"Payload": piece}}
            yield {"InvokeComplete": {}}
        finally:
            plane.left += 1

    return {"StatusCode": 200, "EventStream": events()}


class CallsAreGuarded(IamAuthorizer):
    """Everybody may do everything, but nobody calls an API without IAM's leave."""

    def decide(self, tx: ReadTx, call: Call, demand: Demand, *more: Any) -> Ruling:
        return super().decide(tx, call, demand, *more) if demand.action.startswith("execute-api:") else Ruling(True)


class ApiHouse(House):
    """Both control planes, the gateway, and the function behind them."""

    def __init__(
        self,
        authorizer: Any = None,
        more: Mapping[str, Callable[[Ground], Service]] | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(settings=settings)
        self.function = FakeLambda()
        self.signer: Principal | ServiceError = Principal.root(SCOPE.account, "test")
        builders = {"apigateway": build_v1, "apigatewayv2": build_v2, **(more or {})}
        services: dict[str, Callable[[], Service]] = {
            name: lambda build=build: build(self.ground) for name, build in builders.items()
        }
        operations: dict[str, Operation] = {
            "Invoke": invoke,
            "InvokeWithResponseStream": invoke_with_response_stream,
        }
        services["lambda"] = lambda: Service("lambda", operations, iam_prefix="lambda", plane=self.function)
        self.dispatcher = Dispatcher(
            self.store, self.clock, self.ids, authorizer or AllowAll(), services, lambda service, name, params: None
        )
        self.gateway = Gateway(self.ground, self.find_signer)

    async def find_signer(self, request: Request) -> Principal:
        """Return `signer`, in place of whoever signed a request, or raise it."""
        if isinstance(self.signer, ServiceError):
            raise self.signer
        return self.signer

    async def v1(self, operation_name: str, /, **params: Any) -> Any:
        """Return the output of an operation of the REST control plane."""
        return await self.call("apigateway", operation_name, params)

    async def v2(self, operation_name: str, /, **params: Any) -> Any:
        """Return the output of an operation of the HTTP control plane."""
        return await self.call("apigatewayv2", operation_name, params)

    async def rest_api(self, *routes: str, deploy: bool = True, **settings: Any) -> str:
        """Return the id of a REST API with these routes ("GET /notes/{id}"), deployed to the stage `dev`."""
        api = await self.v1("CreateRestApi", name="notes", **settings)
        by_path = {"/": api["rootResourceId"]}
        for route in routes:
            method, path = route.split(" ")
            parent = "/"
            for part in [part for part in path.split("/") if part]:
                below = f"{parent.rstrip('/')}/{part}"
                if below not in by_path:
                    made = await self.v1("CreateResource", restApiId=api["id"], parentId=by_path[parent], pathPart=part)
                    by_path[below] = made["id"]
                parent = below
            at = {"restApiId": api["id"], "resourceId": by_path[parent], "httpMethod": method}
            await self.v1("PutMethod", **at, authorizationType="NONE")
            await self.v1("PutIntegration", **at, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
        if deploy:
            await self.v1("CreateDeployment", restApiId=api["id"], stageName="dev")
        return str(api["id"])

    async def http_api(self, *route_keys: str, payload_format: str = "2.0", **settings: Any) -> str:
        """Return the id of an HTTP API with these routes on an auto-deployed $default stage."""
        api = await self.v2("CreateApi", Name="notes", ProtocolType="HTTP", **settings)
        integration = await self.v2(
            "CreateIntegration",
            ApiId=api["ApiId"],
            IntegrationType="AWS_PROXY",
            IntegrationUri=FUNCTION,
            PayloadFormatVersion=payload_format,
        )
        target = f"integrations/{integration['IntegrationId']}"
        for key in route_keys:
            await self.v2("CreateRoute", ApiId=api["ApiId"], RouteKey=key, Target=target)
        await self.v2("CreateStage", ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
        return str(api["ApiId"])

    async def request(
        self,
        api_id: str,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        body: bytes = b"",
        via: Literal["path", "host"] = "path",
    ) -> Response:
        """Return the gateway's answer; `path` is what follows the API."""
        given = list(headers.items()) if isinstance(headers, Mapping) else (headers or [])
        host = f"{api_id}.execute-api.localhost:4566" if via == "host" else "localhost:4566"
        sent = Request(method, path, query, Headers([("host", host), *given]), body)
        return await self.gateway.serve(api_id, sent, path, via)


def header(response: Response, name: str) -> str | None:
    """Return a header of an answer, whatever its case."""
    return next((value for key, value in response.headers if key.lower() == name.lower()), None)
