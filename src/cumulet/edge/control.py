"""/_cumulet: what an operator asks of the server itself. Everything about AWS goes through AWS's own APIs.

GET  /_cumulet/health                       what it is, where its data lies; 503 and why while it cannot serve
GET  /_cumulet/alive                        200 while the process answers, whatever has become of its store
GET  /_cumulet/status                       the same, and the nodes over its store with the work that each has
GET  /_cumulet/clock                        the time of all nodes
POST /_cumulet/clock  {"advance_seconds"}   move it forward (TTL, retries and token expiry follow), from this machine
GET  /_cumulet/lambda/code/...              a function's code, behind the signed URL that GetFunction gives out
PUT  /_cumulet/cloudformation/answers/...   what a custom resource's function answers, at the URL that it was given
"""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from cumulet import __version__
from cumulet.scope import SYSTEM
from cumulet.services.kit import Ground
from cumulet.settings import is_loopback
from cumulet.store.api import ReadTx
from cumulet.store.leases import LEASES, LeaseRecord
from cumulet.store.nodes import NODES, ClockTooFar, NodeRecord
from cumulet.wire.message import Request, Response

CODE_PATH = "lambda/code/"
ANSWER_PATH = "cloudformation/answers/"
SILENT_SECONDS_MAX = 10
"""Much longer than it takes to count as dead: a server that is only busy is left alone."""

ADVANCE_SECONDS_MAX = 10 * 366 * 24 * 3600


class Node(Protocol):
    """This process, among the others over its store."""

    @property
    def node_id(self) -> str: ...

    def silent_s(self) -> float:
        """Return for how long this process has not been able to write to the store that it shares."""

    async def advance_clock(self, seconds: float) -> Sequence[NodeRecord]:
        """Move the time of all nodes forward; return those that have not followed in time. Raises ClockTooFar."""


class Control:
    """Answers the control API."""

    def __init__(self, ground: Ground, node: Node) -> None:
        self._ground = ground
        self._node = node
        self._started_s = ground.clock.outside_s()

    async def answer(self, request: Request, path: str) -> Response:
        """Return the answer to a request whose path after the prefix is `path`."""
        match request.method, path:
            case ("GET" | "HEAD", "health"):
                return _json(*self._health(is_loopback(request.client_ip)))
            case ("GET" | "HEAD", "alive"):
                return _json(200, {"status": "alive"})
            case ("GET", "status"):
                return _json(*await self._status(is_loopback(request.client_ip)))
            case ("GET", "clock"):
                return _json(200, self._clock())
            case ("POST", "clock"):
                return await self._advance(request)
            case ("GET", _) if path.startswith(CODE_PATH):
                return await self._code(path.removeprefix(CODE_PATH))
            case ("PUT", _) if path.startswith(ANSWER_PATH):
                return await self._receive(path.removeprefix(ANSWER_PATH), request.body)
            case (_, "health" | "alive" | "status" | "clock"):
                return _json(405, {"message": f"/_cumulet/{path} does not take {request.method}"})
            case _:
                return _json(
                    404, {"message": f"there is no /_cumulet/{path}; there are health, alive, status and clock"}
                )

    async def _code(self, path: str) -> Response:
        from cumulet.services.lambda_.control.code_urls import load_code

        code = await load_code(self._ground, path)
        if code is None:
            return _json(403, {"message": "this URL is not valid, or no longer: GetFunction gives out another"})
        return Response(200, (("content-type", "application/zip"),), code)

    async def _receive(self, path: str, body: bytes) -> Response:
        from cumulet.services.cloudformation.answers import receive

        if not await receive(self._ground, path, body):
            return _json(403, {"message": "nobody waits for an answer at this URL, or no longer"})
        # Functions seldom read the answer to their answer: a connection that stays open would keep them from ending.
        return Response(200, (("connection", "close"),), b"")

    def _health(self, on_this_machine: bool) -> tuple[int, dict[str, Any]]:
        settings, trouble = self._ground.settings, self._trouble()
        standing = {"status": "ok"}
        if trouble is not None:
            standing = {"status": "failing", "message": trouble if on_this_machine else "the store is not available"}
        # Of no use elsewhere, and nobody's business.
        local = {}
        if on_this_machine:
            server_pid = os.getppid() if settings.worker else os.getpid()
            local = {"pid": os.getpid(), "server_pid": server_pid, "data_dir": str(settings.data_dir.resolve())}
        health = {
            **standing,
            "version": __version__,
            "endpoint": settings.endpoint,
            **local,
            "store": self._ground.store.engine,
            "durability": settings.durability,
            "region": settings.region,
            "account": settings.account,
            "strict": settings.strict,
            "workers": settings.workers,
            "uptime_seconds": round(self._ground.clock.outside_s() - self._started_s, 3),
        }
        return 200 if trouble is None else 503, health

    def _trouble(self) -> str | None:
        if (trouble := self._ground.store.trouble) is not None:
            return trouble
        # A database that refuses to be written to, a disk that is full, a store that takes for ever.
        if (silent_s := self._node.silent_s()) > SILENT_SECONDS_MAX:
            return f"This server has not been able to write to its store for {silent_s:.0f} seconds."
        return None

    async def _status(self, on_this_machine: bool) -> tuple[int, dict[str, Any]]:
        def load(tx: ReadTx) -> tuple[list[NodeRecord], list[LeaseRecord]]:
            return list(NODES.scan(tx, SYSTEM)), list(LEASES.scan(tx, SYSTEM))

        status, health = self._health(on_this_machine)
        if status != 200:
            return status, health
        nodes, leases = await self._ground.store.read(load)
        now_ms = self._ground.clock.outside_ms()
        return status, {
            **health,
            "clock": self._clock(),
            "nodes": [
                {
                    "node_id": node.node_id,
                    "version": node.version,
                    "up_seconds": max(now_ms - node.started_ms, 0) // 1000,
                    "answers_this": node.node_id == self._node.node_id,
                    **({"host": node.host, "pid": node.pid, "address": node.address} if on_this_machine else {}),
                }
                for node in sorted(nodes, key=lambda node: node.started_ms)
            ],
            # Their names tell of accounts and stacks.
            **({"leases": [_render_lease(lease) for lease in leases]} if on_this_machine else {}),
        }

    def _clock(self) -> dict[str, Any]:
        clock = self._ground.clock
        return {"now_ms": clock.now_ms(), "ahead_seconds": clock.ahead_ms / 1000}

    async def _advance(self, request: Request) -> Response:
        # Nobody signs here, and moving the clock ends sessions and lets items expire.
        if not is_loopback(request.client_ip):
            return _json(403, {"message": "only this machine may move the clock"})
        # A web page can post a form to this machine unasked, but not JSON: browsers ask permission for that first.
        if (request.headers.get("content-type") or "").partition(";")[0].strip() != "application/json":
            return _json(415, {"message": "send application/json"})
        try:
            body = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _json(400, {"message": f"the body is not JSON: {error}"})
        seconds = body.get("advance_seconds") if isinstance(body, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= ADVANCE_SECONDS_MAX:
            return _json(400, {"message": f"advance_seconds is a number from 0 to {ADVANCE_SECONDS_MAX}"})
        try:
            behind = await self._node.advance_clock(seconds)
        except ClockTooFar:
            return _json(400, {"message": "the clock does not go beyond the year 3000"})
        if behind:
            names = ", ".join(f"{node.node_id} ({node.host}, process {node.pid})" for node in behind)
            message = f"the clock is moved, but these nodes have not followed yet: {names}"
            return _json(503, {"message": message, **self._clock()})
        return _json(200, self._clock())


def _render_lease(lease: LeaseRecord) -> dict[str, Any]:
    return {"name": lease.name, "node_id": lease.holder, "epoch": lease.epoch}


def _json(status: int, body: Any) -> Response:
    return Response(status, (("content-type", "application/json"),), msgspec.json.encode(body) + b"\n")
