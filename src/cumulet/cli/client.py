"""The command line's connection to a server: boto3 clients at one endpoint, and the server's own health."""

import json
import urllib.error
import urllib.request
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cumulet.cli.console import CliError
from cumulet.settings import ClientSettings, make_client_settings

ANSWER_SECONDS_MAX = 10
"""A server waits for a database that is away for half of that."""


class Connection:
    """A server that can be called. Clients are made on first use."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._session = boto3.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            aws_session_token=settings.session_token,
            region_name=settings.region,
        )
        self.client = cache(self._make_client)

    def _make_client(self, service: str) -> Any:
        # No retries: an error that a person waits for should be seen at once.
        config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, read_timeout=920)
        return self._session.client(service, endpoint_url=self.settings.endpoint, config=config)  # type: ignore[call-overload]

    def health(self) -> dict[str, Any]:
        """Return what /_cumulet/health says, with a message if it cannot serve. Raises CliError if none answers."""
        return self._ask("health")

    def status(self) -> dict[str, Any]:
        """Return what /_cumulet/status says: the health, and the nodes with their work. Raises CliError likewise."""
        return self._ask("status")

    def _ask(self, what: str) -> dict[str, Any]:
        url = f"{self.settings.endpoint}/_cumulet/{what}"
        try:
            try:
                response = urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX)
            except urllib.error.HTTPError as failing:
                if failing.code != 503:
                    raise
                response = failing
            with response:
                answer: dict[str, Any] = json.load(response)
        except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
            raise CliError(
                f"no Cumulet answers at {self.settings.endpoint} ({getattr(error, 'reason', error)}). "
                "Start one with `cumulet up`, or name another with --endpoint."
            ) from error
        return answer


def connect(endpoint: str | None, region: str | None) -> Connection:
    """Return a connection to the server that the flags or the environment name. Raises CliError if none answers."""
    connection = Connection(make_client_settings(endpoint=endpoint, region=region))
    connection.health()
    return connection


def explain(error: ClientError | BotoCoreError) -> str:
    """Return an AWS error as one line."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        return f"{details.get('Code')}: {details.get('Message')} ({error.operation_name})"
    return str(error)


def is_error(error: ClientError, code: str) -> bool:
    """Tell whether an AWS error has this code."""
    return error.response.get("Error", {}).get("Code") == code
