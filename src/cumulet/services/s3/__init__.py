"""S3, as far as code artifacts and small files need it: buckets and what is set for them, objects and their
versions, listings, multipart uploads."""

from cumulet.services.kit import Ground, Service, Unavailable, collect


def build(ground: Ground) -> Service:
    """Return the service."""
    from cumulet.services.s3 import buckets, configuration, listing, objects, policies, uploads, version_listing

    return Service(
        name="s3",
        operations=collect(buckets, configuration, policies, objects, listing, version_listing, uploads),
        iam_prefix="s3",
        denied_code="AccessDenied",
        unavailable=Unavailable(message="Service is unable to handle request."),
        plane=objects.S3Plane(ground),
        tags_of=lambda tx, call, arn: {},  # on AWS tags of buckets count where ABAC is enabled, which is not built
    )
