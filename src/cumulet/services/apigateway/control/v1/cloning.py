"""A REST API that begins as a copy of another: its resources and all that these use, under ids of their own.

Stages, deployments, tags and the resource policy, which names the API that it was written for, are not copied.
"""

from msgspec.structs import replace

from cumulet.services.apigateway.control.v1 import gateway_responses
from cumulet.services.apigateway.control.v1.records import (
    AUTHORIZERS,
    DOCUMENTATION_PARTS,
    MODELS,
    PART,
    RESOURCES,
    VALIDATORS,
    Method,
    RestApi,
)
from cumulet.services.apigateway.mapping.schemas import model_url
from cumulet.services.kit import Call
from cumulet.store.api import WriteTx


def clone(call: Call, tx: WriteTx, source: RestApi, api: RestApi) -> None:
    """Give an API that has nothing but its root what another one has."""
    scope = call.scope
    ids = {source.root_resource_id: api.root_resource_id}

    def renamed(old: str) -> str:
        ids[old] = call.ids.token(6)
        return ids[old]

    for authorizer in list(AUTHORIZERS.scan(tx, scope, source.id)):
        copied = replace(authorizer, id=renamed(authorizer.id))
        AUTHORIZERS.save(tx, scope, api.id, copied.id, record=copied)
    for validator in list(VALIDATORS.scan(tx, scope, source.id)):
        checking = replace(validator, id=renamed(validator.id))
        VALIDATORS.save(tx, scope, api.id, checking.id, record=checking)
    MODELS.delete_all(tx, scope, api.id)
    for model in list(MODELS.scan(tx, scope, source.id)):
        schema = model.schema.replace(model_url(source.id, ""), model_url(api.id, ""))
        MODELS.save(tx, scope, api.id, model.name, record=replace(model, id=call.ids.token(6), schema=schema))
    for response in list(gateway_responses.RECORDS.scan(tx, scope, source.id)):
        gateway_responses.RECORDS.save(tx, scope, api.id, response.response_type, record=response)
    for part in list(DOCUMENTATION_PARTS.scan(tx, scope, source.id, PART)):
        said = replace(part, id=call.ids.token(6))
        DOCUMENTATION_PARTS.save(tx, scope, api.id, PART, said.id, record=said)
    resources = sorted(RESOURCES.scan(tx, scope, source.id), key=lambda resource: resource.path)
    for resource in resources:
        if resource.id != source.root_resource_id:
            renamed(resource.id)
    for resource in resources:
        resource.id = ids[resource.id]
        if resource.parent_id:
            resource.parent_id = ids[resource.parent_id]
        for method in resource.resource_methods.values():
            _rename(method, ids)
        RESOURCES.save(tx, scope, api.id, resource.id, record=resource)


def _rename(method: Method, ids: dict[str, str]) -> None:
    if method.authorizer_id:
        method.authorizer_id = ids.get(method.authorizer_id, method.authorizer_id)
    if method.request_validator_id:
        method.request_validator_id = ids.get(method.request_validator_id, method.request_validator_id)
    if method.method_integration:
        namespace = method.method_integration.cache_namespace
        method.method_integration.cache_namespace = ids.get(namespace, namespace)
