"""DynamoDB: tables of items, and the expression language over them."""

from cumulet.services.kit import Ground, Service, Unavailable, collect

_UNAVAILABLE = Unavailable("InternalServerError", 500, "Internal server error")


def build(ground: Ground) -> Service:
    """Return the service."""
    from cumulet.services.dynamodb.operations import (
        backups,
        batch_execute_statement,
        batch_get_item,
        batch_write_item,
        contributor_insights,
        delete_item,
        execute_statement,
        execute_transaction,
        exports,
        get_item,
        imports,
        put_item,
        query,
        recovery,
        resource_policies,
        scan,
        search_vectors,
        settings,
        tables,
        tags,
        transact_get_items,
        transact_write_items,
        ttl,
        update_item,
        update_table,
    )
    from cumulet.services.dynamodb.resource_policies import policy_of, tags_of
    from cumulet.services.dynamodb.sweeps import SweepingPlane

    operations = collect(
        backups,
        batch_execute_statement,
        batch_get_item,
        batch_write_item,
        contributor_insights,
        delete_item,
        execute_statement,
        execute_transaction,
        exports,
        get_item,
        imports,
        put_item,
        query,
        recovery,
        resource_policies,
        scan,
        search_vectors,
        settings,
        tables,
        tags,
        transact_get_items,
        transact_write_items,
        ttl,
        update_item,
        update_table,
    )
    return Service(
        "dynamodb",
        operations,
        "dynamodb",
        denied_status=400,
        unavailable=_UNAVAILABLE,
        plane=SweepingPlane(ground),
        policy_of=policy_of,
        tags_of=tags_of,
    )


def build_streams(ground: Ground) -> Service:
    """Return the service that reads streams: an API of its own, with DynamoDB's IAM actions."""
    from cumulet.services.dynamodb.operations import streams
    from cumulet.services.dynamodb.plane import DynamoDbPlane
    from cumulet.services.dynamodb.resource_policies import policy_of, tags_of

    return Service(
        "dynamodbstreams",
        collect(streams),
        "dynamodb",
        denied_status=400,
        unavailable=_UNAVAILABLE,
        plane=DynamoDbPlane(ground),
        policy_of=policy_of,
        tags_of=tags_of,
    )
