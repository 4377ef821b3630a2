"""CloudFormation's limits. Source: "Understand CloudFormation quotas" in the CloudFormation User Guide."""

TEMPLATE_BODY_BYTES_MAX = 51_200
TEMPLATE_URL_BYTES_MAX = 1_000_000
RESOURCES_MAX = 500
OUTPUTS_MAX = 200
PARAMETERS_MAX = 200
MAPPINGS_MAX = 200
PARAMETER_BYTES_MAX = 4096
TAGS_MAX = 50
DEFINITION_BYTES_MAX = 6 * 1024 * 1024
"""Of an API's document in S3: API Gateway's own limit, asked before it is read."""

ANSWER_BYTES_MAX = 4096
"""Of a custom resource's function. Source: "Custom resource response objects" in the CloudFormation User Guide."""
SERVICE_TIMEOUT_S_MAX = 3600

STACKS_MAX = 2000
PAGE_MAX = 100
"""DescribeStackEvents, ListStacks and their like answer with pages of this size."""

STACK_DEPTH_MAX = 16
"""Ours: of stacks within stacks, so that one that has itself within it comes to an end."""

TEMPLATE_DEPTH_MAX = 64
"""Ours: AWS refuses deep nesting as well, without telling where it begins."""
