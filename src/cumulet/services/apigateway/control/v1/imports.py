"""REST APIs from OpenAPI documents: a new one, or an existing one merged with or overwritten by a document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import gmtime, strftime
from typing import Any

import msgspec
from msgspec import UNSET

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import POST, PUT, at
from cumulet.services.apigateway.control.openapi import extensions
from cumulet.services.apigateway.control.openapi.plan import ApiPlan, ModelUse, PlannedMethod, plan_api
from cumulet.services.apigateway.control.openapi.reading import parse_document
from cumulet.services.apigateway.control.v1 import (
    apis,
    condition_keys,
    gateway_responses,
    integrations,
    methods,
    models,
    passed_roles,
)
from cumulet.services.apigateway.control.v1.authorizers import make_authorizer
from cumulet.services.apigateway.control.v1.documentation import import_parts, save_version
from cumulet.services.apigateway.control.v1.model_references import References
from cumulet.services.apigateway.control.v1.records import (
    APIS,
    AUTHORIZERS,
    DOCUMENTATION_VERSIONS,
    MODELS,
    RESOURCES,
    VALIDATORS,
    VERSION,
    Authorizer,
    Integration,
    Method,
    Model,
    Resource,
    RestApi,
    get_api,
    render,
)
from cumulet.services.apigateway.control.v1.resources import add_resource
from cumulet.services.apigateway.control.v1.security_schemes import authorizer_params
from cumulet.services.apigateway.mapping.parameters import check_response
from cumulet.services.apigateway.pipeline.routes import split_path
from cumulet.services.kit import Call, ConditionValues, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

EVERY_API, ONE_API = at("/restapis"), at("/restapis/{restApiId}")

_VARIABLE = re.compile(r"\$\{AWS::(AccountId|Partition|Region)\}")


def _asked(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    try:
        return condition_keys.of_document(*_read(call, params))
    except ServiceError:
        return {}  # a document that will be refused


def _roles(call: Call, params: Params) -> Iterator[Any]:
    try:
        return passed_roles.of_document(_read(call, params)[0])
    except ServiceError:
        return iter(())


def _asked_and_kept(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    api = APIS.find(tx, call.scope, params["restApiId"])
    return {**_asked(tx, call, params), **({} if api is None else condition_keys.of_existing(tx, call, api))}


@operation(
    "ImportRestApi",
    action=POST,
    resource=EVERY_API,
    params="body failOnWarnings parameters",
    demands=passed_roles.demanding(POST, EVERY_API, _roles, _asked),
    missing="private endpoints",
)
def import_rest_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """An API as the document describes it exists."""
    plan, settings = _read(call, params)
    given = {**plan.settings, **settings, "version": plan.version, "description": plan.description, "tags": plan.tags}
    api = apis.create(call, tx, _name_of(call, plan), given)
    return _Import(call, tx, api, plan).run(params, overwrite=False)


@operation(
    "PutRestApi",
    action=PUT,
    resource=ONE_API,
    params="restApiId mode body failOnWarnings parameters",
    demands=passed_roles.demanding(PUT, ONE_API, _roles, _asked_and_kept),
    missing="the same as for ImportRestApi",
)
def put_rest_api(call: Call, tx: WriteTx, params: Params) -> Output:
    """The API is what the document describes (overwrite), or has it beside what it had (merge, the default)."""
    api = get_api(tx, call, params)
    plan, settings = _read(call, params)
    overwrite = params.get("mode") == "overwrite"
    told = {"version": plan.version, "description": plan.description}
    if overwrite:
        named = {"name": _name_of(call, plan), "endpointConfiguration": api.endpoint_configuration}
        settings = {**named, **told, **plan.settings, **settings}
    else:
        given = {name: text for name, text in told.items() if text}
        binary = [*(api.binary_media_types or ()), *plan.settings.get("binaryMediaTypes", ())]
        settings = {**render(api), **given, **plan.settings, **settings}
        settings["binaryMediaTypes"] = list(dict.fromkeys(binary))
    apis.settle(call, api, settings)
    api.tags = tagging.checked({**api.tags, **plan.tags})
    return _Import(call, tx, api, plan).run(params, overwrite=overwrite)


def _name_of(call: Call, plan: ApiPlan) -> str:
    # What an API is called whose document has no title: https://github.com/hashicorp/terraform-provider-aws/issues/7161
    return plan.title or strftime("Imported on %Y-%m-%dT%H:%M:%SZ", gmtime(call.now_ms // 1000))


def _read(call: Call, params: Params) -> tuple[ApiPlan, dict[str, Any]]:
    """Return the plan of a document, and the settings that the import's parameters give."""
    base_path = "ignore"
    settings: dict[str, Any] = {}
    for name, value in (params.get("parameters") or {}).items():
        if name == "endpointConfigurationTypes":
            settings["endpointConfiguration"] = {"types": value.split(",")}
        elif name == "basepath":
            base_path = value
        elif (name, value) != ("ignore", "documentation"):
            raise ServiceError("BadRequestException", f"Invalid import parameter: {name}={value}")
    document = parse_document(params["body"], lambda text: fill_variables(call, text))
    # As text, since YAML has numbers for versions.
    if str(document.get("swagger")) != "2.0" and not str(document.get("openapi")).startswith("3."):
        raise ServiceError("BadRequestException", "Invalid OpenAPI input.")
    return plan_api(document, base_path=base_path), settings


def fill_variables(call: Call, text: str) -> str:
    """Return a document with the values of AWS's variables.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/import-api-aws-variables.html
    """
    values = {"AccountId": call.scope.account, "Partition": "aws", "Region": call.scope.region}
    return _VARIABLE.sub(lambda found: values[found[1]], text)


@dataclass
class _Import:
    """One document on its way into an API."""

    call: Call
    tx: WriteTx
    api: RestApi
    plan: ApiPlan
    warnings: list[str] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)
    validators: dict[str, str] = field(default_factory=dict)
    authorizers: dict[str, Authorizer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.references = References(self.api.id, self.plan.models, self.warnings)

    def run(self, params: Params, *, overwrite: bool) -> Output:
        """Save what the plan has, and return the API with the warnings. Raises if these are to fail the import."""
        self.warnings += self.plan.warnings
        if overwrite:
            self._clear()
        self._save_models()
        self._save_validators()
        self._save_authorizers()
        self._save_methods()
        for name, response in self.plan.gateway_responses.items():
            what = f"put gateway response '{name}'"
            _checked(what, gateway_responses.save, self.tx, self.call, self.api.id, name, response)
        if (params.get("parameters") or {}).get("ignore") != "documentation":
            self._save_documentation(overwrite=overwrite)
        APIS.save(self.tx, self.call.scope, self.api.id, record=self.api)
        shown = apis.show(self.api)
        if self.warnings:
            if params.get("failOnWarnings"):
                told = "\n\t".join(self.warnings)
                raise ServiceError("BadRequestException", f"Warnings found during import:\n\t{told}")
            shown["warnings"] = self.warnings
        return shown

    def _save_documentation(self, *, overwrite: bool) -> None:
        import_parts(self.call, self.tx, self.api, list(self.plan.documentation), overwrite=overwrite)
        version = self.plan.documentation_version
        known = DOCUMENTATION_VERSIONS
        if version and known.find(self.tx, self.call.scope, self.api.id, VERSION, version) is None:
            save_version(self.call, self.tx, self.api, version, None)

    def _clear(self) -> None:
        """Remove the resources that the document does not lead to, and every method; kept resources keep their ids."""
        wanted = {"/"}
        for path in self.plan.paths:
            segments = split_path(_normal(path))
            wanted.update("/" + "/".join(segments[: depth + 1]) for depth in range(len(segments)))
        for resource in list(RESOURCES.scan(self.tx, self.call.scope, self.api.id)):
            if resource.path in wanted:
                resource.resource_methods = {}
                RESOURCES.save(self.tx, self.call.scope, self.api.id, resource.id, record=resource)
            else:
                RESOURCES.delete(self.tx, self.call.scope, self.api.id, resource.id)
        for records in (AUTHORIZERS, MODELS, VALIDATORS, gateway_responses.RECORDS):
            records.delete_all(self.tx, self.call.scope, self.api.id)

    def _save_models(self) -> None:
        self.models = {model.name: model for model in MODELS.scan(self.tx, self.call.scope, self.api.id)}
        for name, schema in self.plan.models.items():
            try:
                self._save_model(name, schema)
            except NotImplementedHere:
                raise
            except ServiceError as error:
                raise _import_error(f"Unable to create model '{name}': {error.message}") from None

    def _save_model(self, name: str, schema: dict[str, Any]) -> None:
        try:
            text = msgspec.json.encode(self.references.rewritten(name, schema)).decode()
        except RecursionError:
            raise ServiceError("BadRequestException", "Invalid model schema") from None
        before = self.models.get(name)
        description = schema.get("description")
        self.models[name] = model = Model(
            id=before.id if before is not None else self.call.ids.token(6),
            name=models.checked_name(name),
            content_type="application/json",
            schema=models.checked_schema(text, "application/json"),
            description=description if isinstance(description, str) and description else UNSET,
        )
        MODELS.save(self.tx, self.call.scope, self.api.id, name, record=model)

    def _model_name(self, use: ModelUse, where: str) -> str | None:
        """Return the name of the model that an operation uses; a schema in place becomes a model of its own."""
        if isinstance(use, str):
            if use in self.models:
                return use
            self.warnings.append(f"Unable to find model '{use}' {where}, it is ignored")
            return None
        if not use:
            return None
        name = f"MODEL{self.call.ids.token(6)}"
        self._save_model(name, use)
        return name

    def _model_names(self, uses: Any, where: str) -> dict[str, str]:
        named = {media_type: self._model_name(use, where) for media_type, use in uses.items()}
        return {media_type: name for media_type, name in named.items() if name is not None}

    def _save_validators(self) -> None:
        scope = self.call.scope
        known = {validator.name: validator.id for validator in VALIDATORS.scan(self.tx, scope, self.api.id)}
        self.validators = {name: validator_id for name, validator_id in known.items() if name is not UNSET}
        for name, (body, parameters) in self.plan.validators.items():
            given = {"name": name, "validateRequestBody": body, "validateRequestParameters": parameters}
            validator = models.make_validator(self.validators.get(name) or self.call.ids.token(6), given)
            self.validators[name] = validator.id
            VALIDATORS.save(self.tx, scope, self.api.id, validator.id, record=validator)

    def _save_authorizers(self) -> None:
        scope = self.call.scope
        self.authorizers = {authorizer.name: authorizer for authorizer in AUTHORIZERS.scan(self.tx, scope, self.api.id)}
        for name, scheme in self.plan.schemes.items():
            if scheme.kind != "authorizer":
                continue
            before = self.authorizers.get(name)
            authorizer_id = before.id if before is not None else self.call.ids.token(6)
            try:
                authorizer = make_authorizer(authorizer_id, authorizer_params(name, scheme))
            except NotImplementedHere:
                raise
            except ServiceError as error:
                raise _import_error(f"Unable to create authorizer '{name}': {error.message}") from None
            except (TypeError, ValueError, AttributeError):  # msgspec's ValidationError is a ValueError
                raise _import_error(f"Unable to create authorizer '{name}': it is malformed") from None
            self.authorizers[name] = authorizer
            AUTHORIZERS.save(self.tx, scope, self.api.id, authorizer.id, record=authorizer)

    def _save_methods(self) -> None:
        by_path = {resource.path: resource for resource in RESOURCES.scan(self.tx, self.call.scope, self.api.id)}
        children: dict[str, list[Resource]] = {}
        for resource in by_path.values():
            children.setdefault(resource.parent_id or "", []).append(resource)
        for path in self.plan.paths:
            self._ensure_resource(path, children, by_path)
        for planned in self.plan.methods:
            resource = by_path[_normal(planned.path)]
            resource.resource_methods[planned.method] = self._method(planned, resource)
        for resource in by_path.values():
            RESOURCES.save(self.tx, self.call.scope, self.api.id, resource.id, record=resource)

    def _ensure_resource(self, path: str, children: dict[str, list[Resource]], by_path: dict[str, Resource]) -> None:
        parent = by_path["/"]
        for part in split_path(_normal(path)):
            below = f"{parent.path.rstrip('/')}/{part}"
            if below not in by_path:
                siblings = children.setdefault(parent.id, [])
                try:
                    made = add_resource(self.call, self.tx, self.api.id, parent, part, siblings, len(by_path))
                except ServiceError as error:
                    raise _import_error(f"Unable to create resource at path '{path}': {error.message}") from None
                siblings.append(made)
                by_path[below] = made
            parent = by_path[below]

    def _method(self, planned: PlannedMethod, resource: Resource) -> Method:
        where = f"on '{planned.method}' for resource at path '{planned.path}'"
        given = {
            "httpMethod": planned.method,
            "operationName": planned.operation_name,
            "requestParameters": planned.request_parameters,
            "requestModels": self._model_names(planned.request_models, where),
            "requestValidatorId": self._validator_id(planned.validator, where),
            **self._authorization(planned, where),
        }
        method: Method = _checked(f"put method {where}", methods.checked_method, self.tx, self.call, self.api.id, given)
        responses = {
            status: _checked(
                f"put method response {where}",
                methods.make_response,
                self.tx,
                self.call,
                self.api.id,
                {
                    "statusCode": status,
                    "responseParameters": response.parameters,
                    "responseModels": self._model_names(response.models, where),
                },
            )
            for status, response in planned.responses.items()
        }
        method.method_responses = responses or UNSET
        if planned.integration is not None:
            method.method_integration = _checked(
                f"put integration {where}", _integration, planned.integration, method, resource
            )
        return method

    def _validator_id(self, name: str | None, where: str) -> str | None:
        if name and name not in self.validators:
            self.warnings.append(f"Unable to find request validator '{name}' {where}, it is ignored")
        return self.validators.get(name) if name else None

    def _authorization(self, planned: PlannedMethod, where: str) -> dict[str, Any]:
        """Return the members of PutMethod that tell who may call."""
        given: dict[str, Any] = {"authorizationType": planned.auth or "NONE"}
        for name, scopes in planned.security:
            scheme = self.plan.schemes.get(name)
            if scheme is None and name == extensions.NO_SCHEME:
                continue
            if scheme is None or scheme.kind == "other":
                self.warnings.append(f"The security scheme '{name}' {where} is no authorizer, it is ignored")
            elif scheme.kind == "api_key":
                given["apiKeyRequired"] = True
            elif given["authorizationType"] != "NONE":
                raise _import_error(f"Unable to put method {where}: Only one authorizer is supported")
            elif scheme.kind == "iam":
                given["authorizationType"] = "AWS_IAM"
            else:
                authorizer = self.authorizers[name]
                of_tokens = authorizer.type in ("COGNITO_USER_POOLS", "JWT")
                given["authorizationType"] = authorizer.type if of_tokens else "CUSTOM"
                given["authorizerId"] = authorizer.id
                given["authorizationScopes"] = list(scopes)
        return given


def _integration(given: Any, method: Method, resource: Resource) -> Integration:
    integration = integrations.make_integration(
        {**given, "type": (given.get("type") or "").upper(), "integrationHttpMethod": given.get("httpMethod")},
        resource.id,
    )
    integrations.check_declared(integration, method)
    declared = method.method_responses or {}
    responses = {}
    for pattern, response in given.get("responses", {}).items():
        made = integrations.make_response(
            {
                **response,
                "statusCode": response.get("statusCode") or pattern,
                "selectionPattern": None if pattern == "default" else pattern,
            }
        )
        # AWS's own samples map into responses that their methods do not declare.
        if made.status_code in declared and made.response_parameters is not UNSET:
            check_response(made.response_parameters, declared[made.status_code].response_parameters or {})
        responses[made.status_code] = made
    if responses:
        integration.integration_responses = responses
    return integration


def _checked(what: str, make: Any, *given: Any) -> Any:
    """Return what `make` makes; what it refuses is an error of the import."""
    try:
        return make(*given)
    except NotImplementedHere:
        raise
    except ServiceError as error:
        raise _import_error(f"Unable to {what}: {error.message}") from None


def _normal(path: str) -> str:
    """Return a document's path as resources have it: with a slash before and none behind."""
    return "/" + path.strip("/")


def _import_error(what: str) -> ServiceError:
    return ServiceError("BadRequestException", f"Errors found during import:\n\t{what}")
