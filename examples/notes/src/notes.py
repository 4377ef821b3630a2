"""Notes in a DynamoDB table.

The partition key is the notebook, the sort key the note's id. An id begins with the time, so that a Query backwards
lists the newest notes first without an index. There is one notebook; with an authorizer in front, its user would be it.
"""

import json
import os
import re
import secrets
import time
from typing import Any

import boto3

Note = dict[str, Any]

NOTEBOOK = "default"
TABLE_NAME = os.environ["TABLE_NAME"]
WRITES = {"PutItem", "UpdateItem", "DeleteItem"}

dynamodb = boto3.client("dynamodb")


class NoteNotFound(Exception):
    """There is no note of that id."""


class NoteChanged(Exception):
    """The note is not at the version that the caller expects."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


def is_note_id(text: str) -> bool:
    """Return whether `text` can be the id of a note."""
    return re.fullmatch(r"[0-9a-f]{20}", text) is not None


def create_note(title: str, text: str) -> Note:
    """Keep a new note and return it."""
    now_ms = time.time_ns() // 1_000_000
    note_id = f"{now_ms:012x}{secrets.token_hex(4)}"
    item = {
        **key(note_id),
        "title": {"S": title},
        "text": {"S": text},
        "version": {"N": "1"},
        "createdAt": {"S": timestamp(now_ms)},
        "updatedAt": {"S": timestamp(now_ms)},
    }
    call("PutItem", dynamodb.put_item, Item=item, ConditionExpression="attribute_not_exists(noteId)")
    return from_item(item)


def read_note(note_id: str) -> Note:
    """Return a note."""
    item = call("GetItem", dynamodb.get_item, Key=key(note_id), ConsistentRead=True).get("Item")
    if item is None:
        raise NoteNotFound(note_id)
    return from_item(item)


def list_notes(limit: int, before: str | None) -> tuple[list[Note], str | None]:
    """Return up to `limit` notes, newest first, and the id before which there are more."""
    start = {} if before is None else {"ExclusiveStartKey": key(before)}
    output = call(
        "Query",
        dynamodb.query,
        KeyConditionExpression="notebook = :notebook",
        ExpressionAttributeValues={":notebook": {"S": NOTEBOOK}},
        ScanIndexForward=False,
        Limit=limit,
        **start,
    )
    last = output.get("LastEvaluatedKey")
    return [from_item(item) for item in output["Items"]], last["noteId"]["S"] if last else None


def update_note(note_id: str, title: str, text: str, expected_version: int | None) -> Note:
    """Give a note a new title and text, and return it."""
    output = call_if_current(
        "UpdateItem",
        dynamodb.update_item,
        note_id,
        expected_version,
        values={
            ":title": {"S": title},
            ":text": {"S": text},
            ":one": {"N": "1"},
            ":now": {"S": timestamp(time.time_ns() // 1_000_000)},
        },
        UpdateExpression="SET title = :title, #text = :text, updatedAt = :now ADD version :one",
        ExpressionAttributeNames={"#text": "text"},
        ReturnValues="ALL_NEW",
    )
    return from_item(output["Attributes"])


def delete_note(note_id: str, expected_version: int | None) -> None:
    """Remove a note."""
    call_if_current("DeleteItem", dynamodb.delete_item, note_id, expected_version, values={})


def call_if_current(
    operation: str, method: Any, note_id: str, expected_version: int | None, values: dict[str, Any], **params: Any
) -> dict[str, Any]:
    """Call a write on a note that must be there and, if a version is expected, be at that version."""
    condition = "attribute_exists(noteId)"
    if expected_version is not None:
        condition += " AND version = :expected"
        values = {**values, ":expected": {"N": str(expected_version)}}
    if values:
        params["ExpressionAttributeValues"] = values
    try:
        return call(
            operation,
            method,
            Key=key(note_id),
            ConditionExpression=condition,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **params,
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as failure:
        if (item := failure.response.get("Item")) is None:
            raise NoteNotFound(note_id) from None
        raise NoteChanged(int(item["version"]["N"])) from None


def call(operation: str, method: Any, **params: Any) -> dict[str, Any]:
    """Call the table and log the capacity that this consumed."""
    output = method(TableName=TABLE_NAME, ReturnConsumedCapacity="TOTAL", **params)
    units = output["ConsumedCapacity"]["CapacityUnits"]
    line = {
        "event": "ConsumedCapacity",
        "operation": operation,
        "table": TABLE_NAME,
        "readUnits": 0 if operation in WRITES else units,
        "writeUnits": units if operation in WRITES else 0,
    }
    print(json.dumps(line))
    return output


def key(note_id: str) -> dict[str, Any]:
    return {"notebook": {"S": NOTEBOOK}, "noteId": {"S": note_id}}


def timestamp(now_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ms // 1000)) + f".{now_ms % 1000:03d}Z"


def from_item(item: dict[str, Any]) -> Note:
    return {
        "id": item["noteId"]["S"],
        "title": item["title"]["S"],
        "text": item["text"]["S"],
        "version": int(item["version"]["N"]),
        "createdAt": item["createdAt"]["S"],
        "updatedAt": item["updatedAt"]["S"],
    }
