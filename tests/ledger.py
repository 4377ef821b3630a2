"""A mixed load on DynamoDB that keeps account of what it was told, and the check of a store against those accounts.

Every call ends in one of three ways. *Done*: the server acknowledged it, so it must be there, once. *Refused* (a 4xx):
it must not be there. *Unknown* (the connection broke, or a 5xx): it may be there, or be there later, once at most.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

TABLE = "ledger"
SHARED = 3
"""How many counters, lists and accounts all clients share: few, so that they meet."""

LIST_TOKENS_MAX = 40

Outcome = Literal["done", "refused", "unknown"]

RETRYABLE = {"InternalServerError", "InternalFailure"}
"""What AWS's clients retry. A store that cannot be reached must say nothing else."""

REFUSALS = {"ConditionalCheckFailedException", "TransactionCanceledException", "TransactionConflictException"}


def connect(endpoint: str, service: str = "dynamodb") -> Any:
    """Return a client that never retries by itself: each call is one call."""
    config = Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=20, parameter_validation=False)
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


def make_table(dynamodb: Any) -> None:
    """Make the table that the load writes to, with a stream."""
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


class Client(threading.Thread):
    """One client: makes one call after the other until it is told to stop, and keeps its account."""

    def __init__(self, endpoint: str, number: int, seed: int) -> None:
        super().__init__(daemon=True, name=f"client-{number}")
        self._dynamodb = connect(endpoint)
        self._chance = random.Random(seed + number)
        self._number = number
        self._stopping = threading.Event()
        self._calls = 0
        self.done = 0
        self.puts: dict[str, Outcome] = {}
        self.counted: list[tuple[str, int, Outcome]] = []
        self.added: Counter[Outcome] = Counter()
        self.tokens: list[tuple[str, str, Outcome]] = []
        self.pairs: dict[str, Outcome] = {}
        self.versions: dict[int, Outcome] = {}
        self.wrong: list[str] = []

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        kinds = (self._put, self._count, self._add, self._append, self._pair, self._version)
        while not self._stopping.is_set():
            self._calls += 1
            self._chance.choice(kinds)(self._calls)

    def _call(self, operation: str, **params: Any) -> tuple[Outcome, Any]:
        try:
            answer = getattr(self._dynamodb, operation)(**params)
        except ClientError as error:
            code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status >= 500:
                if code not in RETRYABLE:
                    self.wrong.append(f"{operation}: {status} {code} is not what AWS's clients retry")
                return "unknown", error
            if code not in REFUSALS:
                self.wrong.append(f"{operation}: {error}")
            return "refused", error
        except BotoCoreError as error:
            self._stopping.wait(0.05)  # the server is down; connecting again at once would only burn the processor
            return "unknown", error
        self.done += 1
        return "done", answer

    def _put(self, n: int) -> None:
        pk = f"put-{self._number}-{n}"
        item = {"pk": {"S": pk}, "value": {"S": "x" * self._chance.choice((10, 300, 3000))}}
        outcome, answer = self._call(
            "put_item", TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(pk)"
        )
        self.puts[pk] = outcome
        if outcome == "refused":
            self.wrong.append(f"{pk} was put for the first time and refused: {answer}")

    def _count(self, n: int) -> None:
        key = {"pk": {"S": f"count-{n % SHARED}"}}
        outcome, answer = self._call("get_item", TableName=TABLE, Key=key, ConsistentRead=True)
        if outcome != "done":
            return
        value = int(answer["Item"]["n"]["N"]) if "Item" in answer else 0
        condition = "n = :old" if value else "attribute_not_exists(n)"
        values = {":new": {"N": str(value + 1)}} | ({":old": {"N": str(value)}} if value else {})
        outcome, _ = self._call(
            "update_item",
            TableName=TABLE,
            Key=key,
            UpdateExpression="SET n = :new",
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
        )
        self.counted.append((key["pk"]["S"], value + 1, outcome))

    def _add(self, _: int) -> None:
        outcome, _answer = self._call(
            "update_item",
            TableName=TABLE,
            Key={"pk": {"S": f"add-{self._number}"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        self.added[outcome] += 1

    def _append(self, n: int) -> None:
        pk, token = f"list-{n % SHARED}-{n // LIST_TOKENS_MAX}", f"{self._number}:{n}"
        outcome, _ = self._call(
            "update_item",
            TableName=TABLE,
            Key={"pk": {"S": pk}},
            UpdateExpression="SET l = list_append(if_not_exists(l, :none), :token)",
            ExpressionAttributeValues={":none": {"L": []}, ":token": {"L": [{"S": token}]}},
        )
        self.tokens.append((pk, token, outcome))

    def _pair(self, n: int) -> None:
        name = f"{self._number}-{n}"
        puts = [
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": {"pk": {"S": f"pair-{side}-{name}"}},
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
            for side in ("a", "b")
        ]
        amount = self._chance.randint(1, 9)
        payer, payee = self._chance.sample(range(SHARED), 2)
        moves = [
            {
                "Update": {
                    "TableName": TABLE,
                    "Key": {"pk": {"S": f"account-{account}"}},
                    "UpdateExpression": "ADD balance :amount",
                    "ExpressionAttributeValues": {":amount": {"N": str(moved)}},
                }
            }
            for account, moved in ((payer, -amount), (payee, amount))
        ]
        self.pairs[name], _ = self._call("transact_write_items", TransactItems=puts + moves)

    def _version(self, n: int) -> None:
        self.versions[n], _ = self._call(
            "update_item",
            TableName=TABLE,
            Key={"pk": {"S": f"version-{self._number}"}},
            UpdateExpression="SET version = :n",
            # A call whose outcome is unknown may still be carried out, after the ones that follow it.
            ConditionExpression="attribute_not_exists(version) OR version < :n",
            ExpressionAttributeValues={":n": {"N": str(n)}},
        )


def check(endpoint: str, clients: list[Client]) -> None:
    """Raise AssertionError unless the store holds what the clients were told, and nothing else."""
    dynamodb = connect(endpoint)
    items = {item["pk"]["S"]: item for item in _scan(dynamodb)}
    history = _stream(dynamodb, connect(endpoint, "dynamodbstreams"))
    for client in clients:
        assert not client.wrong, client.wrong[:5]
        _check_puts(client, items)
        _check_versions(client, items, history)
    _check_counters(clients, items)
    _check_lists(clients, items)
    _check_pairs(clients, items)
    _check_history(items, history)


def _check_puts(client: Client, items: dict[str, Any]) -> None:
    for pk, outcome in client.puts.items():
        assert outcome != "done" or pk in items, f"{pk} was acknowledged and is gone"
    known = {pk for pk, outcome in client.puts.items() if outcome != "refused"}
    theirs = {pk for pk in items if pk.startswith(f"put-{client._number}-")}
    assert theirs <= known, f"nobody wrote {sorted(theirs - known)[:5]}"
    added = items.get(f"add-{client._number}", {"n": {"N": "0"}})
    sure, possible = client.added["done"], client.added["done"] + client.added["unknown"]
    assert sure <= int(added["n"]["N"]) <= possible, f"{sure} additions were acknowledged, {added['n']} are there"


def _check_counters(clients: list[Client], items: dict[str, Any]) -> None:
    for number in range(SHARED):
        pk = f"count-{number}"
        final = int(items[pk]["n"]["N"]) if pk in items else 0
        counted = [(value, outcome) for client in clients for key, value, outcome in client.counted if key == pk]
        done = [value for value, outcome in counted if outcome == "done"]
        assert len(done) == len(set(done)), f"{pk}: a value was acknowledged twice"
        assert set(range(1, final + 1)) >= set(done), f"{pk}: {max(done)} was acknowledged, it stands at {final}"
        unknown = {value for value, outcome in counted if outcome == "unknown"}
        assert set(range(1, final + 1)) - set(done) <= unknown, f"{pk}: it moved without anybody's doing"


def _check_lists(clients: list[Client], items: dict[str, Any]) -> None:
    lists = {pk: [token["S"] for token in item["l"]["L"]] for pk, item in items.items() if pk.startswith("list-")}
    outcomes: dict[str, dict[str, Outcome]] = {}
    for client in clients:
        for pk, token, outcome in client.tokens:
            outcomes.setdefault(pk, {})[token] = outcome
            assert outcome != "done" or token in lists.get(pk, ()), f"{token} was acknowledged and is not in {pk}"
    for pk, tokens in lists.items():
        assert len(tokens) == len(set(tokens)), f"{pk} holds a token twice"
        assert all(outcomes[pk].get(token) in ("done", "unknown") for token in tokens), f"{pk} holds what was refused"
        for client in clients:
            own = [token for key, token, outcome in client.tokens if key == pk and outcome == "done"]
            assert own == [token for token in tokens if token in set(own)], f"{pk}: a client's tokens are out of order"


def _check_pairs(clients: list[Client], items: dict[str, Any]) -> None:
    for client in clients:
        for name, outcome in client.pairs.items():
            halves = [f"pair-{side}-{name}" in items for side in ("a", "b")]
            assert halves[0] == halves[1], f"half of the transaction {name} is there"
            assert outcome == "unknown" or halves[0] == (outcome == "done"), f"transaction {name}: {outcome}, {halves}"
    balances = [int(item["balance"]["N"]) for pk, item in items.items() if pk.startswith("account-")]
    assert sum(balances) == 0, f"the accounts' sum is {sum(balances)}"


def _check_versions(client: Client, items: dict[str, Any], history: dict[str, list[Any]]) -> None:
    pk = f"version-{client._number}"
    seen = [int(image["version"]["N"]) for _, image in history.get(pk, [])]
    assert all(before < after for before, after in pairwise(seen)), f"{pk}: its stream is out of order"
    for n, outcome in client.versions.items():
        assert outcome != "done" or n in seen, f"{pk}: version {n} was acknowledged and is not in the stream"
    assert not seen or int(items[pk]["version"]["N"]) == seen[-1], f"{pk}: the stream does not end with the item"


def _check_history(items: dict[str, Any], history: dict[str, list[Any]]) -> None:
    """Each record's old image is the new image of the one before it, and the last new image is the item."""
    for pk, records in history.items():
        before = None
        for old, new in records:
            assert old == before, f"{pk}: a record of the stream is missing, twice or out of order"
            before = new
        assert items.get(pk) == before, f"{pk}: the stream does not end with the item"
    assert items.keys() == history.keys()


def _scan(dynamodb: Any) -> Iterator[Any]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True):
        yield from page["Items"]


def _stream(dynamodb: Any, streams: Any) -> dict[str, list[Any]]:
    """Return the old and new images of each item, in the stream's order."""
    arn = dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    shards: list[Any] = []
    more: dict[str, Any] = {}
    while True:
        described = streams.describe_stream(StreamArn=arn, **more)["StreamDescription"]
        shards += described["Shards"]
        if "LastEvaluatedShardId" not in described:
            break
        more = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}
    history: dict[str, list[Any]] = {}
    for shard in shards:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator is not None:
            page = streams.get_records(ShardIterator=iterator)
            for record in page["Records"]:
                change = record["dynamodb"]
                images = (change.get("OldImage"), change.get("NewImage"))
                history.setdefault(change["Keys"]["pk"]["S"], []).append(images)
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return history
