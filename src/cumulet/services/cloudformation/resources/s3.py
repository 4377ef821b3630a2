"""AWS::S3::Bucket and AWS::S3::BucketPolicy."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    as_objects,
    as_text,
    resource_type,
    tag_list,
)


async def _is_there(desk: Desk, name: str) -> bool:
    try:
        await desk.operations.call(desk.principal, desk.scope, "s3", "HeadBucket", {"Bucket": name})
    except ServiceError as error:
        if error.code == "NoSuchBucket":
            return False
        raise
    return True


async def _create(desk: Desk, properties: Properties) -> Made:
    name, region = desk.name, desk.scope.region
    if await _is_there(desk, name):
        # CreateBucket succeeds for a bucket that one owns already, in us-east-1.
        raise ResourceFailed(f"{name} already exists")
    configuration = None if region == "us-east-1" else {"LocationConstraint": region}
    params = {"Bucket": name, "CreateBucketConfiguration": configuration}
    await desk.make("s3", "CreateBucket", params, lambda _: name)
    await _configure(desk, name, {}, properties)
    await _set_tags(desk, name, has_tags=False, properties=properties)
    website = f"{name}.s3-website-{region}" if region == "us-east-1" else f"{name}.s3-website.{region}"
    return Made(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            "WebsiteURL": f"http://{website}.amazonaws.com",
        },
    )


def _render_encryption(configuration: Mapping[str, Any]) -> dict[str, Any]:
    rules = []
    for rule in as_objects(configuration.get("ServerSideEncryptionConfiguration"), "#/BucketEncryption"):
        renamed = dict(rule)
        # The same thing has two names.
        if "ServerSideEncryptionByDefault" in renamed:
            renamed["ApplyServerSideEncryptionByDefault"] = renamed.pop("ServerSideEncryptionByDefault")
        rules.append(renamed)
    return {"Rules": rules}


_SETTINGS: Mapping[str, tuple[str, str, Mapping[str, Any], Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "BucketEncryption": (
        "PutBucketEncryption",
        "ServerSideEncryptionConfiguration",
        {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
        _render_encryption,
    ),
    "PublicAccessBlockConfiguration": (
        "PutPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True),
        dict,
    ),
    "VersioningConfiguration": ("PutBucketVersioning", "VersioningConfiguration", {"Status": "Suspended"}, dict),
}
"""By property: the operation and the member that set it, what it goes back to when the template no longer has it, and
how it is written as that member."""


async def _configure(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    for setting, (operation, member, unset, render) in _SETTINGS.items():
        if old.get(setting) != new.get(setting):
            await desk.call("s3", operation, {"Bucket": name, member: render(new.get(setting, unset))})


async def _set_tags(desk: Desk, name: str, has_tags: bool, properties: Properties) -> None:
    tags = tag_list(desk.merged_tags(properties))
    if tags is not None:
        await desk.call("s3", "PutBucketTagging", {"Bucket": name, "Tagging": {"TagSet": tags}})
    elif has_tags:
        await desk.call("s3", "DeleteBucketTagging", {"Bucket": name})


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _configure(desk, made.physical_id, old, new)
    await _set_tags(desk, made.physical_id, has_tags=True, properties=new)
    return made


async def _delete(desk: Desk, name: str, properties: Properties) -> None:
    await desk.drop("s3", "DeleteBucket", {"Bucket": name}, "NoSuchBucket")


BUCKET = resource_type(
    "AWS::S3::Bucket",
    create=_create,
    update=_update,
    delete=_delete,
    properties="BucketEncryption BucketName PublicAccessBlockConfiguration Tags VersioningConfiguration",
    immutable="BucketName",
    objects="BucketEncryption PublicAccessBlockConfiguration VersioningConfiguration",
    entries={"Tags": "Key Value"},
    not_built="AbacStatus AccelerateConfiguration AccessControl AnalyticsConfigurations"
    " CorsConfiguration IntelligentTieringConfigurations InventoryConfigurations LifecycleConfiguration"
    " LoggingConfiguration MetadataConfiguration MetadataTableConfiguration MetricsConfigurations"
    " NotificationConfiguration ObjectLockConfiguration ObjectLockEnabled OwnershipControls"
    " ReplicationConfiguration WebsiteConfiguration",
    attributes="Arn DomainName DualStackDomainName RegionalDomainName WebsiteURL",
    name_property="BucketName",
    name_max=63,
    lower_case=True,
)


def _document(properties: Properties) -> str:
    document = properties["PolicyDocument"]
    return document if isinstance(document, str) else json.dumps(document)


async def _create_policy(desk: Desk, properties: Properties) -> Made:
    bucket = as_text(properties["Bucket"], "#/Bucket")
    if await _has_policy(desk, bucket):
        raise ResourceFailed(f"The bucket policy already exists on bucket {bucket}.")
    params = {"Bucket": bucket, "Policy": _document(properties)}
    await desk.make("s3", "PutBucketPolicy", params, lambda _: bucket)
    return Made(bucket)


async def _has_policy(desk: Desk, bucket: str) -> bool:
    try:
        await desk.operations.call(desk.principal, desk.scope, "s3", "GetBucketPolicy", {"Bucket": bucket})
    except ServiceError as error:
        if error.code == "NoSuchBucketPolicy":
            return False
        raise
    return True


async def _update_policy(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await desk.call("s3", "PutBucketPolicy", {"Bucket": made.physical_id, "Policy": _document(new)})
    return made


async def _delete_policy(desk: Desk, bucket: str, properties: Properties) -> None:
    await desk.drop("s3", "DeleteBucketPolicy", {"Bucket": bucket}, "NoSuchBucket")


BUCKET_POLICY = resource_type(
    "AWS::S3::BucketPolicy",
    create=_create_policy,
    update=_update_policy,
    delete=_delete_policy,
    properties="Bucket PolicyDocument",
    required="Bucket PolicyDocument",
    immutable="Bucket",
)
