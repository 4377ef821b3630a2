"""A real browser that tests drive: Chromium without a window, through chromedriver's own HTTP interface (WebDriver).

https://www.w3.org/TR/webdriver2/ needs two requests to begin and one for each script, so no client library is wanted.
"""

import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from patience import PATIENCE_S, killed_if_silent

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
"""A test's browser talks to nobody but the test."""

ANSWER_SECONDS_MAX = PATIENCE_S


@dataclass(frozen=True)
class Browser:
    """One window."""

    session: str

    def go(self, url: str) -> None:
        """Show a page: scripts are its scripts from then on, with its origin."""
        _ask("POST", f"{self.session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what an async function with this body returns; its arguments are `arguments[0]` and so on."""
        body = (
            "const done = arguments[arguments.length - 1], fail = error => done({threw: String(error)});"
            f"(async (...arguments) => {{ {script} }})(...arguments).then(done, fail);"
        )
        return _ask("POST", f"{self.session}/execute/async", {"script": body, "args": list(arguments)})


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Yield a browser with a profile of its own."""
    driver = shutil.which("chromedriver")
    assert driver is not None, "the tests drive a browser: on Debian, apt install chromium chromium-driver"
    with tempfile.TemporaryDirectory(prefix="cumulet-browser-", ignore_cleanup_errors=True) as profile:
        process, address = _start(driver)
        try:
            options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
            made = _ask("POST", address, {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
            session = f"{address}/{made['sessionId']}"
            try:
                yield Browser(session)
            finally:
                _ask("DELETE", session)
        finally:
            _end(process)


def _start(driver: str) -> tuple["subprocess.Popen[str]", str]:
    """Return a driver that runs, and where it makes browsers."""
    while True:
        process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        said = []
        with killed_if_silent(process):
            for line in process.stdout:
                if "started successfully on port" in line:
                    return process, f"http://127.0.0.1:{line.strip().rstrip('.').rpartition(' ')[2]}/session"
                said.append(line)
        _end(process)
        # It takes a port that is free for one version of IP, and gives up when it is not for the other.
        assert "port not available" in "".join(said), f"chromedriver did not start: {said}"


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait(ANSWER_SECONDS_MAX)
    assert process.stdout is not None
    process.stdout.close()


def _ask(method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS_MAX) as answer:
        return json.load(answer)["value"]
