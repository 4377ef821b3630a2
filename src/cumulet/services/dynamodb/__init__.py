"""DynamoDB: tables of items, and the expression language over them."""

from cumulet.services.kit import Ground, Service, collect


def build(ground: Ground) -> Service:
    """Return the service."""
    from cumulet.services.dynamodb.operations import get_item, put_item, tables, tags

    return Service("dynamodb", collect(get_item, put_item, tables, tags), "dynamodb", denied_status=400)
