"""The door of function URLs: who calls, whether they may, the function's run, and the answer."""

from cumulet.edge.credentials import find_signer
from cumulet.edge.pipeline import Tools
from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM, Scope
from cumulet.services.dispatch import is_free
from cumulet.services.kit import Principal
from cumulet.store.api import ReadTx
from cumulet.wire.message import BrokeOff, Request, Response

_JSON = (("content-type", "application/json"),)
_FORBIDDEN = Response(
    403,
    (*_JSON, ("x-amzn-errortype", "AccessDeniedException")),
    b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}',
)
_FAILED = Response(502, _JSON, b"Internal Server Error")


async def serve_function_url(tools: Tools, url_id: str, request: Request, path: str) -> Response:
    """Return what the function behind a URL answers; `path` is what follows the address."""
    from cumulet.services.lambda_ import url_payload, url_streaming
    from cumulet.services.lambda_.control.url_invocations import invoke_function_url
    from cumulet.services.lambda_.records import URL_OWNERS, URLS, UrlConfig, UrlOwner
    from cumulet.services.lambda_.tracing import ROOT_BYTES, new_root

    def find(tx: ReadTx) -> tuple[UrlOwner, UrlConfig] | None:
        owner = URL_OWNERS.find(tx, SYSTEM, url_id)
        if owner is None:
            return None
        config = URLS.find(tx, Scope(owner.account, owner.region), owner.function_name, owner.qualifier or "")
        return None if config is None else (owner, config)

    found = await tools.ground.store.read(find)
    if found is None:
        return _FORBIDDEN  # an address that nobody has is not told from one that is closed
    owner, config = found
    if config.cors is not None and url_payload.is_preflight(request):
        return url_payload.answer_preflight(request, config.cors)
    signer: Principal | None = None
    if config.auth_type == "AWS_IAM":
        try:
            signer = await find_signer(tools.ground, tools.identify, "lambda", request)
        except ServiceError:
            return _FORBIDDEN
    service = await tools.dispatcher.service("lambda")
    trace_header = request.headers.get("x-amzn-trace-id")
    if trace_header is None:
        trace_header = new_root(tools.ground.ids.secret(ROOT_BYTES), tools.ground.clock.now_ms())
    call = tools.dispatcher.new_call(
        service,
        signer or Principal.anonymous(),
        Scope(owner.account, owner.region),
        source_ip=request.client_ip,
        user_agent=request.headers.get("user-agent") or "",
        secure=request.scheme == "https",
        trace_header=trace_header,
    )
    domain = f"{url_id}.lambda-url.{owner.region}.localhost"
    params = {
        "FunctionName": owner.function_name,
        "Qualifier": owner.qualifier,
        "AuthType": config.auth_type,
        "InvokeMode": config.invoke_mode,
        "Payload": url_payload.make_event(
            request, url_id, path, domain, signer, call.request_id, call.now_ms, trace_header
        ),
    }
    try:
        if not is_free(call, invoke_function_url):
            await tools.dispatcher.authorize_operation(call, service, invoke_function_url, params)
    except ServiceError:
        return _FORBIDDEN
    try:
        output = await tools.dispatcher.perform(call, service, invoke_function_url, params)
        if "Pieces" in output:
            response = await url_streaming.begin_response(output["ContentType"], output["Pieces"])
        elif output["FunctionError"] is not None:
            response = _FAILED
        elif config.invoke_mode == "RESPONSE_STREAM":
            response = Response(200, _JSON, output["Payload"])  # as it stands: there is no prelude to look for
        else:
            response = url_payload.make_response(output["Payload"])
    except ServiceError as refused:
        response = _refusal(refused)
    except (url_payload.MalformedAnswer, BrokeOff):
        response = _FAILED
    response = response.with_headers(("x-amzn-requestid", call.request_id))
    return response if config.cors is None else url_payload.with_cors(response, request, config.cors)


def _refusal(refused: ServiceError) -> Response:
    if refused.code != "TooManyRequestsException":
        return _FAILED
    reason = refused.fields.get("Reason", "")
    body = f'{{"Reason":"{reason}","Type":"User","message":"{refused.message}"}}'
    return Response(429, (*_JSON, ("x-amzn-errortype", refused.code)), body.encode())
