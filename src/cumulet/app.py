"""The composition root: opens the store, builds the services, and hands them to the edge. The only wiring there is."""

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cumulet.clock import Clock, SystemClock
from cumulet.edge.control import Control
from cumulet.edge.front import Front
from cumulet.edge.pipeline import Tools
from cumulet.errors import InvariantViolated
from cumulet.ids import Ids, RandomIds
from cumulet.services.apigateway import Gateway
from cumulet.services.dispatch import Dispatcher
from cumulet.services.iam import IamAuthorizer, identify
from cumulet.services.kit import Ground, Params, Service
from cumulet.settings import Settings
from cumulet.store.api import Store
from cumulet.store.sqlite import open_sqlite
from cumulet.wire import constraints
from cumulet.wire.model import load_service

SERVICES: dict[str, tuple[str, str]] = {
    "dynamodb": ("cumulet.services.dynamodb", "build"),
    "dynamodbstreams": ("cumulet.services.dynamodb", "build_streams"),
    "lambda": ("cumulet.services.lambda_", "build"),
    "apigateway": ("cumulet.services.apigateway", "build_v1"),
    "apigatewayv2": ("cumulet.services.apigateway", "build_v2"),
    "iam": ("cumulet.services.iam", "build"),
    "sts": ("cumulet.services.iam", "build_sts"),
    "logs": ("cumulet.services.logs", "build"),
    "cloudformation": ("cumulet.services.cloudformation", "build"),
    "s3": ("cumulet.services.s3", "build"),
}
"""Each service by the name of botocore's model, with the module and function that build it (imported at first use)."""

ALWAYS_RUNNING = ("cloudformation",)
"""Services with work to resume when the server starts: a stack operation that a kill cut short."""


def service_builders(ground: Callable[[], Ground]) -> dict[str, Callable[[], Service]]:
    """Return, for each service, the function that builds it on `ground()`."""

    def builder(module: str, function: str) -> Callable[[], Service]:
        def build() -> Service:
            service: Service = getattr(importlib.import_module(module), function)(ground())
            return service

        return build

    return {name: builder(module, function) for name, (module, function) in SERVICES.items()}


def check_params(service: str, operation: str, params: Params) -> None:
    """Raise the error that the service's model demands for these params."""
    model = load_service(service).find_operation(operation)
    if model is None:
        raise InvariantViolated(f"{service} declares {operation}, which botocore's model does not have")
    constraints.check(model, params)


@asynccontextmanager
async def open_app(
    settings: Settings, *, store: Store | None = None, clock: Clock | None = None, ids: Ids | None = None
) -> AsyncIterator[Front]:
    """Yield what answers requests, over an open store; afterwards everything is stopped and the store is closed.

    Raises StoreInUse, StoreTooNew or StoreUnreadable if the data folder cannot be used.
    """
    clock = clock or SystemClock()
    ids = ids or RandomIds()
    store = store or open_sqlite(settings.data_dir, settings.durability)
    dispatcher = Dispatcher(store, clock, ids, IamAuthorizer(), service_builders(lambda: ground), check_params)
    ground = Ground(store, clock, ids, settings, dispatcher)
    gateway = Gateway(ground)
    front = Front(Tools(ground, dispatcher, identify), gateway, Control(ground))
    try:
        for name in ALWAYS_RUNNING:
            await dispatcher.service(name)
        yield front
    finally:
        try:
            await dispatcher.stop(first=ALWAYS_RUNNING)  # they call the others
        finally:
            await store.close()
