"""AWS-managed policies by their ARN. Their contents lie in aws_managed.json, which is read on first use."""


def find_aws_managed_document(arn: str) -> str | None:
    """Return the default version's document, or None for a policy that Cumulet does not have."""
    return None
