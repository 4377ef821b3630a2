"""Which TLS clients may speak, from which addresses and to which endpoints (pure).

All of it is kept and shown only: Cumulet serves plain HTTP, to whom its own address lets in.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html
"""

from collections.abc import Iterable

from cumulet.errors import ServiceError

_ENHANCED = "SecurityPolicy_"
POLICIES = (
    "TLS_1_0",
    "TLS_1_2",
    "SecurityPolicy_TLS13_1_3_2025_09",
    "SecurityPolicy_TLS13_1_3_FIPS_2025_09",
    "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09",
    "SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09",
    "SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09",
    "SecurityPolicy_TLS13_1_2_Ext2_PQ_2025_09",
    "SecurityPolicy_TLS13_1_2_Ext2_FIPS_PQ_2025_09",
    "SecurityPolicy_TLS13_1_2_PQ_2025_09",
    "SecurityPolicy_TLS13_1_2_2021_06",
    "SecurityPolicy_TLS13_2025_EDGE",
    "SecurityPolicy_TLS12_PFS_2025_EDGE",
    "SecurityPolicy_TLS12_2018_EDGE",
)
ACCESS_MODES = ("BASIC", "STRICT")


def checked_ip_address_type(given: str | None) -> str:
    """Return from which addresses an endpoint can be reached. Raises BadRequestException for another word."""
    if given and given not in ("ipv4", "dualstack"):
        raise _bad("Invalid ipAddressType. Must be one of [ipv4, dualstack]")
    return given or "ipv4"


def check_security(policy: str | None, mode: str | None, endpoint_types: Iterable[str]) -> None:
    """Raise BadRequestException unless AWS has the policy, for these endpoints, with or without the access mode."""
    if policy and policy not in POLICIES:
        raise _bad(f"Invalid security policy specified: {policy}")
    if mode and mode not in ACCESS_MODES:
        raise _bad(f"Invalid endpoint access mode specified: {mode}. Must be one of [{', '.join(ACCESS_MODES)}]")
    if not (policy or "").startswith(_ENHANCED):
        if mode:
            raise _bad(f"endpointAccessMode is only for security policies that start with {_ENHANCED}")
        return
    if not mode:
        raise _bad(f"endpointAccessMode is required for security policies that start with {_ENHANCED}")
    if any((kind == "EDGE") != (policy or "").endswith("_EDGE") for kind in endpoint_types):
        raise _bad(f"The security policy {policy} is not for endpoints of type {' and '.join(endpoint_types)}")


def _bad(words: str) -> ServiceError:
    return ServiceError("BadRequestException", words)
