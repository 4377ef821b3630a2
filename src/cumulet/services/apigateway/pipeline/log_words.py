"""What execution logs say of requests that were let in or not (pure); the words are AWS's own, but for quotas."""

from cumulet.services.apigateway.pipeline.exchange import Matched

_SHOWN = 6


def hidden(secret: str) -> str:
    """Return a secret of which only the end is told."""
    return "*" * max(0, len(secret) - _SHOWN) + secret[-_SHOWN:]


def throttled(matched: Matched, rate: float, burst: float) -> str:
    """Return the line of a request that came too soon."""
    return f"Key throttle limit exceeded for {_method(matched)}. Limit: {rate:.2f} Burst: {burst:.0f}"


def exhausted(matched: Matched) -> str:
    """Return the line of a request for which nothing is left of a quota."""
    return f"Key quota limit exceeded for {_method(matched)}"


def unknown_key(matched: Matched, value: str) -> str:
    """Return the line of a request whose key opens nothing."""
    route = matched.route
    stage = f"{matched.arrival.api_id}/{matched.stage.name}"
    return (
        f"API Key {hidden(value)} not authorized because method '{route.key} {route.path}' requires API Key and API "
        f"Key is not associated with a Usage Plan for API Stage {stage}: No Usage Plan found for key and API Stage"
    )


def _method(matched: Matched) -> str:
    route = matched.route
    return (
        f"RestApi {matched.arrival.api_id}, Stage {matched.stage.name}, Resource {route.resource_id}, "
        f"HttpMethod {route.key}"
    )
