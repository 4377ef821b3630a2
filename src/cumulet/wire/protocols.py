"""The way between bytes and values for every operation: parse and serialise, compiled on an operation's first use."""

import importlib
from collections.abc import Mapping
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.wire.message import Request, Response
from cumulet.wire.model import OperationModel
from cumulet.wire.resolve import Target

_MODULES = {
    "json": "cumulet.wire.json",
    "rest-json": "cumulet.wire.rest_json",
    "query": "cumulet.wire.query",
    "rest-xml": "cumulet.wire.rest_xml",
}


def parse(target: Target, request: Request) -> dict[str, Any]:
    """Return the params of a request. Raises the ServiceError of its protocol if they cannot be read."""
    operation = target.operation
    parser = operation.compiled.get("parser")
    if parser is None:
        parser = operation.compiled["parser"] = _protocol(operation).compile_parser(operation)
    params: dict[str, Any] = parser(request, target.labels)
    return params


def serialise(operation: OperationModel, output: Mapping[str, Any] | None, request_id: str) -> Response:
    """Return the answer that carries an output."""
    serialiser = operation.compiled.get("serialiser")
    if serialiser is None:
        serialiser = operation.compiled["serialiser"] = _protocol(operation).compile_serialiser(operation)
    response: Response = serialiser(output or {}, request_id)
    return response


def _protocol(operation: OperationModel) -> Any:
    # A protocol's file is imported when a service speaks it.
    module = _MODULES.get(operation.service.protocol)
    if module is None:
        raise NotImplementedHere(f"The protocol {operation.service.protocol} of {operation.service.name}")
    return importlib.import_module(module)
