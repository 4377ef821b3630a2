"""Tags of HTTP APIs and their stages, and of custom domain names."""

from collections.abc import Callable, Mapping

from cumulet.errors import ServiceError
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, POST, at, parse_taggable, tagged_above
from cumulet.services.apigateway.control.domains import tags_of
from cumulet.services.apigateway.control.v2.records import APIS, get_api_by_id, get_stage
from cumulet.services.apigateway.model import STAGES
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

TAGS = at("/tags/{ResourceArn}")


def _find(tx: ReadTx, call: Call, arn: str) -> tuple[dict[str, str], Callable[[WriteTx], None]]:
    """Return the tags of the API or stage that an ARN names, and what saves them once they are changed."""
    found = parse_taggable(arn)
    if found is None or found[0] != call.scope.region or found[1] not in ("apis", "domainnames"):
        raise ServiceError("BadRequestException", "Invalid resource ARN specified in the request")
    if found[1] == "domainnames":
        return tags_of(tx, call, found[2])
    api = get_api_by_id(tx, call, found[2])
    if found[3] is None:
        return api.tags, lambda write: APIS.save(write, call.scope, api.api_id, record=api)
    stage = get_stage(tx, call, api.api_id, found[3])
    return stage.tags, lambda write: STAGES.save(write, call.scope, api.api_id, stage.name, record=stage)


def resource_tags(tx: ReadTx, call: Call, arn: str) -> Mapping[str, str]:
    """Return the tags that policies see of what an ARN names."""
    for named in tagged_above(arn):
        try:
            return _find(tx, call, named)[0]
        except ServiceError:
            continue  # there is no such thing, or none that has tags
    return {}


@operation("TagResource", action=POST, resource=TAGS, params="ResourceArn Tags")
def tag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API or stage has these tags beside its others."""
    tags, save = _find(tx, call, params["ResourceArn"])
    tags.update(params.get("Tags") or {})
    tagging.checked(tags)
    save(tx)
    return {}


@operation("UntagResource", action=DELETE, resource=TAGS, params="ResourceArn TagKeys")
def untag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API or stage no longer has tags with these keys."""
    tags, save = _find(tx, call, params["ResourceArn"])
    for key in params["TagKeys"]:
        tags.pop(key, None)
    save(tx)
    return {}


@operation("GetTags", action=GET, resource=TAGS, params="ResourceArn")
def get_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the tags of an API or stage."""
    tags, _ = _find(tx, call, params["ResourceArn"])
    return {"Tags": tags}
