"""Tags of REST APIs and their stages."""

from collections.abc import Callable

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PUT, at, parse_taggable
from cumulet.services.apigateway.control.v1.records import APIS, get_api_by_id, get_stage
from cumulet.services.apigateway.model import STAGES
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

TAGS = at("/tags/{resourceArn}")


def _find(tx: ReadTx, call: Call, arn: str) -> tuple[dict[str, str], Callable[[WriteTx], None]]:
    """Return the tags of the API or stage that an ARN names, and what saves them once they are changed."""
    found = parse_taggable(arn)
    if found is None or found[0] != call.scope.region or found[1] != "restapis":
        raise ServiceError("BadRequestException", "Invalid resource ARN specified in the request")
    api = get_api_by_id(tx, call, found[2])
    if found[3] is None:
        return api.tags, lambda write: APIS.save(write, call.scope, api.id, record=api)
    stage = get_stage(tx, call, api.id, found[3])
    return stage.tags, lambda write: STAGES.save(write, call.scope, api.id, stage.name, record=stage)


@operation("TagResource", action=PUT, resource=TAGS, params="resourceArn tags")
def tag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API or stage has these tags beside its others."""
    tags, save = _find(tx, call, params["resourceArn"])
    tags.update(params["tags"])
    tagging.checked(tags)
    save(tx)
    return {}


@operation("UntagResource", action=DELETE, resource=TAGS, params="resourceArn tagKeys")
def untag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API or stage no longer has tags with these keys."""
    tags, save = _find(tx, call, params["resourceArn"])
    for key in params["tagKeys"]:
        tags.pop(key, None)
    save(tx)
    return {}


@operation("GetTags", action=GET, resource=TAGS, params="resourceArn")
def get_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the tags of an API or stage."""
    tags, _ = _find(tx, call, params["resourceArn"])
    return {"tags": tags}
