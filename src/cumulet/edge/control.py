"""/_cumulet: what an operator asks of the server itself. Everything about AWS goes through AWS's own APIs.

GET  /_cumulet/health                       alive, what it is, where its data lies
GET  /_cumulet/clock                        the server's time
POST /_cumulet/clock  {"advance_seconds"}   move it forward (TTL, retries and token expiry follow), from this machine
GET  /_cumulet/lambda/code/...              a function's code, behind the signed URL that GetFunction gives out
"""

import os
from typing import Any

import msgspec

from cumulet import __version__
from cumulet.services.kit import Ground
from cumulet.settings import is_loopback
from cumulet.wire.message import Request, Response

CODE_PATH = "lambda/code/"
ADVANCE_SECONDS_MAX = 10 * 366 * 24 * 3600
CLOCK_MS_MAX = 32_503_680_000_000
"""The year 3000. Dates have four digits for their year, and whoever renders a later one fails."""


class Control:
    """Answers the control API."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._started_s = ground.clock.monotonic_s()

    async def answer(self, request: Request, path: str) -> Response:
        """Return the answer to a request whose path after the prefix is `path`."""
        match request.method, path:
            case ("GET" | "HEAD", "health"):
                return _json(200, self._health(is_loopback(request.client_ip)))
            case ("GET", "clock"):
                return _json(200, {"now_ms": self._ground.clock.now_ms()})
            case ("POST", "clock"):
                return self._advance(request)
            case ("GET", _) if path.startswith(CODE_PATH):
                return await self._code(path.removeprefix(CODE_PATH))
            case (_, "health" | "clock"):
                return _json(405, {"message": f"/_cumulet/{path} does not take {request.method}"})
            case _:
                return _json(404, {"message": f"there is no /_cumulet/{path}; there are health and clock"})

    async def _code(self, path: str) -> Response:
        from cumulet.services.lambda_.control.code_urls import load_code

        code = await load_code(self._ground, path)
        if code is None:
            return _json(403, {"message": "this URL is not valid, or no longer: GetFunction gives out another"})
        return Response(200, (("content-type", "application/zip"),), code)

    def _health(self, on_this_machine: bool) -> dict[str, Any]:
        settings = self._ground.settings
        # Of no use elsewhere, and nobody's business.
        local = {}
        if on_this_machine:
            server_pid = os.getppid() if settings.worker else os.getpid()
            local = {"pid": os.getpid(), "server_pid": server_pid, "data_dir": str(settings.data_dir.resolve())}
        return {
            "status": "ok",
            "version": __version__,
            "endpoint": settings.endpoint,
            **local,
            "store": "sqlite",
            "durability": settings.durability,
            "region": settings.region,
            "account": settings.account,
            "strict": settings.strict,
            "workers": settings.workers,
            "uptime_seconds": round(self._ground.clock.monotonic_s() - self._started_s, 3),
        }

    def _advance(self, request: Request) -> Response:
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
        if self._ground.clock.now_ms() + seconds * 1000 > CLOCK_MS_MAX:
            return _json(400, {"message": "the clock does not go beyond the year 3000"})
        self._ground.clock.advance(seconds)
        return _json(200, {"now_ms": self._ground.clock.now_ms()})


def _json(status: int, body: Any) -> Response:
    return Response(status, (("content-type", "application/json"),), msgspec.json.encode(body) + b"\n")
