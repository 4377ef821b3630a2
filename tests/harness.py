"""One service, or several, over the memory store: no socket, no wire, a clock that stands still.

house = House("dynamodb", "iam")
output = await house.call("dynamodb", "ListTables", {})
"""

import importlib
from collections.abc import Mapping
from typing import Any

from cumulet.app import SERVICES
from cumulet.clock import ManualClock
from cumulet.ids import CountingIds
from cumulet.scope import Scope
from cumulet.services.dispatch import Dispatcher
from cumulet.services.kit import Call, ConditionValues, Ground, Principal
from cumulet.settings import Settings
from cumulet.store.api import ReadTx
from cumulet.store.memory import MemoryStore

SCOPE = Scope("000000000000", "us-east-1")

class AllowAll:
    """The authorizer of tests that are not about permissions."""

    def denial(
        self,
        tx: ReadTx,
        call: Call,
        action: str,
        resource: str,
        conditions: ConditionValues,
        resource_policy: str | None,
    ) -> str | None:
        return None


class House:
    """The named services over one memory store, called as the account's root unless told otherwise."""

    def __init__(self, *services: str, authorizer: Any = None, settings: Settings | None = None) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
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

    def _builder(self, name: str) -> Any:
        module, function = SERVICES[name]
        return lambda: getattr(importlib.import_module(module), function)(self.ground)

    @property
    def ground(self) -> Ground:
        return Ground(self.store, self.clock, self.ids, self.settings, self.dispatcher)

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
