"""S3, as far as code artifacts and small files need it: buckets, objects, listings, multipart uploads."""

from cumulet.services.kit import Ground, Service, Unavailable, collect


def build(ground: Ground) -> Service:
    """Return the service."""
    from cumulet.services.s3 import buckets, listing, objects, uploads

    return Service(
        name="s3",
        operations=collect(buckets, objects, listing, uploads),
        iam_prefix="s3",
        denied_code="AccessDenied",
        unavailable=Unavailable(message="Service is unable to handle request."),
        plane=objects.S3Plane(ground),
        tags_of=lambda tx, call, arn: {},  # buckets and objects have none here
    )
