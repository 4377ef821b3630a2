"""From a request to what a stack is to be: fetch, transform, check and plan, before anything is recorded."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.cloudformation.core import sam
from cumulet.services.cloudformation.core.diff import (
    ChangePlan,
    Picture,
    make_picture,
    plan_changes,
    refuse_elsewhere,
)
from cumulet.services.cloudformation.core.dynamic import refuse_dynamic_references
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.include import (
    INCLUDE,
    find_embedded,
    location_of,
    parse_included,
    parse_location,
    splice,
    transform_failed,
)
from cumulet.services.cloudformation.core.intrinsics import Values
from cumulet.services.cloudformation.core.parameters import choose_parameters, typed_values
from cumulet.services.cloudformation.core.template import (
    Template,
    check_sections,
    find_transforms,
    read_template,
    refuse_nulls,
)
from cumulet.services.cloudformation.core.text import parse_text
from cumulet.services.cloudformation.limits import TAGS_MAX, TEMPLATE_BODY_BYTES_MAX, TEMPLATE_URL_BYTES_MAX
from cumulet.services.cloudformation.plane import CloudFormationPlane
from cumulet.services.cloudformation.records import CLOUDFORMATION_HOST, EXPORTS, Desired, Stack
from cumulet.services.cloudformation.resolution import (
    KNOWN_TYPES,
    check_attributes,
    pseudo_parameters,
    template_of,
)
from cumulet.services.cloudformation.resources import KINDS
from cumulet.services.kit import Call, Params

_NAMED = {
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a stack is to be, checked, and what must change for that."""

    desired: Desired
    plan: ChangePlan


async def fetch_body(call: Call, plane: CloudFormationPlane, params: Params) -> str | None:
    """Return the template that a request gives as text or as an S3 URL; None if it gives neither."""
    body, url = params.get("TemplateBody"), params.get("TemplateURL")
    if body is not None and url is not None:
        raise validation_error("Only one of parameters [TemplateBody, TemplateURL] can be specified")
    if body is not None:
        if len(body.encode()) > TEMPLATE_BODY_BYTES_MAX:
            raise validation_error(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have"
                f" length less than or equal to {TEMPLATE_BODY_BYTES_MAX}"
            )
        return str(body)
    if url is None:
        return None
    bucket, key = parse_template_url(url)
    try:
        data = await _get_object(call, plane, bucket, key)
    except ServiceError as error:
        raise validation_error(
            f"S3 error: {error.message}\nFor more information check"
            " http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
        ) from None
    if len(data) > TEMPLATE_URL_BYTES_MAX:
        raise validation_error(f"Template may not exceed {TEMPLATE_URL_BYTES_MAX} bytes in size.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise validation_error("Template format error: YAML not well-formed.") from None


async def _get_object(call: Call, plane: CloudFormationPlane, bucket: str, key: str) -> bytes:
    caller = call.principal.through(CLOUDFORMATION_HOST)
    output = await plane.ground.operations.call(caller, call.scope, "s3", "GetObject", {"Bucket": bucket, "Key": key})
    body: bytes = output["Body"]
    return body


def parse_template_url(url: str) -> tuple[str, str]:
    """Return the bucket and key of an S3 URL, in path style or with the bucket in the host name."""
    parts = urlsplit(url)
    host, path = (parts.hostname or ""), unquote(parts.path).lstrip("/")
    if parts.scheme not in ("http", "https") or not path:
        raise validation_error("TemplateURL must be a supported URL.")
    if "versionId=" in parts.query:
        raise NotImplementedHere("A versionId in the TemplateURL of CloudFormation")
    for mark in (".s3.", ".s3-"):
        if mark in host:
            return host.partition(mark)[0], path
    bucket, _, key = path.partition("/")
    if not key:
        raise validation_error("TemplateURL must be a supported URL.")
    return bucket, key


async def _expand(
    call: Call,
    plane: CloudFormationPlane,
    raw: Mapping[str, Any],
    parameters: Mapping[str, Any],
    pseudo: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return a template after its transforms. `parameters` are what Ref gives: lists, where their types are lists."""
    transforms = find_transforms(raw)
    for name in transforms:
        if name not in (sam.SERVERLESS, INCLUDE):
            raise NotImplementedHere(f"The transform {name}")
    if INCLUDE in transforms:
        raw = await _include(call, plane, raw, {**pseudo, **parameters})
    if sam.SERVERLESS not in transforms:
        return raw
    check_sections(raw, sam.SECTIONS)
    # The translator is a second of imports and then tens of milliseconds: too long for the event loop.
    return await asyncio.to_thread(sam.translate, raw, parameters, call.scope.region)


async def _include(
    call: Call, plane: CloudFormationPlane, raw: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a template with what lies in S3 in the place of each embedded AWS::Include."""
    if INCLUDE in find_transforms({"Transform": raw.get("Transform", [])}):
        raise NotImplementedHere(f"The transform {INCLUDE} of a whole template")

    def not_yet(name: str, attribute: str | None) -> Any:
        raise transform_failed("The location parameter is not a valid S3 uri.")

    mappings = raw.get("Mappings")
    values = Values(parameters, mappings if isinstance(mappings, dict) else {}, not_yet, lambda name: None)

    def place(argument: Any) -> tuple[str, str]:
        return parse_location(values.resolve(location_of(argument)))

    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    left = TEMPLATE_URL_BYTES_MAX
    for (bucket, key), times in Counter(map(place, find_embedded(raw))).items():
        try:
            text = await _get_object(call, plane, bucket, key)
        except ServiceError as error:
            raise transform_failed(error.message) from None
        left -= len(text) * times
        if left < 0:
            raise transform_failed(f"The included texts may not exceed {TEMPLATE_URL_BYTES_MAX} bytes in size.")
        found[bucket, key] = await asyncio.to_thread(parse_included, text)
    spliced: Mapping[str, Any] = splice(raw, lambda argument: found[place(argument)])
    return spliced


async def prepare(
    call: Call, plane: CloudFormationPlane, params: Params, stack: Stack | None, stack_id: str, *, is_change_set: bool
) -> Prepared:
    """Return what the request wants a stack to be. `stack` is the one to change; None if it is to be made."""
    previous = stack.desired if stack else None
    if params.get("NotificationARNs"):
        raise NotImplementedHere("The parameter NotificationARNs of CloudFormation")
    if params.get("RollbackConfiguration"):
        raise NotImplementedHere("The parameter RollbackConfiguration of CloudFormation")
    body = await fetch_body(call, plane, params)
    if params.get("UsePreviousTemplate"):
        if body is not None:
            raise validation_error("UsePreviousTemplate cannot be true if a template is given")
        if previous is None:
            raise validation_error("Previous template is not available")
        body = previous.body
    if body is None:
        raise validation_error("Either Template URL or Template Body must be specified.")
    # A large YAML text takes a second; other requests go on meanwhile.
    raw = await asyncio.to_thread(parse_text, body)
    declared = raw.get("Parameters") or {}
    if not isinstance(declared, dict) or not all(isinstance(value, dict) for value in declared.values()):
        raise validation_error("Template format error: Every Parameters member must be an object.")
    chosen = choose_parameters(declared, params.get("Parameters") or [], previous.parameters if previous else {})
    capabilities = list(params.get("Capabilities") or [])
    transforms = find_transforms(raw)
    name = stack.name if stack else params["StackName"]
    pseudo = pseudo_parameters(call.scope, name, stack_id)
    processed = await _expand(call, plane, raw, typed_values(declared, chosen), pseudo)
    refuse_nulls(processed)
    template = read_template(processed, KNOWN_TYPES)
    check_attributes(template)
    _check_capabilities(template, capabilities, auto_expand=bool(transforms) and not is_change_set)
    tags = parse_tags(params["Tags"]) if params.get("Tags") is not None else dict(previous.tags if previous else {})
    desired = Desired(
        body=body,
        processed=json.dumps(processed),
        parameters=chosen,
        tags=tags,
        capabilities=capabilities,
        description=template.description,
    )
    exports = await plane.ground.store.read(lambda tx: {item.name: item.value for item in EXPORTS.scan(tx, call.scope)})

    def picture_of(wanted: Desired, of: Template) -> Picture:
        return make_picture(of, wanted.parameters, pseudo, exports.get, wanted.tags)

    new = picture_of(desired, template)
    refuse_elsewhere(new)
    refuse_dynamic_references([new.resources, new.outputs])
    old = picture_of(previous, template_of(previous)) if previous else None
    physical_ids = {item.logical_id: item.physical_id for item in stack.resources.values()} if stack else {}
    return Prepared(desired, plan_changes(old, new, physical_ids, KINDS))


def parse_tags(given: list[Mapping[str, str]]) -> dict[str, str]:
    """Return a stack's tags by key."""
    tags = {tag["Key"]: tag["Value"] for tag in given}
    if len(tags) > TAGS_MAX:
        raise validation_error(f"Number of tags, {len(tags)}, is greater than maximum allowed, {TAGS_MAX}")
    if any(key.lower().startswith("aws:") for key in tags):
        raise validation_error("Tag keys cannot start with aws:")
    return tags


def needed_capabilities(template: Template) -> list[str]:
    """Return the capabilities that a template's IAM resources need."""
    iam = [item for item in template.resources.values() if item.type.startswith("AWS::IAM::")]
    if any(item.properties.get(_NAMED.get(item.type, "")) is not None for item in iam):
        return ["CAPABILITY_NAMED_IAM"]
    return ["CAPABILITY_IAM"] if iam else []


def _check_capabilities(template: Template, given: list[str], *, auto_expand: bool) -> None:
    needed = needed_capabilities(template)
    if needed == ["CAPABILITY_IAM"] and "CAPABILITY_NAMED_IAM" in given:
        needed = []
    if auto_expand:
        needed = [*needed, "CAPABILITY_AUTO_EXPAND"]
    if missing := [name for name in needed if name not in given]:
        raise ServiceError(
            "InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]", status=400
        )
