"""Canaries' shares, lines of logs, and what patches make of a stage."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control.v1 import stage_patches
from cumulet.services.apigateway.model import Canary, Stage
from cumulet.services.apigateway.pipeline.canary import DRAW_BYTES, release
from cumulet.services.apigateway.pipeline.execution_log import cut

NAMES = st.text(st.sampled_from("abc"), min_size=1, max_size=2)
VARIABLES = st.dictionaries(NAMES, NAMES)


@settings(deadline=None)
@given(st.floats(0, 100), st.integers(0, 256**DRAW_BYTES - 1), VARIABLES, VARIABLES)
def test_a_canary_gets_the_lowest_draws(percent: float, draw: int, own: dict[str, str], other: dict[str, str]) -> None:
    stage = Stage("dev", 0, 0, deployment_id="own", variables=own, canary=Canary(percent, "canary", other))
    released, is_canary = release(stage, draw.to_bytes(DRAW_BYTES, "big"))
    assert is_canary == (draw / 256**DRAW_BYTES * 100 < percent)
    assert released.deployment_id == ("canary" if is_canary else "own")
    assert released.variables == ({**own, **other} if is_canary else own)
    assert stage.variables == own


@settings(deadline=None)
@given(st.text(max_size=2000))
def test_a_line_is_whole_or_cut_within_its_bound(line: str) -> None:
    told = cut(line)
    assert told == line or told.endswith(" [TRUNCATED]")
    assert len(told.encode("utf-8", "replace")) <= 1024
    assert line.startswith(told.removesuffix(" [TRUNCATED]"))


PARTS = st.sampled_from(
    [
        *("", "*", "~1a", "GET", "variables", "canarySettings", "stageVariableOverrides", "percentTraffic"),
        *("throttling", "rateLimit", "logging", "loglevel", "accessLogSettings", "format", "description"),
        *("deploymentId", "x~0~1y"),
    ]
)
PATCHES = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "copy", "move", "test", "", None])},
    optional={
        "path": st.lists(PARTS, max_size=5).map(lambda parts: "/" + "/".join(parts)),
        "value": st.none() | st.text(max_size=3),
        "from": st.sampled_from(["/canarySettings/deploymentId", "/canarySettings/stageVariableOverrides", "/x"]),
    },
)


@settings(deadline=None)
@given(st.lists(PATCHES, max_size=4))
def test_any_patches_are_applied_or_refused(patches: list[dict[str, Any]]) -> None:
    members: dict[str, Any] = {
        "description": None,
        "deploymentId": "d",
        "documentationVersion": None,
        "variables": {},
        "methodSettings": {},
        "canarySettings": None,
        "cacheClusterEnabled": False,
        "cacheClusterSize": None,
        "accessLogSettings": None,
        "clientCertificateId": None,
    }
    try:
        patched = stage_patches.patched(members, patches)
    except ServiceError as error:
        assert error.code in ("BadRequestException", "NotFoundException", "NotImplementedException")
    else:
        assert patched.keys() == members.keys()
        assert all(isinstance(settings, dict) and settings for settings in patched["methodSettings"].values())
