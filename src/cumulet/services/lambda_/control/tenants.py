"""Tenants: a function made for several of them has environments of its own for each, and says so of what it runs.

It is made so and stays so. https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation.html
"""

from cumulet.errors import ServiceError
from cumulet.services.kit import Output
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.records import VersionRecord


class WrongTenancy(ServiceError):
    """An invocation is for a tenant and the function is not, or the other way round; it stays so with that function."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterValueException", message, Type="User")


def check_tenant(version: VersionRecord, tenant_id: str) -> None:
    """Raise AWS's error for an invocation without a tenant that needs one, or with one that it has no use for."""
    if version.per_tenant and not tenant_id:
        raise WrongTenancy(
            "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try "
            "again."
        )
    if tenant_id and not version.per_tenant:
        # AWS's words are on record for the other case alone.
        raise WrongTenancy(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request "
            "and try again."
        )


def check_shared(version: VersionRecord, feature: str) -> None:
    """Raise AWS's error for what functions that keep tenants apart cannot have."""
    if version.per_tenant:
        # The words are those that users have seen of function URLs.
        raise invalid(f"{feature} is not supported for functions enabled with tenancy configuration")


def render_tenancy(version: VersionRecord) -> Output:
    """Return what a configuration has of this."""
    return {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}} if version.per_tenant else {}
