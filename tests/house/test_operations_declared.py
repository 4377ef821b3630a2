"""Every operation says under which action and on which resource it is authorised, and names AWS's parameters only."""

from functools import cache
from typing import Any

import pytest

from cumulet.app import SERVICES
from cumulet.services.kit import Operation, Service
from cumulet.services.matrix import build_services
from cumulet.wire.model import load_service

# Operations that AWS's own list of actions has no resource types for, or whose ARN nobody could name beforehand
# (Service Authorization Reference). Anything else with "*" has forgotten its resource.
WITHOUT_RESOURCE: dict[str, frozenset[str]] = {}


@cache
def services() -> dict[str, Service]:
    return {service.name: service for service in build_services()}


def operations() -> list[Any]:
    return [
        pytest.param(service, operation, id=f"{service.name}:{operation.name}")
        for service in services().values()
        for operation in service.operations.values()
    ]


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
def test_operations_declare_action_and_resource(name: str) -> None:
    service = services()[name]
    undeclared = [operation.name for operation in service.operations.values() if not _is_declared(service, operation)]
    assert undeclared == []


def _is_declared(service: Service, operation: Operation) -> bool:
    if operation.open_to_all:
        return True
    prefix, _, verb = service.action_of(operation).partition(":")
    return bool(prefix and verb) and (operation.resource == "*" or callable(operation.resource))
