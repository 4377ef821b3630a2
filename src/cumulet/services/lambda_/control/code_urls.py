"""The URL at which GetFunction offers a function's code: short-lived, and signed, so that it needs no permission."""

import hmac
import re
from base64 import urlsafe_b64encode

from cumulet.scope import Scope
from cumulet.services.kit import Call, Ground
from cumulet.services.lambda_.records import FUNCTIONS, FunctionRecord, VersionRecord, find_version
from cumulet.store import blobs
from cumulet.store.api import ReadTx

CODE_PREFIX = "/_cumulet/lambda/code/"

VALID_S = 600
"""API reference of GetFunction: ten minutes."""

_EXPIRES = re.compile(r"[0-9]{1,12}")


def render_code_url(ground: Ground, call: Call, scope: Scope, function: FunctionRecord, version: VersionRecord) -> str:
    """Return a URL that serves a version's code for ten minutes, that of $LATEST no longer than until it changes."""
    expires_s = call.now_ms // 1000 + VALID_S
    name = function.latest.function_name
    path = f"{scope.account}/{scope.region}/{name}/{version.version}/{expires_s}/{_sign(function, version, expires_s)}"
    return f"{ground.settings.endpoint}{CODE_PREFIX}{path}"


async def load_code(ground: Ground, path: str) -> bytes | None:
    """Return the archive behind the URL whose path after `CODE_PREFIX` is `path`; None for one that is not valid."""
    parts = path.split("/")
    if len(parts) != 6 or not _EXPIRES.fullmatch(parts[4]):
        return None
    account, region, name, qualifier, expires, signature = parts
    if int(expires) * 1000 < ground.clock.now_ms():
        return None

    def load(tx: ReadTx) -> bytes | None:
        function = FUNCTIONS.find(tx, Scope(account, region), name)
        version = find_version(tx, Scope(account, region), name, qualifier)
        if function is None or version is None:
            return None
        if not hmac.compare_digest(_sign(function, version, int(expires)).encode(), signature.encode()):
            return None
        return blobs.load(tx, version.code_blob)

    return await ground.store.read(load)


def _sign(function: FunctionRecord, version: VersionRecord, expires_s: int) -> str:
    message = f"{version.code_blob}:{expires_s}".encode()
    return urlsafe_b64encode(hmac.digest(function.code_url_secret, message, "sha256")).decode().rstrip("=")
