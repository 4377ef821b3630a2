"""DynamoDB: tables of items, and the expression language over them."""

from cumulet.services.kit import Ground, Service, collect


def build(ground: Ground) -> Service:
    """Return the service."""
    from cumulet.services.dynamodb.operations import (
        batch_get_item,
        batch_write_item,
        delete_item,
        get_item,
        put_item,
        query,
        scan,
        tables,
        tags,
        update_item,
        update_table,
    )
    from cumulet.services.dynamodb.plane import DynamoDbPlane

    operations = collect(
        batch_get_item,
        batch_write_item,
        delete_item,
        get_item,
        put_item,
        query,
        scan,
        tables,
        tags,
        update_item,
        update_table,
    )
    return Service("dynamodb", operations, "dynamodb", denied_status=400, plane=DynamoDbPlane(ground))
