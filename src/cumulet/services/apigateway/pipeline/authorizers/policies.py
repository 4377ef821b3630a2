"""What policies say of a request for an API: what a function returned, and the API's own (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import unquote

from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Decision, Policy, Request, evaluate
from cumulet.policy.principals import Caller
from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.paths import shown_http_path
from cumulet.settings import is_loopback

INVOKE = "execute-api:Invoke"


def request_arn(matched: Matched) -> str:
    """Return what is asked for, as policies name it: the stage, the method and the path that the client asked for."""
    arrival = matched.arrival
    api = f"arn:aws:execute-api:{arrival.scope.region}:{arrival.scope.account}:{arrival.api_id}"
    return f"{api}/{matched.stage.name}/{arrival.request.method}{_asked_path(arrival)}"


def _asked_path(arrival: Arrival) -> str:
    """Return the path as routes are matched with it: no way to write a path gets past a policy."""
    path = arrival.path
    if not arrival.is_rest:
        return shown_http_path(path)
    if len(path) > 1 and path.endswith("/"):
        path = path[:-1]
    if "%" not in path:
        return path
    return "/".join([unquote(segment).replace("/", "%2F") for segment in path.split("/")])


def own_policy(matched: Matched) -> str | None:
    """Return the API's resource policy, or None."""
    return matched.compiled.deployment.policy


def demand_allow(matched: Matched) -> None:
    """Raise Refused unless the API's resource policy, where it has one, allows a stranger the request."""
    if (policy := own_policy(matched)) is not None and not (decision := _decide_for_stranger(matched, policy)).allowed:
        raise _stranger_denied(matched, decision)


def refuse_denied(matched: Matched) -> None:
    """Raise Refused if the API's resource policy denies a stranger the request by a statement."""
    if (policy := own_policy(matched)) is not None and (decision := _decide_for_stranger(matched, policy)).explicit:
        raise _stranger_denied(matched, decision)


def decide_for(matched: Matched, verdict: str) -> Decision:
    """Return what the policy that an authorizer's function returned says, together with the API's own."""
    # Nobody whom IAM knows, whatever principalId the function chose: the API's policy may name users.
    caller = Caller("user", "", matched.arrival.owner.account)
    own = own_policy(matched)
    return _decide(matched, caller, [Policy("authorizer", parse_document(verdict))], own)


def denied(matched: Matched, words: str, *, explicit: bool) -> Refused:
    """Return the refusal in IAM's words, of which AWS hides most of the account's digits where they name the API."""
    account, asked = matched.arrival.owner.account, request_arn(matched)
    hidden = asked.replace(f":{account}:", f":********{account[-4:]}:", 1)
    return Refused("denied_explicitly" if explicit else "denied", message=words.replace(asked, hidden, 1))


def _stranger_denied(matched: Matched, decision: Decision) -> Refused:
    why = (
        "with an explicit deny in a resource-based policy"
        if decision.explicit
        else f"because no resource-based policy allows the {INVOKE} action"
    )
    words = f"User: anonymous is not authorized to perform: {INVOKE} on resource: {request_arn(matched)} {why}"
    return denied(matched, words, explicit=decision.explicit)


def _decide_for_stranger(matched: Matched, policy: str) -> Decision:
    return _decide(matched, Caller("anonymous", "anonymous"), (), policy)


def _decide(matched: Matched, caller: Caller, held: Sequence[Policy], own: str | None) -> Decision:
    arrival = matched.arrival
    request = arrival.request
    seconds = arrival.now_ms // 1000
    # Whoever comes over no VPC has neither aws:SourceVpc nor aws:SourceVpce.
    context = {
        "aws:currenttime": datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(seconds),
        # What stays on this machine nobody hears on its way (decision 0049).
        "aws:securetransport": "true" if request.scheme == "https" or is_loopback(request.client_ip) else "false",
        "aws:sourceip": request.client_ip,
    }
    for key, header in (("aws:useragent", "user-agent"), ("aws:referer", "referer")):
        if (value := request.headers.get(header)) is not None:
            context[key] = value
    asked = Request(caller, INVOKE, request_arn(matched), arrival.owner.account, context)
    return evaluate(asked, held, (Policy("", parse_document(own, "resource")),) if own is not None else ())
