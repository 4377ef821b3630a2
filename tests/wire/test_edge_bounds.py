"""Hostile and broken HTTP against the running server: clear answers, and the server goes on."""

import http.client
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from running import Server


def exchange(server: Server, sent: bytes) -> bytes:
    """Return everything that the server says to these bytes until it closes the connection or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_health(fetch: Callable[..., Any], server: Server) -> None:
    status, headers, body = fetch("GET", "/_cumulet/health")
    health = json.loads(body)
    assert (status, headers["content-type"], health["status"]) == (200, "application/json", "ok")
    assert (health["pid"], health["endpoint"]) == (server.process.pid, server.endpoint)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/_cumulet/health", 405), ("GET", "/_cumulet/nothing", 404), ("POST", "/_cumulet/clock", 415)],
)
def test_control_refuses(fetch: Callable[..., Any], method: str, path: str, status: int) -> None:
    assert fetch(method, path, b"" if method == "POST" else None)[0] == status


def test_a_header_that_is_too_large_gets_431(server: Server) -> None:
    answer = exchange(server, b"GET /_cumulet/health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("long", ["path", "header"])
def test_dynamodb_takes_heads_of_16_kb(fetch: Callable[..., Any], long: str) -> None:
    def ask(size: int) -> tuple[int, bytes]:
        path = "/" + "a" * (size if long == "path" else 0)
        headers = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "X-More": "a" * (size if long == "header" else 0)}
        status, _, body = fetch("POST", path, b"{}", headers)
        return status, body

    assert b"MissingAuthenticationToken" in ask(15_000)[1]
    status, body = ask(17_000)
    assert (status, json.loads(body)["message"]) == (400, "The request line and headers are too large.")


def test_headers_that_never_end_get_431(server: Server) -> None:
    answer = exchange(server, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_too_many_headers_get_431(server: Server) -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(300))
    assert exchange(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n",
        b"GET /\r\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_gets_400(server: Server, sent: bytes) -> None:
    assert exchange(server, sent).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.putrequest("POST", "/")
    connection.putheader("X-Amz-Target", "DynamoDB_20120810.PutItem")
    connection.putheader("Content-Type", "application/x-amz-json-1.0")
    connection.putheader("Content-Length", str(64 * 1024 * 1024))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"RequestEntityTooLargeException" in answer.read()
    connection.close()


def test_a_chunked_body_that_grows_too_large_is_refused(server: Server) -> None:
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(20):
                connection.sendall(chunk)
        except OSError:
            pass  # the server has stopped reading
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    first = b"GET /_cumulet/health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /_cumulet/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchange(server, first + last)
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"200", b"404"]
