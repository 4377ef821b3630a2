"""Versions of managed policies."""

from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.iam.held_policies import render_document
from cumulet.services.iam.limits import POLICY_VERSIONS_MAX
from cumulet.services.iam.lookup import get_policy, policy_resource
from cumulet.services.iam.operations.policies import check_document, get_own_policy, save_policy
from cumulet.services.iam.paging import PAGED, page
from cumulet.services.iam.records import ManagedPolicy, PolicyVersion
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx


@operation("CreatePolicyVersion", resource=policy_resource, params="PolicyArn PolicyDocument SetAsDefault")
def create_policy_version(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add a version to a customer-managed policy, in force at once if SetAsDefault says so."""
    policy = get_own_policy(call, tx, params["PolicyArn"], "iam:CreatePolicyVersion")
    check_document(params["PolicyDocument"])
    if len(policy.versions) >= POLICY_VERSIONS_MAX:
        raise ServiceError(
            "LimitExceeded",
            f"A managed policy can have up to {POLICY_VERSIONS_MAX} versions. Before you create a new version, "
            "you must delete an existing version.",
        )
    policy.newest_number += 1
    version = PolicyVersion(policy.newest_number, params["PolicyDocument"], call.now_ms)
    policy.versions.append(version)
    if params.get("SetAsDefault"):
        policy.default_number = version.number
    policy.updated_ms = call.now_ms
    save_policy(tx, call.scope, policy)
    return {"PolicyVersion": _render_version(policy, version)}


@operation("GetPolicyVersion", resource=policy_resource, params="PolicyArn VersionId")
def get_policy_version(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one version with its document."""
    policy = get_policy(tx, call.scope, params["PolicyArn"])
    version = _get_version(policy, params)
    return {
        "PolicyVersion": {"Document": render_document(version.document), **_render_version(policy, version)},
    }


@operation("ListPolicyVersions", resource=policy_resource, params="PolicyArn" + PAGED)
def list_policy_versions(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a policy's versions, newest first, without their documents."""
    policy = get_policy(tx, call.scope, params["PolicyArn"])
    # Markers count up while the version numbers come down.
    versions, more = page(params, reversed(policy.versions), lambda version: f"{1_000_000 - version.number:07}")
    return {"Versions": [_render_version(policy, version) for version in versions], **more}


@operation("SetDefaultPolicyVersion", resource=policy_resource, params="PolicyArn VersionId")
def set_default_policy_version(call: Call, tx: WriteTx, params: Params) -> Output:
    """Put a version in force."""
    policy = get_own_policy(call, tx, params["PolicyArn"], "iam:SetDefaultPolicyVersion")
    policy.default_number = _get_version(policy, params).number
    policy.updated_ms = call.now_ms
    save_policy(tx, call.scope, policy)
    return {}


@operation("DeletePolicyVersion", resource=policy_resource, params="PolicyArn VersionId")
def delete_policy_version(call: Call, tx: WriteTx, params: Params) -> Output:
    """Delete a version that is not in force."""
    policy = get_own_policy(call, tx, params["PolicyArn"], "iam:DeletePolicyVersion")
    version = _get_version(policy, params)
    if version.number == policy.default_number:
        raise ServiceError("DeleteConflict", "Cannot delete the default version of a policy.")
    policy.versions.remove(version)
    policy.updated_ms = call.now_ms
    save_policy(tx, call.scope, policy)
    return {}


def _get_version(policy: ManagedPolicy, params: Params) -> PolicyVersion:
    for version in policy.versions:
        if f"v{version.number}" == params["VersionId"]:
            return version
    raise ServiceError(
        "NoSuchEntity",
        f"Policy {params['PolicyArn']} version {params['VersionId']} does not exist or is not attachable.",
    )


def _render_version(policy: ManagedPolicy, version: PolicyVersion) -> dict[str, Any]:
    return {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == policy.default_number,
        "CreateDate": version.created_ms // 1000,
    }
