"""What an environment does for its extensions: it holds the runtime back until they are there, and sends telemetry."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cumulet.clock import Clock
from cumulet.scope import Scope
from cumulet.services.lambda_.execution.extension import Connection
from cumulet.services.lambda_.execution.extensions import Extensions, Function
from cumulet.services.lambda_.execution.farewell import Farewell
from cumulet.services.lambda_.execution.journal import Journal
from cumulet.services.lambda_.execution.responses import render, render_failure
from cumulet.services.lambda_.execution.sandbox.process import Sandbox
from cumulet.services.lambda_.execution.subscription import Invalid
from cumulet.services.lambda_.execution.subscription import parse as parse_subscription
from cumulet.services.lambda_.execution.telemetry import Telemetry
from cumulet.services.lambda_.records import VersionRecord


class Listener(Protocol):
    """Who is told when extensions rest."""

    def on_extension_rested(self) -> None:
        """One more waits for the next event."""


def own_address(slot: int) -> str:
    """Return the loopback address at which an environment's extensions listen: each has its own, so none collide.

    Those of other servers on the machine are most likely others.
    """
    return f"127.{os.getpid() % 254 + 1}.{slot // 254}.{slot % 254 + 1}"


class ExtensionHost:
    """The extensions of one environment, and what they are given."""

    def __init__(
        self,
        listener: Listener,
        version: VersionRecord,
        scope: Scope,
        journal: Journal,
        new_id: Callable[[], str],
        names: Sequence[str] = (),
        address: str = "127.0.0.1",
    ) -> None:
        """`names`: its external extensions; with any, the runtime may not begin before them. `address`: see above."""
        self._listener = listener
        self._journal = journal
        self._address = address
        self._telemetry: Telemetry | None = None
        function = Function(version.function_name, version.version, version.handler, scope.account)
        self.extensions = Extensions(self, function, new_id, names)
        self.fatal_error = ""
        """What an extension said of its end."""
        self._hold: int | None = None

    def are_any(self) -> bool:
        """Tell whether there are any extensions."""
        return bool(self.extensions.known)

    def hold_runtime(self) -> int:
        """Return a descriptor whose end-of-file comes when the runtime may begin."""
        held, self._hold = os.pipe()
        return held

    def freeze(self) -> None:
        """Send nothing until `thaw`: nobody would read it."""
        if self._telemetry is not None:
            self._telemetry.freeze()

    def thaw(self) -> None:
        """Send again."""
        if self._telemetry is not None:
            self._telemetry.thaw()

    def tell_log(self) -> None:
        """Have the log say what became of each."""
        for one in self.extensions.known:
            self._journal.extension_known(one.name, one.state.value, one.events, one.error_type)

    def farewell(self, sandbox: Sandbox, clock: Clock) -> Farewell:
        """Return the end that these extensions have."""
        return Farewell(sandbox, self.extensions, self._telemetry, clock)

    def close(self) -> None:
        """Let go of everything."""
        self._let_runtime_begin()
        if self._telemetry is not None:
            self._telemetry.close()

    # What extensions ask

    def handle(
        self, connection: Connection, method: bytes, path: bytes, body: bytes | None, headers: Mapping[bytes, str]
    ) -> bytes:
        """Return the response to a request that is not the Runtime API's; empty if it comes later."""
        return self.extensions.handle(connection, method, path, body, headers)

    def on_extension_registered(self) -> None:
        """The runtime may begin with the last of the external ones."""
        if self.extensions.are_registered():
            self._let_runtime_begin()

    def _let_runtime_begin(self) -> None:
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None

    def on_extension_rested(self) -> None:
        """One more waits for the next event."""
        self._listener.on_extension_rested()

    def on_extension_failed(self, error_type: str) -> None:
        """One has said why it will end; its end follows."""
        self.fatal_error = self.fatal_error or error_type

    def on_subscription(self, extension: str, body: bytes, *, to_logs: bool) -> bytes:
        """One asks for telemetry; return the response."""
        try:
            subscription = parse_subscription(body, to_logs=to_logs)
            if self._telemetry is None:
                self._telemetry = Telemetry(self._address, self._journal.dropped)
            other = self._telemetry.find(extension)
            if other is not None and other.to_logs is not to_logs:
                raise Invalid(f"{extension} has subscribed through the {'Telemetry' if to_logs else 'Logs'} API")
        except Invalid as wrong:
            error_type = "Logs.ValidationError" if to_logs else "ValidationError"
            return render_failure(error_type, str(wrong), "400 Bad Request")
        if subscription != other:
            self._telemetry.add(extension, subscription, self._journal.subscribe(self._telemetry))
            self._journal.subscribed(extension, subscription.types, to_logs=to_logs)
        return render("200 OK", '"OK"')
