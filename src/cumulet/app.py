"""The composition root: opens the store, builds the services, and hands them to the edge. The only wiring there is."""

import importlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from cumulet import __version__
from cumulet.clock import Clock, SystemClock
from cumulet.edge.control import Control
from cumulet.edge.front import Front
from cumulet.edge.pipeline import Tools
from cumulet.errors import InvariantViolated
from cumulet.ids import Ids, RandomIds
from cumulet.nodes import Node
from cumulet.services.apigateway import Gateway
from cumulet.services.dispatch import Dispatcher
from cumulet.services.iam import IamAuthorizer, identify
from cumulet.services.kit import Ground, Params, Service
from cumulet.settings import Settings
from cumulet.store.api import Store, StoreUnreadable
from cumulet.store.nodes import NodeRecord
from cumulet.store.sqlite import open_sqlite
from cumulet.store.transfer import require_whole
from cumulet.wire import constraints
from cumulet.wire.model import load_service
from cumulet.workers import Workers

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

    Raises StoreError if the store cannot be used.
    """
    clock = clock or SystemClock()
    ids = ids or RandomIds()
    store = store or open_store(settings)
    node = Node(store, clock, describe_node(settings, clock, ids))
    workers = Workers(store, clock, node)
    dispatcher = Dispatcher(store, clock, ids, IamAuthorizer(), service_builders(lambda: ground), check_params)
    ground = Ground(store, clock, ids, settings, dispatcher, workers)
    gateway = Gateway(ground)
    front = Front(Tools(ground, dispatcher, identify), gateway, Control(ground, node))
    async with AsyncExitStack() as stopping:  # from the last to the first, whichever of them fails
        stopping.push_async_callback(store.close)
        await require_whole(store)
        await node.start()
        stopping.push_async_callback(node.leave)
        stopping.push_async_callback(dispatcher.stop, first=ALWAYS_RUNNING)  # they call the others
        await workers.start()
        stopping.push_async_callback(workers.stop)
        for name in ALWAYS_RUNNING:
            await dispatcher.service(name)
        yield front


def open_store(settings: Settings) -> Store:
    """Return the store that the settings name. Raises StoreError if it cannot be used."""
    if not settings.store:
        return open_sqlite(settings.data_dir, settings.durability)
    try:
        from cumulet.store.postgres import open_postgres
    except ModuleNotFoundError as missing:
        raise StoreUnreadable(
            f"A store in PostgreSQL needs the package {missing.name}: pip install 'cumulet[postgres]'"
        ) from None
    return open_postgres(settings.store)


def describe_node(settings: Settings, clock: Clock, ids: Ids) -> NodeRecord:
    """Return what other nodes may know of this process."""
    return NodeRecord(
        node_id=ids.token(12),
        host=socket.gethostname(),
        pid=os.getpid(),
        address=f"{settings.host}:{settings.port}",
        version=__version__,
        started_ms=clock.outside_ms(),
    )
