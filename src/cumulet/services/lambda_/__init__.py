"""Lambda: the control plane keeps functions as records, the execution plane runs them (`execution/`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cumulet.services.kit import Ground, Service
    from cumulet.services.lambda_.execution.plane import ExecutionPlane


def build(ground: Ground, execution: ExecutionPlane | None = None) -> Service:
    """Return the service "lambda"; it runs functions on `execution`, or on this machine if none is given."""
    from cumulet.services.kit import Service, Unavailable, collect
    from cumulet.services.lambda_.control import (
        account,
        aliases,
        code_signing,
        concurrency,
        event_configs,
        functions,
        invocations,
        layer_permissions,
        layers,
        permissions,
        provisioned,
        recursion,
        response_streaming,
        runtime_management,
        tags,
        urls,
        versions,
    )
    from cumulet.services.lambda_.control.resource_tags import tags_of
    from cumulet.services.lambda_.plane import LambdaPlane

    if execution is None:
        from cumulet.services.lambda_.execution.invoke import make_execution_plane

        execution = make_execution_plane(ground)
    return Service(
        name="lambda",
        operations=collect(
            functions,
            versions,
            aliases,
            invocations,
            response_streaming,
            permissions,
            tags,
            account,
            concurrency,
            event_configs,
            urls,
            layers,
            layer_permissions,
            code_signing,
            provisioned,
            recursion,
            runtime_management,
        ),
        iam_prefix="lambda",
        unavailable=Unavailable("ServiceException", 500, "The Lambda service encountered an internal error."),
        plane=LambdaPlane(ground, execution),
        tags_of=tags_of,
    )
