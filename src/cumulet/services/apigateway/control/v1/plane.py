"""The live part of the REST control plane: what its operations do beside the store."""

from cumulet.services.kit import Ground


class RestPlane:
    """Lets operations call other services."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    async def start(self) -> None:
        """There is no background work."""

    async def stop(self) -> None:
        """Leave nothing behind."""
