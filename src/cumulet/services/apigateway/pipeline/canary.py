"""Which release of a stage gets a request: the stage's own, or by chance its canary (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/canary-release.html
"""

import msgspec

from cumulet.services.apigateway.model import Stage

DRAW_BYTES = 4


def release(stage: Stage, draw: bytes) -> tuple[Stage, bool | None]:
    """Return the stage as the request has it, and whether that is the canary; None for a stage without one."""
    canary = stage.canary
    if canary is None:
        return stage, None
    if int.from_bytes(draw) * 100 >= canary.percent_traffic * 256 ** len(draw):
        return stage, False
    variables = {**stage.variables, **canary.stage_variable_overrides}
    return msgspec.structs.replace(stage, deployment_id=canary.deployment_id, variables=variables), True
