"""Tags of REST APIs and their stages, of API keys, usage plans and client certificates."""

import re
from collections.abc import Callable, Mapping

from cumulet.errors import ServiceError
from cumulet.services.apigateway.certificates import CERTIFICATES
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PUT, at, parse_taggable, tagged_above
from cumulet.services.apigateway.control.domains import tags_of
from cumulet.services.apigateway.control.v1.api_keys import get_key
from cumulet.services.apigateway.control.v1.client_certificates import get_certificate
from cumulet.services.apigateway.control.v1.records import APIS, get_api_by_id, get_stage
from cumulet.services.apigateway.control.v1.usage_plans import get_plan
from cumulet.services.apigateway.model import STAGES
from cumulet.services.apigateway.plans import API_KEYS, USAGE_PLANS
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

TAGS = at("/tags/{resourceArn}")

_OF_ACCOUNT = re.compile(r"^arn:aws:apigateway:([a-z0-9-]+)::/(apikeys|usageplans|clientcertificates)/([^/]+)\Z")


def _find(tx: ReadTx, call: Call, arn: str) -> tuple[dict[str, str], Callable[[WriteTx], None]]:
    """Return the tags of what an ARN names, and what saves them once they are changed."""
    if (listed := _OF_ACCOUNT.match(arn)) is not None and listed[1] == call.scope.region:
        return _find_of_account(tx, call, listed[2], listed[3])
    found = parse_taggable(arn)
    if found is None or found[0] != call.scope.region or found[1] not in ("restapis", "domainnames"):
        raise ServiceError("BadRequestException", "Invalid resource ARN specified in the request")
    if found[1] == "domainnames":
        return tags_of(tx, call, found[2])
    api = get_api_by_id(tx, call, found[2])
    if found[3] is None:
        return api.tags, lambda write: APIS.save(write, call.scope, api.id, record=api)
    stage = get_stage(tx, call, api.id, found[3])
    return stage.tags, lambda write: STAGES.save(write, call.scope, api.id, stage.name, record=stage)


def _find_of_account(
    tx: ReadTx, call: Call, collection: str, resource_id: str
) -> tuple[dict[str, str], Callable[[WriteTx], None]]:
    if collection == "apikeys":
        key = get_key(tx, call, resource_id)
        return key.tags, lambda write: API_KEYS.save(write, call.scope, key.key_id, record=key)
    if collection == "clientcertificates":
        certificate = get_certificate(tx, call, resource_id)
        return certificate.tags, lambda write: CERTIFICATES.save(
            write, call.scope, certificate.certificate_id, record=certificate
        )
    plan = get_plan(tx, call, resource_id)
    return plan.tags, lambda write: USAGE_PLANS.save(write, call.scope, plan.plan_id, record=plan)


def resource_tags(tx: ReadTx, call: Call, arn: str) -> Mapping[str, str]:
    """Return the tags that policies see of what an ARN names."""
    for named in tagged_above(arn):
        try:
            return _find(tx, call, named)[0]
        except ServiceError:
            continue  # there is no such thing, or none that has tags
    return {}


@operation("TagResource", action=PUT, resource=TAGS, params="resourceArn tags")
def tag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The resource has these tags beside its others."""
    tags, save = _find(tx, call, params["resourceArn"])
    tags.update(params["tags"])
    tagging.checked(tags)
    save(tx)
    return {}


@operation("UntagResource", action=DELETE, resource=TAGS, params="resourceArn tagKeys")
def untag_resource(call: Call, tx: WriteTx, params: Params) -> Output:
    """The resource no longer has tags with these keys."""
    tags, save = _find(tx, call, params["resourceArn"])
    for key in params["tagKeys"]:
        tags.pop(key, None)
    save(tx)
    return {}


@operation("GetTags", action=GET, resource=TAGS, params="resourceArn position limit")
def get_tags(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the tags of a resource, all at once: AWS takes `position` and `limit`, and does not support them yet."""
    tags, _ = _find(tx, call, params["resourceArn"])
    return {"tags": tags}
