"""CloudFormation: stacks from templates, SAM templates included, whose resources the other services hold."""

from cumulet.services.kit import Ground, Service, collect


def build(ground: Ground) -> Service:
    """Return the service."""
    from cumulet.services.cloudformation import change_sets, describe, stacks, templates
    from cumulet.services.cloudformation.plane import CloudFormationPlane

    return Service(
        name="cloudformation",
        operations=collect(change_sets, describe, stacks, templates),
        iam_prefix="cloudformation",
        denied_code="AccessDenied",
        plane=CloudFormationPlane(ground),
        tags_of=stacks.tags_of,
    )
