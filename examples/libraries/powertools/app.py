"""AWS Lambda Powertools: one resolver for each kind of API, a logger, metrics, idempotency, parameters."""

import os
from typing import Any
from uuid import uuid4

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.parameters import DynamoDBProvider
from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics(namespace="Libraries")
http, rest = APIGatewayHttpResolver(), APIGatewayRestResolver()
payments = DynamoDBPersistenceLayer(table_name=os.environ["TABLE"])
parameters = DynamoDBProvider(table_name=os.environ["TABLE"])


@idempotent_function(
    data_keyword_argument="order", persistence_store=payments, config=IdempotencyConfig(event_key_jmespath="number")
)
def pay(*, order: dict[str, Any]) -> dict[str, Any]:
    if order.get("fails"):
        raise ValueError("no money")
    return {"payment": str(uuid4()), "number": order["number"]}


def serve(app: APIGatewayHttpResolver | APIGatewayRestResolver, prefix: str) -> None:
    @app.get(f"{prefix}/orders/<number>")
    def show(number: str) -> dict[str, Any]:
        if number == "none":
            raise NotFoundError("no such order")
        return {"number": number, "query": app.current_event.query_string_parameters or {}}

    @app.post(f"{prefix}/payments")
    def take() -> Response:
        return Response(201, "application/json", pay(order=app.current_event.json_body))

    @app.get(f"{prefix}/parameters/<name>")
    def parameter(name: str) -> dict[str, Any]:
        return {name: parameters.get(name, max_age=0)}


serve(http, "/http")
serve(rest, "/rest")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    logger.info("asked", path=event.get("rawPath") or event.get("path"))
    return (http if event.get("version") == "2.0" else rest).resolve(event, context)
