"""APIs that call one another: an integration's URL that on AWS is an API which is here leads to this server.

Templates make such URLs of ids, https://{id}.execute-api.{region}.amazonaws.com; nobody else answers there for them.
"""

import re
from urllib.parse import urlsplit

from cumulet.scope import SYSTEM
from cumulet.services.apigateway.model import OWNERS
from cumulet.services.kit import Ground

_API_URL = re.compile(r"https://([a-z0-9]+)\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?![^/?])", re.IGNORECASE)


async def find_gate(ground: Ground, url: str) -> tuple[str, int] | None:
    """Return host and port for a URL's connection, which need no TLS, if it is that of an API here."""
    named = _API_URL.match(url)
    if named is None:
        return None
    owner = await ground.store.read(lambda tx: OWNERS.find(tx, SYSTEM, named[1].lower()))
    if owner is None or owner.scope.region != named[2].lower():
        return None
    return urlsplit(ground.settings.endpoint).hostname or "localhost", ground.settings.port
