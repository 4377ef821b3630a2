"""PynamoDB: a table made, written, queried, changed in a transaction and removed by its model; Requests for HTTP."""

import os
from typing import Any

import requests
from pynamodb.attributes import (
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite


class Address(MapAttribute):
    city = UnicodeAttribute()


class ByCity(GlobalSecondaryIndex):
    class Meta:
        index_name = "by-city"
        projection = AllProjection()

    city = UnicodeAttribute(hash_key=True)
    total = NumberAttribute(range_key=True)


class Order(Model):
    class Meta:
        table_name = os.environ["TABLE"]
        region = os.environ["AWS_REGION"]
        host = os.environ.get("AWS_ENDPOINT_URL")
        billing_mode = "PAY_PER_REQUEST"

    customer = UnicodeAttribute(hash_key=True)
    number = NumberAttribute(range_key=True)
    city = UnicodeAttribute()
    total = NumberAttribute()
    tags = UnicodeSetAttribute(null=True)
    lines = ListAttribute(default=list)
    address = Address(null=True)
    raw = JSONAttribute(null=True)
    ordered = UTCDateTimeAttribute(null=True)
    version = VersionAttribute()
    by_city = ByCity()


def orders(_: dict[str, Any]) -> dict[str, Any]:
    if not Order.exists():
        Order.create_table(wait=True)
    with Order.batch_write() as batch:
        for number in range(30):
            batch.save(Order("ann", number, city="Bern" if number % 3 else "Rome", total=number * 10))
    first = Order.get("ann", 0)
    first.update(actions=[Order.tags.set({"a", "b"}), Order.total.add(5), Order.address.set(Address(city="Rome"))])
    found = {
        "queried": [order.number for order in Order.query("ann", Order.number.between(3, 6))],
        "filtered": Order.count("ann", filter_condition=Order.total >= 250),
        "indexed": [order.number for order in Order.by_city.query("Rome", ByCity.total > 200)],
        "scanned": sum(1 for _ in Order.scan(page_size=7)),
        "tags": sorted(Order.get("ann", 0).tags),
        "version": Order.get("ann", 0).version,
    }
    try:
        Order("ann", 1, city="Oslo", total=1).save(Order.number.does_not_exist())
    except PutError as refused:
        found["put"] = refused.cause_response_code
    connection = Connection(region=Order.Meta.region, host=Order.Meta.host)
    with TransactWrite(connection=connection) as both:
        both.save(Order("bob", 1, city="Oslo", total=7))
        both.update(Order.get("ann", 2), actions=[Order.total.set(0)])
    try:
        with TransactWrite(connection=connection) as both:
            both.save(Order("bob", 2, city="Oslo", total=7))
            both.condition_check(Order, "ann", 2, condition=Order.total > 0)
    except TransactWriteError as refused:
        found["transaction"] = [reason and reason.code for reason in refused.cancellation_reasons]
    with TransactGet(connection=connection) as get:
        ann, bob = get.get(Order, "ann", 2), get.get(Order, "bob", 1)
    found["together"] = [ann.get().total, bob.get().total]
    found["left"] = sum(1 for _ in Order.query("bob"))
    Order.delete_table()
    return found


def fetch(event: dict[str, Any]) -> dict[str, Any]:
    answer = requests.get(f"{os.environ['AWS_ENDPOINT_URL']}{event['path']}", timeout=10)
    return {"status": answer.status_code, "type": answer.headers["content-type"]}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return (fetch if "path" in event else orders)(event)
