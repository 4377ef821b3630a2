"""What policies say of a request for an API: what a function returned, and the API's own (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
"""

from urllib.parse import unquote

from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Decision, Policy, Request, evaluate
from cumulet.policy.principals import Caller
from cumulet.services.apigateway.pipeline.exchange import Matched

INVOKE = "execute-api:Invoke"


def request_arn(matched: Matched) -> str:
    """Return what is asked for, as policies name it: the stage, the method and the path that the client sent."""
    arrival = matched.arrival
    # An HTTP API looks at the decoded path only.
    path = arrival.path if arrival.is_rest else unquote(arrival.path)
    api = f"arn:aws:execute-api:{arrival.scope.region}:{arrival.scope.account}:{arrival.api_id}"
    return f"{api}/{matched.stage.name}/{arrival.request.method}{path}"


def decide(matched: Matched, principal_id: str, policy: str) -> Decision:
    """Return whether the policy that an authorizer's function returned allows this very request."""
    account = matched.arrival.owner.account
    caller = Caller("user", f"arn:aws:iam::{account}:user/{principal_id}", account)
    context = {
        "aws:sourceip": matched.arrival.request.client_ip,
        "aws:useragent": matched.arrival.user_agent or "",
    }
    request = Request(caller, INVOKE, request_arn(matched), account, context)
    return evaluate(request, [Policy("authorizer", parse_document(policy))])
