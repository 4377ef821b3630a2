"""What an import tells CloudWatch Logs: a line for each record from which no item was made.

The group is one for all imports, and each has two streams, of which the second comes with the first error. All is done
under the principal that asked for the import, who needs the permissions for it, as on AWS. A line may be there twice if
a kill came between its writing and the record of that.

Source: "Import format quotas and validation", developer guide.
"""

from typing import Any, NamedTuple

import msgspec

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dynamodb.tables import arn_of
from cumulet.services.kit import Ground, Principal

_GROUP = "/aws-dynamodb/imports"


class Fault(NamedTuple):
    """A record from which no item was made."""

    key: str
    """Of the object."""
    place: int
    """Which of its records, from 0 on."""
    message: str


def log_group_arn(scope: Scope) -> str:
    """Return the ARN of the log group, as descriptions have it."""
    return f"arn:aws:logs:{scope.region}:{scope.account}:log-group:{_GROUP}:*"


class ImportLog:
    """The log of one import."""

    def __init__(self, ground: Ground, scope: Scope, caller: Principal, arn_tail: tuple[str, str], bucket: str) -> None:
        """`arn_tail` is the table's name and the import's id."""
        self._ground = ground
        self._scope = scope
        self._caller = caller
        table_name, self._import_id = arn_tail
        self._import_arn = f"{arn_of(scope, table_name)}/import/{self._import_id}"
        self._bucket = bucket

    async def begin(self) -> None:
        """Make sure that the group and the import's first stream are there."""
        await self._make("CreateLogGroup", {"logGroupName": _GROUP})
        await self._make("CreateLogStream", self._stream("info"))

    async def tell(self, faults: list[Fault]) -> None:
        """Write a line for each of these."""
        if not faults:
            return
        stream = self._stream("error")
        await self._make("CreateLogStream", stream)
        now_ms = self._ground.clock.now_ms()
        events = [{"timestamp": now_ms, "message": self._render(fault)} for fault in faults]
        await self._call("PutLogEvents", {**stream, "logEvents": events})

    def _render(self, fault: Fault) -> str:
        line = {
            "itemS3Pointer": {"bucket": self._bucket, "key": fault.key, "itemIndex": fault.place},
            "importArn": self._import_arn,
            "errorMessages": [fault.message],
        }
        return msgspec.json.encode(line).decode()

    def _stream(self, name: str) -> dict[str, Any]:
        return {"logGroupName": _GROUP, "logStreamName": f"{self._import_id}/{name}"}

    async def _make(self, operation: str, params: dict[str, Any]) -> None:
        try:
            await self._call(operation, params)
        except ServiceError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise

    async def _call(self, operation: str, params: dict[str, Any]) -> None:
        await self._ground.operations.call(self._caller, self._scope, "logs", operation, params)
