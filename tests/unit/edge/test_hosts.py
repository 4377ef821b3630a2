"""Which door a host and a path lead to."""

import pytest

from cumulet.edge.hosts import ApiDoor, ControlDoor, Door, FunctionDoor, ServiceDoor, find_door, possible_domain

DOORS: list[tuple[str, str, Door]] = [
    ("localhost:4566", "/", ServiceDoor("/")),
    ("localhost:4566", "/_cumulet/health", ControlDoor("health")),
    ("localhost:4566", "/_aws/execute-api/abc123/prod/notes/7", ApiDoor("abc123", "/prod/notes/7", "path")),
    ("localhost:4566", "/_aws/execute-api/abc123", ApiDoor("abc123", "", "path")),
    ("abc123.execute-api.localhost:4566", "/prod/a%2Fb", ApiDoor("abc123", "/prod/a%2Fb", "host")),
    ("ABC123.execute-api.us-east-1.amazonaws.com", "/prod", ApiDoor("abc123", "/prod", "host")),
    ("abc123.execute-api.localhost:4566", "/_cumulet/status", ApiDoor("abc123", "/_cumulet/status", "host")),
    ("abc123.lambda-url.us-east-1.localhost:4566", "/a", FunctionDoor("abc123", "/a")),
    ("abc123.lambda-url.us-east-1.localhost", "/_aws/execute-api/b", FunctionDoor("abc123", "/_aws/execute-api/b")),
    ("localhost:4566", "/_aws/lambda-url/abc123/a/b", FunctionDoor("abc123", "/a/b")),
    ("localhost:4566", "/_aws/lambda-url/abc123", FunctionDoor("abc123", "/")),
    ("bucket.s3.localhost:4566", "/key", ServiceDoor("/bucket/key")),
    ("my.dotted.bucket.s3.us-east-1.amazonaws.com", "/key", ServiceDoor("/my.dotted.bucket/key")),
    ("bucket.s3-us-west-2.amazonaws.com", "/", ServiceDoor("/bucket/")),
    ("s3.us-east-1.amazonaws.com", "/bucket/key", ServiceDoor("/bucket/key")),
    ("dynamodb.us-east-1.amazonaws.com", "/", ServiceDoor("/")),
    ("bucket.localhost:4566", "/key", ServiceDoor("/bucket/key")),
    ("s3.localhost:4566", "/bucket/key", ServiceDoor("/bucket/key")),
    ("s3.us-east-1.localhost", "/bucket/key", ServiceDoor("/bucket/key")),
    ("dynamodb.localhost:4566", "/", ServiceDoor("/")),
    ("", "/x", ServiceDoor("/x")),
]


@pytest.mark.parametrize(("host", "path", "door"), DOORS)
def test_door(host: str, path: str, door: Door) -> None:
    assert find_door(host, path) == door


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.example.com", "api.example.com"),
        ("API.Example.com:4566", "api.example.com"),
        ("api.example.localhost:4566", "api.example.localhost"),
        ("localhost:4566", None),
        ("cumulet:4566", None),
        ("127.0.0.1:4566", None),
        ("[::1]:4566", None),
        ("dynamodb.us-east-1.amazonaws.com", None),
        (".", "."),
        ("", None),
    ],
)
def test_which_hosts_can_be_custom_domain_names(host: str, name: str | None) -> None:
    assert possible_domain(host) == name
