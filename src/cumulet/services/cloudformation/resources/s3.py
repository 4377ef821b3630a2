"""AWS::S3::Bucket."""

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, ResourceFailed, resource_type


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


async def _delete(desk: Desk, name: str, properties: Properties) -> None:
    await desk.drop("s3", "DeleteBucket", {"Bucket": name}, "NoSuchBucket")


BUCKET = resource_type(
    "AWS::S3::Bucket",
    create=_create,
    update=None,
    delete=_delete,
    properties="BucketName",
    not_built="AbacStatus AccelerateConfiguration AccessControl AnalyticsConfigurations BucketEncryption"
    " CorsConfiguration IntelligentTieringConfigurations InventoryConfigurations LifecycleConfiguration"
    " LoggingConfiguration MetadataConfiguration MetadataTableConfiguration MetricsConfigurations"
    " NotificationConfiguration ObjectLockConfiguration ObjectLockEnabled OwnershipControls"
    " PublicAccessBlockConfiguration ReplicationConfiguration Tags VersioningConfiguration WebsiteConfiguration",
    attributes="Arn DomainName DualStackDomainName RegionalDomainName WebsiteURL",
    name_property="BucketName",
    name_max=63,
    lower_case=True,
)
