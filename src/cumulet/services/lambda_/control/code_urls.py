"""The URL at which GetFunction offers a function's code: short-lived, and signed, so that it needs no permission."""

import hmac
import re
from base64 import urlsafe_b64encode

from cumulet.scope import Scope
from cumulet.services.kit import Call, Ground
from cumulet.services.lambda_.records import FUNCTIONS, LAYERS, FunctionRecord, VersionRecord, find_version
from cumulet.store import blobs
from cumulet.store.api import ReadTx

CODE_PREFIX = "/_cumulet/lambda/code/"

VALID_S = 600
"""API reference of GetFunction: ten minutes."""

_EXPIRES = re.compile(r"[0-9]{1,12}")
_VERSION = re.compile(r"[0-9]{1,15}")


def render_code_url(ground: Ground, call: Call, scope: Scope, function: FunctionRecord, version: VersionRecord) -> str:
    """Return a URL that serves a version's code for ten minutes, that of $LATEST no longer than until it changes."""
    name, secret = version.function_name, function.code_url_secret
    return render_blob_url(ground, call, scope, name, version.version, secret, version.code_blob)


def render_blob_url(
    ground: Ground, call: Call, scope: Scope, name: str, version: str, secret: bytes, code_blob: str
) -> str:
    """Return a URL that serves what `name` and `version` stand for: a function's name, or layer:NAME."""
    expires_s = call.now_ms // 1000 + VALID_S
    path = f"{scope.account}/{scope.region}/{name}/{version}/{expires_s}/{_sign(secret, code_blob, expires_s)}"
    return f"{ground.settings.endpoint}{CODE_PREFIX}{path}"


async def load_code(ground: Ground, path: str) -> bytes | None:
    """Return the archive behind the URL whose path after `CODE_PREFIX` is `path`; None for one that is not valid."""
    parts = path.split("/")
    if len(parts) != 6 or not _EXPIRES.fullmatch(parts[4]):
        return None
    account, region, name, version, expires, signature = parts
    if int(expires) * 1000 < ground.clock.now_ms():
        return None

    def load(tx: ReadTx) -> bytes | None:
        found = _find(tx, Scope(account, region), name, version)
        if found is None or not hmac.compare_digest(_sign(*found, int(expires)).encode(), signature.encode()):
            return None
        return blobs.load(tx, found[1])

    return await ground.store.read(load)


def _find(tx: ReadTx, scope: Scope, name: str, version: str) -> tuple[bytes, str] | None:
    """Return the secret and the blob of what a URL names."""
    kind, colon, layer_name = name.partition(":")
    if colon:
        known = kind == "layer" and _VERSION.fullmatch(version) is not None
        layer = LAYERS.find(tx, scope, layer_name, int(version)) if known else None
        return None if layer is None else (layer.code_url_secret, layer.code_blob)
    function, found = FUNCTIONS.find(tx, scope, name), find_version(tx, scope, name, version)
    return None if function is None or found is None else (function.code_url_secret, found.code_blob)


def _sign(secret: bytes, code_blob: str, expires_s: int) -> str:
    message = f"{code_blob}:{expires_s}".encode()
    return urlsafe_b64encode(hmac.digest(secret, message, "sha256")).decode().rstrip("=")
