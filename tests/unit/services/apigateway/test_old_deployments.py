"""What earlier versions deployed is served, and lets nobody in whom it did not let in."""

from typing import Any

import msgspec

from cumulet.services.apigateway.model import Deployment
from cumulet.services.apigateway.pipeline.match import compile_deployment


def brought_up(route: dict[str, Any], *, is_rest: bool) -> Any:
    """Return the authorization of a route as it was kept."""
    target = {"uri": "", "payload_format": "rest", "timeout_ms": 1000}
    kept = {"deployment_id": "d", "created_s": 1, "routes": [{"method": "GET", "path": "/", "key": "GET /", **route}]}
    kept["routes"][0]["target"] = target  # type: ignore[index]
    compiled = compile_deployment(msgspec.json.decode(msgspec.json.encode(kept), type=Deployment), is_rest=is_rest)
    found = compiled.table.find("GET", [])
    assert found is not None
    return found.value.authorization


def test_rest_authorizers() -> None:
    authorizer = {
        "authorizer_id": "a",
        "kind": "TOKEN",
        "uri": "u",
        "identity_sources": ["method.request.header.A"],
        "validation": "x+",
        "ttl_s": 300,
    }
    found = brought_up({"rest_authorizer": authorizer}, is_rest=True)
    assert (found.kind, found.authorizer.kind, found.authorizer.validation) == ("CUSTOM", "TOKEN", "x+")
    assert found.authorizer.identity_sources == ("method.request.header.A",)


def test_http_authorizers() -> None:
    authorizer = {"authorizer_id": "a", "kind": "JWT", "identity_sources": ["$request.header.A"], "issuer": "i"}
    kept = {"kind": "JWT", "authorizer": {**authorizer, "audience": ["b"]}, "scopes": ["s"]}
    found = brought_up({"http_authorization": kept}, is_rest=False)
    assert (found.authorizer.issuer, found.authorizer.audience, found.scopes) == ("i", ("b",), ("s",))
    assert brought_up({"http_authorization": {"kind": "AWS_IAM"}}, is_rest=False).kind == "AWS_IAM"
    assert brought_up({}, is_rest=False) is None
