"""Web sites that tests need: an issuer of tokens, a backend, another origin."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from patience import PATIENCE_S, join


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Yield the URL of a site on loopback, whose requests the handler answers."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{site.server_port}"
    finally:
        site.shutdown()
        join(thread)
        site.server_close()


def let_in(ask: Callable[[], tuple[int, *tuple[Any, ...]]]) -> tuple[Any, ...]:
    """Return the answer to a good token. Its issuer has 1.5 s to tell its keys, and the machine may be busy."""
    deadline = time.monotonic() + PATIENCE_S
    while (answer := ask())[0] == 401:
        assert time.monotonic() < deadline, "the issuer's keys are not known"
        time.sleep(0.05)
    return answer
