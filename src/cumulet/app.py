"""The composition root: opens the store, builds the services, and hands them to the edge. The only wiring there is."""

import asyncio
import importlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from cumulet import __version__
from cumulet.clock import Clock, SystemClock
from cumulet.edge.control import Control
from cumulet.edge.credentials import find_signer
from cumulet.edge.front import Front
from cumulet.edge.pipeline import Tools
from cumulet.errors import InvariantViolated
from cumulet.ids import Ids, RandomIds
from cumulet.nodes import Node
from cumulet.services.apigateway import ApiDoors
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

API_SIGNATURES = "apigatewaymanagementapi"
"""The model whose signatures requests to APIs bear: those of execute-api."""

CALLERS = ("cloudformation",)
"""Services whose background work calls the others: they are stopped before these."""

WITH_BACKGROUND_WORK = ("cloudformation", "logs", "dynamodb", "lambda")
"""Services with work that no request brings. Every node has them, so that each can take over what another left."""

BACKGROUND_AFTER_S = 1.0
"""When they are imported: the first requests, which import what they need themselves, should not wait for that."""


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
    apis = ApiDoors(ground, partial(find_signer, ground, identify, API_SIGNATURES))
    front = Front(Tools(ground, dispatcher, identify), apis, Control(ground, node))
    async with AsyncExitStack() as stopping:  # from the last to the first, whichever of them fails
        stopping.push_async_callback(store.close)
        await require_whole(store)
        await node.start()
        stopping.push_async_callback(node.leave)
        stopping.push_async_callback(dispatcher.stop, first=CALLERS)
        await workers.start()
        stopping.push_async_callback(workers.stop)
        stopping.push_async_callback(apis.stop)
        beginning = asyncio.get_running_loop().create_task(begin_background_work(dispatcher, clock))
        stopping.callback(beginning.cancel)
        yield front


async def begin_background_work(dispatcher: Dispatcher, clock: Clock) -> None:
    """Start the services that have work of their own, once the server answers."""
    await clock.sleep_outside(BACKGROUND_AFTER_S)
    for name in WITH_BACKGROUND_WORK:
        await dispatcher.service(name)


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
