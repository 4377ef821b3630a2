"""Exports to S3 and imports from S3 under way: the round of the loop that does them, one after the other."""

from cumulet.services.dynamodb import exporting, imports
from cumulet.services.dynamodb.chores import Chore, scan_chores
from cumulet.services.dynamodb.exports import DYNAMODB_HOST
from cumulet.services.kit import Call, Ground, Principal
from cumulet.store.leases import Lease


class Transfers:
    """Does what `chores` says there is to export and import. All of it goes in steps that a kill may cut short."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def round(self, lease: Lease) -> None:
        """Go on with every export and import that is under way."""
        for chore in await self._ground.store.read(lambda tx: list(scan_chores(tx, "export"))):
            await exporting.go_on(self._ground, lease, chore, self._call(chore))
        for chore in await self._ground.store.read(lambda tx: list(scan_chores(tx, "import"))):
            await imports.go_on(self._ground, lease, chore, self._call(chore))

    def _call(self, chore: Chore) -> Call:
        return Call(
            scope=chore.scope,
            principal=Principal.service(DYNAMODB_HOST),
            request_id="",
            now_ms=self._ground.clock.now_ms(),
            ids=self._ground.ids,
        )
