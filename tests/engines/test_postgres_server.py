"""A server over PostgreSQL as clients see it: as over SQLite, and in AWS's words while its database is away."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients.test_dynamodb_boto3 import (  # noqa: F401
    dynamodb,
    table,
    test_a_failed_condition_carries_the_item,
    test_an_item_is_updated_and_deleted,
    test_bad_input,
    test_every_type_comes_back,
    test_query_scan_and_batches,
    test_the_control_plane,
)
from cumulet.cli.client import connect
from cumulet.cli.console import CliError
from cumulet.cli.status import show_status
from postgres import PASSWORD, Cluster
from running import Server, start_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("over-postgres")
    running = start_server(folder / "data", store=postgres.url(postgres.new_database()))
    yield running
    assert running.stop() == 0


@pytest.fixture
def client(server: Server) -> Callable[..., Any]:
    return server.client


def error_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as raised:
        call()
    error: Any = raised.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read()


def test_while_the_database_is_away_each_service_says_try_again(tmp_path: Path) -> None:
    with Cluster.started() as own:
        url = own.url(own.new_database())
        running = start_server(tmp_path / "data", store=url)
        try:
            calls: dict[tuple[str, int], Callable[[], Any]] = {
                ("InternalServerError", 500): running.client("dynamodb").list_tables,
                ("ServiceException", 500): running.client("lambda").list_functions,
                ("ServiceFailure", 500): running.client("iam").list_users,
                ("ServiceUnavailableException", 500): running.client("logs").describe_log_groups,
                ("ServiceUnavailableException", 503): running.client("apigateway").get_rest_apis,
                ("ServiceUnavailable", 503): running.client("s3").list_buckets,
            }
            for call in calls.values():
                call()
            own.stop()
            assert {error_of(call) for call in calls.values()} == set(calls)
            assert error_of(running.client("cloudformation").describe_stacks) == ("ServiceUnavailable", 503)
            assert get(f"{running.endpoint}/_aws/execute-api/abcdefghij/prod/") == (
                503,
                b'{"message":"Service Unavailable"}',
            )
            for path in ("health", "status"):
                status, body = get(f"{running.endpoint}/_cumulet/{path}")
                health = json.loads(body)
                assert (status, health["status"], health["store"]) == (503, "failing", "postgres")
                assert "has been out of reach for" in health["message"]
                assert PASSWORD not in health["message"]
            with pytest.raises(CliError, match="cannot serve: The store's database"):
                show_status(connect(running.endpoint, None))
            assert get(f"{running.endpoint}/_cumulet/alive") == (200, b'{"status":"alive"}\n')
            own.start()
            for call in calls.values():
                call()
            assert get(f"{running.endpoint}/_cumulet/health")[0] == 200
        finally:
            assert running.stop() == 0
    log = (tmp_path / "data.log").read_text()
    assert "the store cannot be reached" in log
    assert PASSWORD not in log


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("/test_", "/no_such_"), "There is no database"),
        ((PASSWORD, "wrong"), "refuses the login"),
        (("postgresql://", "mysql://"), "begins with postgresql://"),
    ],
    ids=["no database", "a wrong password", "another scheme"],
)
def test_a_database_that_cannot_be_used_ends_the_start_with_words(
    postgres: Cluster, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    url = postgres.url(postgres.new_database()).replace(*change)

    with pytest.raises(RuntimeError) as raised, contextlib.ExitStack() as stack:
        stack.callback(start_server(tmp_path / "data", store=url).stop)

    said = str(raised.value)
    assert words in " ".join(said.split())
    assert "Traceback" not in said
    assert PASSWORD not in said


def test_two_servers_share_a_database_and_not_a_folder(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.url(postgres.new_database())
    one = start_server(tmp_path / "one", store=url)
    try:
        with pytest.raises(RuntimeError, match="in use by another"):
            start_server(tmp_path / "one", store=url)
        two = start_server(tmp_path / "two", store=url)
        try:
            one.client("dynamodb").create_table(
                TableName="shared",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            two.client("dynamodb").put_item(TableName="shared", Item={"pk": {"S": "a"}})
            assert one.client("dynamodb").scan(TableName="shared")["Count"] == 1
            two.client("dynamodb").delete_table(TableName="shared")
            assert error_of(lambda: one.client("dynamodb").scan(TableName="shared"))[0] == "ResourceNotFoundException"
        finally:
            assert two.stop() == 0
    finally:
        assert one.stop() == 0
