"""Answers of custom resources: their functions send them to a URL, which nobody else is told.

On AWS it is a presigned URL of S3, and who has it may use it. An answer is kept until the stack's operation, on
whichever node, has read it.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass

from cumulet.scope import Scope
from cumulet.services.cloudformation.limits import ANSWER_BYTES_MAX
from cumulet.services.cloudformation.records import ANSWERS, Answer
from cumulet.services.kit import Ground
from cumulet.store.api import WriteTx
from cumulet.store.leases import Lease

ANSWER_PATH = "/_cumulet/cloudformation/answers/"
TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers that one stack waits for."""

    ground: Ground
    lease: Lease
    scope: Scope
    stack_id: str

    async def expect(self) -> str:
        """Return the token of an answer that may come from now on; no earlier one is waited for any more."""
        token = urlsafe_b64encode(self.ground.ids.secret(TOKEN_BYTES)).decode()

        def write(tx: WriteTx) -> None:
            ANSWERS.delete_all(tx, self.scope, self.stack_id)
            ANSWERS.save(tx, self.scope, self.stack_id, token, record=Answer())

        await self.lease.write(write)
        return token

    def url_of(self, token: str) -> str:
        """Return where an answer is to be sent."""
        stack = self.stack_id.partition(":stack/")[2]
        place = f"{self.scope.account}/{self.scope.region}/{stack}/{token}"
        return f"{self.ground.settings.endpoint}{ANSWER_PATH}{place}"

    async def find(self, token: str) -> bytes | None:
        """Return an answer, if it has come."""
        found = await self.ground.store.read(lambda tx: ANSWERS.find(tx, self.scope, self.stack_id, token))
        return None if found is None else found.body

    async def forget(self) -> None:
        """Wait for no answer any more."""
        await self.lease.write(lambda tx: ANSWERS.delete_all(tx, self.scope, self.stack_id))


async def receive(ground: Ground, path: str, body: bytes) -> bool:
    """Keep what was sent to a URL, given by its path after ANSWER_PATH; return whether anybody waits for it."""
    parts = path.split("/")
    if len(parts) != 5:
        return False
    account, region, name, uuid, token = parts
    scope, stack_id = Scope(account, region), f"arn:aws:cloudformation:{region}:{account}:stack/{name}/{uuid}"

    def write(tx: WriteTx) -> bool:
        if ANSWERS.find(tx, scope, stack_id, token) is None:
            return False
        ANSWERS.save(tx, scope, stack_id, token, record=Answer(body[: ANSWER_BYTES_MAX + 1]))
        return True

    return await ground.store.write(write)
