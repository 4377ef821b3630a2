"""Every operation says under which action and on which resource it is authorised, and names AWS's parameters only."""

from functools import cache

import pytest

from cumulet.app import SERVICES
from cumulet.services.kit import Service
from cumulet.services.matrix import build_services
from cumulet.wire.model import load_service

# Operations that AWS has no resource-level permissions for (Service Authorization Reference). Any other operation that
# declares "*" has forgotten its resource.
WITHOUT_RESOURCE = {
    "cloudformation": {"DescribeAccountLimits", "ListExports", "ListImports", "ListStacks", "ValidateTemplate"},
    "dynamodb": {"DescribeEndpoints", "DescribeLimits", "ListBackups", "ListGlobalTables", "ListTables"},
    "iam": {"GetAccountSummary", "ListPolicies", "ListRoles", "ListUsers"},
    "lambda": {
        "CreateCodeSigningConfig",
        "GetAccountSettings",
        "ListCodeSigningConfigs",
        "ListFunctions",
        "ListLayers",
    },
    "s3": {"ListBuckets"},
}


@cache
def services() -> dict[str, Service]:
    return {service.name: service for service in build_services()}


def test_every_service_is_built_under_its_own_name() -> None:
    assert set(services()) == set(SERVICES)


def test_there_are_operations() -> None:
    assert all(service.operations for service in services().values())


@pytest.mark.parametrize("name", SERVICES)
def test_operations_and_their_parameters_are_those_of_the_model(name: str) -> None:
    model = load_service(name)
    unknown: dict[str, list[str]] = {}
    for operation in services()[name].operations.values():
        modelled = model.find_operation(operation.name)
        if modelled is None:
            unknown[operation.name] = ["is no operation of AWS"]
            continue
        members = modelled.input.members if modelled.input else {}
        if extra := sorted(operation.params - set(members)):
            unknown[operation.name] = extra
    assert unknown == {}


@pytest.mark.parametrize("name", SERVICES)
def test_required_parameters_are_honoured(name: str) -> None:
    model = load_service(name)
    forgotten = {
        operation.name: sorted(missing)
        for operation in services()[name].operations.values()
        if (modelled := model.find_operation(operation.name)) and modelled.input
        if (missing := set(modelled.input.required) - operation.params)
    }
    assert forgotten == {}


@pytest.mark.parametrize("name", SERVICES)
def test_operations_declare_their_action(name: str) -> None:
    service = services()[name]
    actions = {operation.name: service.action_of(operation).split(":") for operation in service.operations.values()}
    assert [name for name, parts in actions.items() if len(parts) != 2 or not all(parts)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_operations_declare_their_resource(name: str) -> None:
    forgotten = {
        operation.name
        for operation in services()[name].operations.values()
        if operation.resource == "*" and not operation.open_to_all
    } - WITHOUT_RESOURCE.get(name, set())
    assert forgotten == set()
