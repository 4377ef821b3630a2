"""Policies as resources of their own: AWS::IAM::ManagedPolicy, AWS::IAM::Policy, and those of one role or user."""

from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.resources.iam_holders import GONE, Holder, document
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    ResourceType,
    as_text,
    resource_type,
)

_HOLDERS: tuple[tuple[Holder, str], ...] = (("Role", "Roles"), ("User", "Users"))


def _holders(properties: Properties) -> set[tuple[Holder, str]]:
    """Return the roles and users that a policy names."""
    return {(holder, name) for holder, member in _HOLDERS for name in properties.get(member) or []}


def _arn_of(output: Any) -> str:
    return str(output["Policy"]["Arn"])


async def _create_managed_policy(desk: Desk, properties: Properties) -> Made:
    output = await desk.make(
        "iam",
        "CreatePolicy",
        {
            "PolicyName": desk.name,
            "PolicyDocument": document(properties["PolicyDocument"]),
            "Path": properties.get("Path"),
            "Description": properties.get("Description"),
        },
        _arn_of,
    )
    arn = _arn_of(output)
    await _attach(desk, arn, {}, properties)
    return Made(arn, {"PolicyArn": arn, "PolicyId": output["Policy"]["PolicyId"]})


async def _attach(desk: Desk, arn: str, old: Properties, new: Properties) -> None:
    before, after = _holders(old), _holders(new)
    for holder, name in sorted(after - before):
        await desk.call("iam", f"Attach{holder}Policy", {f"{holder}Name": name, "PolicyArn": arn})
    for holder, name in sorted(before - after):
        await desk.drop("iam", f"Detach{holder}Policy", {f"{holder}Name": name, "PolicyArn": arn}, GONE)


async def _update_managed_policy(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    arn = made.physical_id
    if new["PolicyDocument"] != old["PolicyDocument"]:
        # IAM keeps five versions; CloudFormation makes room by dropping the oldest that is not in use.
        if len(spare := await _spare_versions(desk, arn)) >= 4:
            await desk.call("iam", "DeletePolicyVersion", {"PolicyArn": arn, "VersionId": spare[-1]})
        params = {"PolicyArn": arn, "PolicyDocument": document(new["PolicyDocument"]), "SetAsDefault": True}
        await desk.call("iam", "CreatePolicyVersion", params)
    await _attach(desk, arn, old, new)
    return made


async def _spare_versions(desk: Desk, arn: str) -> list[str]:
    """Return the versions that are not in use, the newest first; none, if the policy is gone."""
    try:
        versions = (await desk.call("iam", "ListPolicyVersions", {"PolicyArn": arn}))["Versions"]
    except ServiceError as error:
        if error.code != GONE:
            raise
        return []
    return [version["VersionId"] for version in versions if not version["IsDefaultVersion"]]


async def _delete_managed_policy(desk: Desk, arn: str, properties: Properties) -> None:
    await _attach(desk, arn, properties, {})
    for version in await _spare_versions(desk, arn):
        await desk.drop("iam", "DeletePolicyVersion", {"PolicyArn": arn, "VersionId": version}, GONE)
    await desk.drop("iam", "DeletePolicy", {"PolicyArn": arn}, GONE)


MANAGED_POLICY = resource_type(
    "AWS::IAM::ManagedPolicy",
    entries={"Roles": "", "Users": ""},
    create=_create_managed_policy,
    update=_update_managed_policy,
    delete=_delete_managed_policy,
    properties="Description ManagedPolicyName Path PolicyDocument Roles Users",
    required="PolicyDocument",
    immutable="Description ManagedPolicyName Path",
    not_built="Groups",
    attributes="PolicyArn PolicyId",
    name_property="ManagedPolicyName",
    name_max=128,
)


def _places(properties: Properties) -> set[tuple[Holder, str, str]]:
    """Return whose policy it is, under which name."""
    name = as_text(properties["PolicyName"], "#/PolicyName") if properties else ""
    return {(holder, who, name) for holder, who in _holders(properties)}


async def _create_policy(desk: Desk, properties: Properties) -> Made:
    await _set_policy(desk, {}, properties)
    return Made(desk.name)


async def _set_policy(desk: Desk, old: Properties, new: Properties) -> None:
    before, after = _places(old), _places(new)
    if new and not after:
        raise ResourceFailed("At least one of [Groups,Roles,Users] must be non-empty.")
    for holder, who, name in sorted(after):
        params = {f"{holder}Name": who, "PolicyName": name, "PolicyDocument": document(new["PolicyDocument"])}
        await desk.make("iam", f"Put{holder}Policy", params, lambda _: desk.name)
    for holder, who, name in sorted(before - after):
        await desk.drop("iam", f"Delete{holder}Policy", {f"{holder}Name": who, "PolicyName": name}, GONE)


async def _update_policy(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _set_policy(desk, old, new)
    return made


async def _delete_policy(desk: Desk, physical_id: str, properties: Properties) -> None:
    await _set_policy(desk, properties, {})


POLICY = resource_type(
    "AWS::IAM::Policy",
    entries={"Roles": "", "Users": ""},
    create=_create_policy,
    update=_update_policy,
    delete=_delete_policy,
    properties="PolicyDocument PolicyName Roles Users",
    required="PolicyDocument PolicyName",
    not_built="Groups",
)


def _policy_of(holder: Holder) -> ResourceType:
    """Return the type of an inline policy of one role or one user."""
    who = f"{holder}Name"

    async def put(desk: Desk, properties: Properties) -> Made:
        physical_id = f"{properties['PolicyName']}|{properties[who]}"
        params = {**properties, "PolicyDocument": document(properties.get("PolicyDocument"))}
        await desk.make("iam", f"Put{holder}Policy", params, lambda _: physical_id)
        return Made(physical_id)

    async def update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
        return await put(desk, new)

    async def delete(desk: Desk, physical_id: str, properties: Properties) -> None:
        params = {name: properties[name] for name in (who, "PolicyName")}
        await desk.drop("iam", f"Delete{holder}Policy", params, GONE)

    return resource_type(
        f"AWS::IAM::{holder}Policy",
        create=put,
        update=update,
        delete=delete,
        properties=f"PolicyDocument PolicyName {who}",
        required=f"PolicyName {who}",
        immutable=f"PolicyName {who}",
    )


ROLE_POLICY = _policy_of("Role")
USER_POLICY = _policy_of("User")
