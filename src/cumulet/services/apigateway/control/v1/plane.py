"""The live part of the REST control plane: what its operations do beside the store."""

from typing import TYPE_CHECKING

from cumulet.services.kit import Ground

if TYPE_CHECKING:
    from cumulet.services.apigateway.audition import Auditions
    from cumulet.services.apigateway.rehearsal import Rehearsals


class RestPlane:
    """Lets operations call other services, and methods and authorizers be tried that are not deployed."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._rehearsals: Rehearsals | None = None
        self._auditions: Auditions | None = None

    async def start(self) -> None:
        """There is no background work."""

    async def stop(self) -> None:
        """Leave nothing behind."""

    @property
    def auditions(self) -> "Auditions":
        """What tries authorizers; imported with the first of them, too."""
        if self._auditions is None:
            from cumulet.services.apigateway.audition import Auditions

            self._auditions = Auditions(self.ground)
        return self._auditions

    @property
    def rehearsals(self) -> "Rehearsals":
        """What tries methods; the pipeline is imported with the first of them."""
        if self._rehearsals is None:
            from cumulet.services.apigateway.rehearsal import Rehearsals

            self._rehearsals = Rehearsals(self.ground)
        return self._rehearsals
