"""How cost and memory grow with a table: the same requests at 10^3, 10^4, ... items, loaded through BatchWriteItem."""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from furnish import connect, resident_mb
from load import http_bytes, load, signed
from rich.table import Table

BATCH = 25
LOADERS = 8
ROUNDS = 5
ROUND_SECONDS = 0.6
PARTITION_ITEMS = 20


def item_of(number: int) -> dict[str, Any]:
    """Return one item; twenty share a partition."""
    return {
        "pk": {"S": f"p{number // PARTITION_ITEMS:07}"},
        "sk": {"S": f"{number % PARTITION_ITEMS:04}"},
        "title": {"S": "A note of the usual length"},
        "body": {"S": "x" * 200},
        "version": {"N": str(number)},
    }


async def fill(port: int, request: Callable[[str, Any], bytes], first: int, last: int) -> None:
    """Write the items from `first` to `last` in batches, over several connections. Raises what is not answered so."""
    starts = iter(range(first, last, BATCH))

    async def write() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for start in starts:
            puts = [{"PutRequest": {"Item": item_of(n)}} for n in range(start, min(start + BATCH, last))]
            writer.write(request("BatchWriteItem", {"RequestItems": {"bench": puts}}))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            answer = json.loads(await reader.readexactly(length))
            if b" 200 " not in head[:20] or answer.get("UnprocessedItems"):
                raise RuntimeError(str(answer))
        writer.close()

    await asyncio.gather(*[write() for _ in range(LOADERS)])


def show_growth(items_max: int, durability: str) -> Table:
    """Return requests per second and resident memory at each size, beside the smallest."""
    from running import start_server

    table = Table("items", "loaded at", "GetItem /s", "PutItem /s", "Query of 20 /s", "memory MB", "file MB")
    with tempfile.TemporaryDirectory(prefix="cumulet-bench-") as folder:
        data = Path(folder) / "data"
        server = start_server(data, "--durability", durability)
        try:
            connect(server, "dynamodb").create_table(
                TableName="bench",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                BillingMode="PAY_PER_REQUEST",
            )

            def request(operation: str, body: Any) -> bytes:
                # Developer credentials prove nothing, so one signature does for all bodies.
                return http_bytes("POST", "/", {**headers, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}, body)

            head = signed(server.port, "dynamodb", None, "/", b"").decode().split("\r\n\r\n")[0].split("\r\n")[1:]
            headers = dict(line.split(": ", 1) for line in head if not line.lower().startswith("content-length"))

            def encoded(operation: str, body: Any) -> bytes:
                return request(operation, json.dumps(body).encode())

            count, size = 0, 1000
            while size <= items_max:
                began = time.perf_counter()
                asyncio.run(fill(server.port, encoded, count, size))
                pace = (size - count) / (time.perf_counter() - began)
                count = size
                rates = []
                for make in (_get, _put, _query):
                    requests = make(count, encoded)
                    asyncio.run(load(server.port, requests, 16, ROUND_SECONDS))
                    rounds = [asyncio.run(load(server.port, requests, 16, ROUND_SECONDS))[0] for _ in range(ROUNDS)]
                    rates.append(f"{statistics.median(rounds):,.0f}")
                stored = sum(path.stat().st_size for path in data.glob("cumulet.db*")) / 2**20
                resident = resident_mb(server.process.pid)
                table.add_row(f"{count:,}", f"{pace:,.0f} items/s", *rates, f"{resident:.0f}", f"{stored:.0f}")
                size *= 10
        finally:
            server.stop()
    return table


def _spread(count: int, encoded: Callable[[str, Any], bytes], operation: str, body: Callable[[int], Any]) -> Any:
    """Return requests for 500 items that lie all over the table, in turn."""
    step = max(1, count // 500)
    prepared = [encoded(operation, {"TableName": "bench", **body(n)}) for n in range(0, count, step)]
    numbers = iter(range(10**9))
    return lambda: prepared[next(numbers) * 7919 % len(prepared)]


def _get(count: int, encoded: Callable[[str, Any], bytes]) -> Any:
    return _spread(count, encoded, "GetItem", lambda n: {"Key": {key: item_of(n)[key] for key in ("pk", "sk")}})


def _put(count: int, encoded: Callable[[str, Any], bytes]) -> Any:
    # Each item in two versions, in turn: SQLite writes nothing, and syncs nothing, when a value does not change.
    versions = [
        _spread(count, encoded, "PutItem", lambda n, version=version: {"Item": {**item_of(n), "at": {"N": version}}})
        for version in ("1", "2")
    ]
    numbers = iter(range(10**9))
    return lambda: versions[next(numbers) // 500 % 2]()


def _query(count: int, encoded: Callable[[str, Any], bytes]) -> Any:
    condition = {"KeyConditionExpression": "pk = :pk"}
    return _spread(
        count, encoded, "Query", lambda n: {**condition, "ExpressionAttributeValues": {":pk": item_of(n)["pk"]}}
    )
