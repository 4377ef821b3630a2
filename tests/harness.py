"""One service, or several, over the memory store: no socket, no wire, a clock that stands still.

house = House("dynamodb", "iam")
output = await house.call("dynamodb", "ListTables", {})
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cumulet.app import SERVICES
from cumulet.clock import Clock, ManualClock
from cumulet.ids import CountingIds, RandomIds
from cumulet.nodes import Node
from cumulet.scope import Scope
from cumulet.services.dispatch import Dispatcher
from cumulet.services.kit import Call, Demand, Ground, Principal, Ruling
from cumulet.settings import Settings
from cumulet.store.api import ReadTx, Store
from cumulet.store.memory import MemoryStore
from cumulet.store.nodes import NodeRecord
from cumulet.workers import Workers

SCOPE = Scope("000000000000", "us-east-1")


class AllowAll:
    """The authorizer of tests that are not about permissions."""

    def decide(self, tx: ReadTx, call: Call, demand: Demand, *more: Any) -> Ruling:
        return Ruling(True)


def make_node(store: Store, clock: Clock, node_id: str = "node-1") -> Node:
    """Return a node that has not joined the others yet."""
    record = NodeRecord(
        node_id=node_id, host="here", pid=1, address="127.0.0.1:4566", version="0", started_ms=clock.now_ms()
    )
    return Node(store, clock, record)


def make_ground(store: Store, clock: Clock, operations: Any, folder: Path) -> Ground:
    """Return what a part of a service stands on that is tested without the house."""
    workers = Workers(store, clock, make_node(store, clock))
    return Ground(store, clock, RandomIds(), Settings(data_dir=folder), operations, workers)


class House:
    """The named services over one memory store, called as the account's root unless told otherwise.

    Several houses over one store and one clock are several nodes: `House(..., store=other.store, node_id="node-2")`.
    """

    def __init__(
        self,
        *services: str,
        authorizer: Any = None,
        settings: Settings | None = None,
        store: MemoryStore | None = None,
        clock: ManualClock | None = None,
        node_id: str = "node-1",
    ) -> None:
        self.store = store or MemoryStore()
        self.clock = clock or ManualClock()
        self.ids = CountingIds()
        self.settings = settings or Settings()
        self.dispatcher = Dispatcher(
            self.store,
            self.clock,
            self.ids,
            authorizer or AllowAll(),
            {name: self._builder(name) for name in services},
            lambda service, operation, params: None,
        )
        self.node = make_node(self.store, self.clock, node_id)
        self.workers = Workers(self.store, self.clock, self.node)

    def _builder(self, name: str) -> Any:
        module, function = SERVICES[name]
        return lambda: getattr(importlib.import_module(module), function)(self.ground)

    @property
    def ground(self) -> Ground:
        return Ground(self.store, self.clock, self.ids, self.settings, self.dispatcher, self.workers)

    async def call(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any],
        *,
        principal: Principal | None = None,
        scope: Scope = SCOPE,
    ) -> Any:
        """Return the output of one operation; raises its ServiceError."""
        return await self.dispatcher.call(principal or Principal.root(scope.account), scope, service, operation, params)
