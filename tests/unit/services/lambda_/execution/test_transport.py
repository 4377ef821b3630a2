"""boto3's plain calls inside a function: the bytes and the answers are those of urllib3, whatever a server says."""

import contextlib
import importlib.util
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from urllib3.connection import HTTPConnection

import cumulet

FILE = Path(cumulet.__file__).parent / "services/lambda_/runtimes/python/transport.py"
OK = b"HTTP/1.1 200 OK\r\nx-amzn-requestid: A1\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\n{}"


class Answers(threading.Thread):
    """A server that notes each request's bytes and says what it was given to say; an empty answer is a hang-up."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.answers: list[bytes] = []
        self.heard: list[bytes] = []

    def run(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                line, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as received:
            while request := _read_request(received):
                self.heard.append(request)
                answer = self.answers.pop(0)
                line.sendall(answer)
                if _ends(answer):
                    break


def _read_request(received: Any) -> bytes:
    head = b""
    while (part := received.readline()) not in (b"\r\n", b""):
        head += part
    length = next((int(one[15:]) for one in head.splitlines() if one.lower().startswith(b"content-length:")), 0)
    return bytes(head + part + received.read(length))


def _ends(answer: bytes) -> bool:
    # What has no length of its own, or another than it says, ends with its connection.
    return not answer.startswith(b"HTTP/1.1") or any(
        mark in answer for mark in (b"connection: close", b"x-until: end", b"x-short: 1")
    )


@pytest.fixture
def server() -> Iterator[Answers]:
    server = Answers()
    server.start()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()


@pytest.fixture
def transport() -> Iterator[Any]:
    """The module, and botocore's own way back afterwards."""
    own = URLLib3Session.send
    spec = importlib.util.spec_from_file_location("transport", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    URLLib3Session.send = own  # type: ignore[method-assign]


def request_to(server: str, **changes: Any) -> Any:
    headers = {"X-Amz-Target": "DynamoDB.GetItem", "Content-Type": "a/b", "User-Agent": "Boto3/1", "Bytes": b"\xc3\xa4"}
    values: dict[str, Any] = {"method": "POST", "data": b'{"TableName":"t"}', "url": f"{server}/"}
    extra = changes.pop("headers", {})
    return AWSRequest(**{**values, **changes}, headers={**headers, **extra}).prepare()


def outcome(session: Any, request: Any) -> Any:
    """Return all that a caller can see."""
    try:
        answer = session.send(request)
        return answer.status_code, list(answer.headers.items()), answer.content
    except Exception as failure:  # noqa: BLE001  whatever it is
        return type(failure).__name__, str(failure)


def asked_urllib3(session: Any, server: Answers) -> int:
    """Return how many of a session's requests urllib3 has made."""
    return int(session._manager.connection_from_url(server.url).num_requests)


ANSWERS = {
    "plain": OK,
    "an error": b'HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\n{""}',
    "a status without words": b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
    "a long body": b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + b"x" * 300_000,
    "a header twice": b"HTTP/1.1 200 OK\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 1\r\n\r\n1",
    "lines that end otherwise": b"HTTP/1.1 200 OK\nx-a: 1\ncontent-length: 1\n\n1",
    "a header in Latin-1": b"HTTP/1.1 200 OK\r\nx-a:  \xe4 b \r\ncontent-length: 1\r\n\r\n1",
    "an odd name": b"HTTP/1.1 200 OK\r\nx_a: 1\r\ncontent-length: 1\r\n\r\n1",
    "pieces": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    "pieces that break off": b"HTTP/1.1 200 OK\r\nx-short: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    "until the end": b"HTTP/1.1 200 OK\r\nx-until: end\r\n\r\nabc",
    "the last one": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n1",
    "kept alive": b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\ncontent-length: 1\r\n\r\n1",
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "go on first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "an older one": b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n1",
    "less than it says": b"HTTP/1.1 200 OK\r\nx-short: 1\r\ncontent-length: 9\r\n\r\nabc",
    "a head that breaks off": b"HTTP/1.1 200 OK\r\nx-short: 1\r\ncontent-le",
    "no HTTP": b"what?\r\n\r\n",
    "nothing at all": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_whatever_is_answered_is_understood_as_urllib3_does(server: Answers, transport: Any, answer: bytes) -> None:
    seen = []
    for way in ("own", "short"):
        if way == "short":
            transport.install()
        session = URLLib3Session(timeout=5)
        server.answers[:] = [OK, answer, OK]
        seen.append([outcome(session, request_to(server.url)) for _ in range(3)])
        seen[-1].append([*server.heard])
        server.heard.clear()
        short = asked_urllib3(session, server)
        session.close()
    assert seen[0] == seen[1]
    assert short < 3  # the case itself was asked the short way


def test_a_closed_session_begins_anew(server: Answers, transport: Any) -> None:
    transport.install()
    session = URLLib3Session()
    server.answers[:] = [OK] * 4
    for _ in range(2):
        assert [outcome(session, request_to(server.url))[0] for _ in range(2)] == [200, 200]
        assert asked_urllib3(session, server) == 1
        session.close()


OTHERS: dict[str, dict[str, Any]] = {
    "a query": {"url": "{}/a?b=c"},
    "a path that urllib3 mends": {"url": "{}/a b"},
    "a body of text": {"data": "text"},
    "a body that is read": {"data": None, "headers": {"Content-Length": "0", "Transfer-Encoding": "identity"}},
    "an Expect": {"headers": {"Expect": "200-maybe"}},
    "a host of its own": {"headers": {"Host": "other"}},
    "a line break in a header": {"headers": {"X-A": "a\r\nX-B: c"}},
    "a number in a header": {"headers": {"X-A": 1}},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_other_requests_go_the_way_of_urllib3(server: Answers, transport: Any, changes: dict[str, Any]) -> None:
    seen = []
    for way in ("own", "short"):
        if way == "short":
            transport.install()
        session = URLLib3Session(timeout=5)
        server.answers[:] = [OK, OK]
        first = outcome(session, request_to(server.url))
        url = changes.get("url", "{}/").format(server.url)
        seen.append((first, outcome(session, request_to(server.url, **{**changes, "url": url})), [*server.heard]))
        server.heard.clear()
        assert asked_urllib3(session, server) == 2
        session.close()
    assert seen[0] == seen[1]


def test_streams_own_timeouts_and_debug_logs_are_left_to_urllib3(server: Answers, transport: Any) -> None:
    transport.install()
    session: Any = URLLib3Session()
    server.answers[:] = [OK] * 5
    stream, patient = request_to(server.url), request_to(server.url)
    stream.stream_output = True
    patient.context = {"read_timeout": 3}
    session.send(request_to(server.url))
    assert session.send(stream).raw.read() == b"{}"
    session.send(patient)
    log = logging.getLogger("urllib3.connectionpool")
    log.setLevel(logging.DEBUG)
    try:
        session.send(request_to(server.url))
    finally:
        log.setLevel(logging.NOTSET)
    assert asked_urllib3(session, server) == 4
    session.send(request_to(server.url))
    assert asked_urllib3(session, server) == 4
    session.close()


def test_who_instruments_urllib3_sees_every_request(server: Answers, transport: Any) -> None:
    transport.install()
    session: Any = URLLib3Session()
    server.answers[:] = [OK] * 3
    seen = []
    own = HTTPConnection.request

    def request(self: Any, *args: Any, **more: Any) -> Any:
        seen.append(args[0])
        return own(self, *args, **more)

    HTTPConnection.request = request  # type: ignore[method-assign]
    try:
        for _ in range(2):
            session.send(request_to(server.url))
    finally:
        HTTPConnection.request = own  # type: ignore[method-assign]
    session.send(request_to(server.url))
    assert seen == ["POST", "POST"]
    assert asked_urllib3(session, server) == 2
    session.close()


def test_a_server_that_says_nothing_in_time(server: Answers, transport: Any) -> None:
    transport.install()
    session: Any = URLLib3Session(timeout=0.05)
    server.answers[:] = [OK, b"HTTP/1.1 100 Continue\r\n\r\n", OK]
    assert outcome(session, request_to(server.url))[0] == 200
    assert outcome(session, request_to(server.url)) == (
        "ReadTimeoutError",
        f'Read timeout on endpoint URL: "{server.url}/"',
    )
    assert asked_urllib3(session, server) == 1
    session.close()
