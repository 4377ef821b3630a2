"""DynamoDB's live part: what its async operations and its background work stand on."""

from cumulet.services.dynamodb.throttle import Throttle
from cumulet.services.dynamodb.transactions import TransactionsUnderWay
from cumulet.services.kit import Ground


class DynamoDbPlane:
    """The service's ground, for operations that open their transactions themselves."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.transactions = TransactionsUnderWay()
        self.throttle = Throttle(ground.settings.dynamodb_throttling)

    async def start(self) -> None:
        """Begin background work."""

    async def stop(self) -> None:
        """Finish what is under way."""
