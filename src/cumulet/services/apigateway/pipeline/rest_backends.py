"""The backends of a REST API that are no Lambda proxies: MOCK, Lambda with mappings, AWS services, HTTP servers."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.scope import Scope
from cumulet.services.apigateway.certificates import CERTIFICATES
from cumulet.services.apigateway.control import lambda_uri, service_uri
from cumulet.services.apigateway.control.service_uri import ServiceUri
from cumulet.services.apigateway.pipeline import http_client, invocations, streaming
from cumulet.services.apigateway.pipeline.exchange import Answer, Matched, Outbound, Streamed
from cumulet.services.apigateway.pipeline.faults import NOT_PERMITTED, Refused, misconfigured
from cumulet.services.apigateway.pipeline.neighbours import find_gate
from cumulet.services.apigateway.pipeline.paths import climbs
from cumulet.services.apigateway.pipeline.service_calls import ask_service, too_large
from cumulet.services.kit import Ground

if TYPE_CHECKING:
    from cumulet.services.apigateway.pipeline.integrate import Integrator

_MOCK_STATUS = re.compile(r"""["']?statusCode["']?\s*:\s*["']?(\d{3})\b""")
_STATUS = re.compile(r"[0-9]{3}\Z")
_PATH_VARIABLE = re.compile(r"\{([^{}]+?)\+?\}")
_LABEL = re.compile(r"[A-Za-z0-9-]*\Z")
_TRACE = "x-amzn-trace-id"
_API_ID = "x-amzn-apigateway-api-id"


class RestBackends:
    """Asks the backend that a route names, within its time-out."""

    def __init__(self, ground: Ground, integrator: "Integrator") -> None:
        self._ground = ground
        self._integrator = integrator

    async def ask(self, matched: Matched, outbound: Outbound) -> Answer | Streamed:
        """Return what the backend answers. Raises Refused if it cannot be asked, or not in time."""
        target = matched.route.target
        if target.kind == "MOCK":
            return mock_answer(outbound)
        if target.kind != "AWS":
            return await self._integrator.within(target, self._http(matched, outbound), gives_up=True)
        uri = lambda_uri.fill_stage_variables(target.uri, matched.stage.variables)
        if lambda_uri.leads_to_function(uri):
            return await self._integrator.within(target, self._function(matched, outbound))
        if (found := service_uri.find(uri)) is None:
            raise NotImplementedHere(f"An integration with {uri}")
        return await self._integrator.within(target, self._service(matched, outbound, found))

    async def _function(self, matched: Matched, outbound: Outbound) -> Answer:
        target = matched.route.target
        found = lambda_uri.function_arn(target.uri, matched.stage.variables)
        if found is None or target.http_method != "POST":
            raise misconfigured(NOT_PERMITTED)
        region, account, arn = found
        params = invocations.invoke_params(outbound.headers)
        scope, body, request_id = Scope(account, region), outbound.body or b"{}", self._ground.ids.uuid()
        output = await self._integrator.invoke(matched, scope, arn, body, params, request_id)
        payload = output.get("Payload") or b""
        subject = error_message(payload) if output.get("FunctionError") else ""
        return Answer(subject, payload, output["StatusCode"], invocations.answer_headers(output, request_id))

    async def _service(self, matched: Matched, outbound: Outbound, uri: ServiceUri) -> Answer:
        principal = await self._integrator.principal(matched)
        return await ask_service(self._ground, matched, uri, outbound, principal)

    async def _http(self, matched: Matched, outbound: Outbound) -> Answer | Streamed:
        target = matched.route.target
        headers = [(name, value) for name, values in sent_headers(matched, outbound).items() for value in values]
        method = matched.arrival.request.method if target.http_method == "ANY" else target.http_method
        url = fill_url(target.uri, matched.stage.variables, outbound)
        way: Any = {
            "gate": await find_gate(self._ground, url),
            "insecure": target.insecure,
            "identity": await self._identity(matched),
        }
        try:
            if target.streams:
                begun = await http_client.begin(method, url, headers, outbound.body, **way)
                return Streamed(None, streaming.unbroken(begun), begun.status, begun.headers)
            relayed = await http_client.exchange(method, url, headers, outbound.body, **way)
        except http_client.BadUrl:
            raise Refused("misconfigured") from None
        except http_client.TooLarge as error:
            raise too_large(error.length) from None
        except http_client.Unreachable:
            raise Refused("unreachable") from None
        return Answer(str(relayed.status), relayed.body, relayed.status, relayed.headers)

    async def _identity(self, matched: Matched) -> str | None:
        """Return the certificate that the stage shows to servers, with its key."""
        certificate_id = matched.stage.client_certificate_id
        if certificate_id is None:
            return None
        scope = matched.arrival.scope
        found = await self._ground.store.read(lambda tx: CERTIFICATES.find(tx, scope, certificate_id))
        return None if found is None else found.certificate + found.key


def sent_headers(matched: Matched, outbound: Outbound) -> dict[str, list[str]]:
    """Return the headers of a request to a server: what is mapped, and what API Gateway says of itself.

    As https://github.com/chrisandoryan/Gateflag has captured it.
    """
    arrival, headers = matched.arrival, dict(outbound.headers)
    headers[_API_ID] = [arrival.api_id]
    if matched.route.target.kind == "HTTP":
        if outbound.body:
            headers.setdefault("content-type", [outbound.content_type])
        headers.setdefault("accept", ["application/json"])
        headers.setdefault("user-agent", [f"AmazonAPIGateway_{arrival.api_id}"])
    headers.setdefault(_TRACE, [arrival.trace_id])
    if arrival.segment:
        headers[_TRACE] = [arrival.segment]
    return headers


def fill_url(uri: str, stage_variables: Mapping[str, str], outbound: Outbound) -> str:
    """Return an endpoint's URL with stage variables, mapped path parameters and the mapped query string in it.

    Raises Refused for a path, or a host, that would lead out of what the integration names.
    """
    url = lambda_uri.fill_stage_variables(uri, stage_variables)
    scheme, _, rest = url.partition("://")
    authority = rest.partition("?")[0].partition("/")[0]
    path = rest[len(authority) :]
    if "{" in authority:
        authority = _PATH_VARIABLE.sub(lambda name: _label(outbound.path.get(name[1], "")), authority)
    path = _PATH_VARIABLE.sub(lambda name: quote(outbound.path.get(name[1], ""), safe="/:@!$&'()*+,;=~"), path)
    url = f"{scheme}://{authority}{path}"
    if climbs(url.partition("?")[0]):
        raise Refused("bad_path")
    if not outbound.query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(outbound.query, doseq=True)}"


def _label(value: str) -> str:
    """Return what may stand in the name of a host. Raises Refused for what would lead to another."""
    if _LABEL.match(value) is None:
        raise Refused("bad_path")
    return value


def mock_answer(outbound: Outbound) -> Answer:
    """Return the answer that a MOCK's request template asks for: it has no body. Raises Refused without a status."""
    status = _mock_status(outbound.body)
    if status is None:
        raise misconfigured(
            "Unable to parse statusCode. It should be an integer that is defined in the request template."
        )
    return Answer(status, b"", int(status))


def _mock_status(body: bytes) -> str | None:
    try:
        asked: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The CDK writes names without quotes, and AWS reads them.
        found = _MOCK_STATUS.search(body.decode("utf-8", "replace"))
        return None if found is None else found[1]
    status = str(asked.get("statusCode")) if isinstance(asked, dict) else ""
    return status if _STATUS.match(status) else None


def error_message(payload: bytes) -> str:
    """Return the text that selection patterns are matched with, of a function that failed."""
    try:
        error: Any = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    message = error.get("errorMessage") if isinstance(error, dict) else None
    return message if isinstance(message, str) else ""
