"""The logs of a stage: what becomes of them once a request is answered."""

from cumulet.services.apigateway.model import (
    ALL_METHODS,
    DEFAULT_METHOD_SETTINGS,
    AccessLog,
    MethodSettings,
    Stage,
    method_settings,
)
from cumulet.services.apigateway.pipeline import execution_log
from cumulet.services.apigateway.pipeline.access_logs import find_group, render_line
from cumulet.services.apigateway.pipeline.exchange import Arrival, Compiled
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.log_delivery import LogDelivery, Place, stream_of
from cumulet.services.apigateway.pipeline.rest_outcomes import outcome_values
from cumulet.wire.message import Response

CANARY_GROUP = "/Canary"
"""What the names of a canary's own log groups end with."""


class Logbook:
    """Writes the access log and the execution log of stages that have them."""

    def __init__(self, delivery: LogDelivery) -> None:
        self._delivery = delivery

    def note(
        self,
        journey: Journey,
        arrival: Arrival,
        stage: Stage,
        compiled: Compiled,
        response: Response,
        now_ms: int,
        role: str | None,
    ) -> None:
        """Tell of an answered request. REST APIs write with the account's role: without one, nothing."""
        if arrival.is_rest and role is None:
            return
        if stage.access_log is not None:
            values = journey.values(arrival, stage, compiled, response, now_ms)
            if arrival.is_rest:
                values |= outcome_values(journey, arrival)
            self._access(stage.access_log, arrival, stage, render_line(stage.access_log.format, values), role)
        if stage.method_settings:
            settings = settings_of(journey, stage)
            if lines := execution_log.lines(journey, arrival, stage, response, now_ms, settings):
                group = execution_log.group_of(arrival.api_id, stage.name)
                self._write(Place(arrival.scope, group, "", role, makes_group=True), arrival, stage, lines)

    async def finish(self) -> None:
        """Return once everything noted is written."""
        await self._delivery.finish()

    def _access(self, log: AccessLog, arrival: Arrival, stage: Stage, line: str, role: str | None) -> None:
        found = find_group(log.destination_arn)
        if found is not None:
            self._write(Place(*found, "", role if arrival.is_rest else None), arrival, stage, [(arrival.now_ms, line)])

    def _write(self, place: Place, arrival: Arrival, stage: Stage, lines: list[tuple[int, str]]) -> None:
        place = place._replace(stream=stream_of(arrival.api_id, stage.name))
        self._delivery.write(place, lines)
        if arrival.is_canary:
            self._delivery.write(place._replace(group=place.group + CANARY_GROUP, makes_group=True), lines)


def settings_of(journey: Journey, stage: Stage) -> MethodSettings:
    """Return the settings under which a request is logged, even if no method was found for it."""
    if journey.matched is None:
        return stage.method_settings.get(ALL_METHODS, DEFAULT_METHOD_SETTINGS)
    return method_settings(stage, journey.matched.route)
