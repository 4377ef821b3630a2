"""AWS's quotas for API Gateway. https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""

PAYLOAD_BYTES_MAX = 10 * 1024 * 1024
"""Of a request's body, for REST and HTTP APIs; cannot be raised on AWS."""

REST_TIMEOUT_MS = range(50, 29_000 + 1)
HTTP_TIMEOUT_MS = range(50, 30_000 + 1)

RESOURCES_PER_API_MAX = 3_000
ROUTES_PER_API_MAX = 3_000
"""AWS begins with 300 of each and raises them on request."""

STAGES_PER_API_MAX = 100
"""AWS begins with 10 and raises them on request."""

TAGS_PER_RESOURCE_MAX = 50

DEFINITION_BYTES_MAX = 6 * 1024 * 1024
"""Of an OpenAPI document to import."""

PAGE_ITEMS = 25
PAGE_ITEMS_MAX = 500
"""Of a list of the REST control plane: the default and the most that `limit` may ask for."""

ASSUMED_ROLE_SECONDS = 300
"""How long the pipeline keeps an integration's assumed role before it asks STS again; AWS does not tell."""

ASSUMED_ROLES_MAX = 1_000
COMPILED_MAX = 512
"""How many assumed roles and compiled deployments are kept in memory: ours."""

TEMPLATE_CHARS_MAX = 300 * 1024
FOREACH_TURNS_MAX = 1_000
"""Of a mapping template, and of each of its #foreach loops; cannot be raised on AWS."""

TEMPLATE_STEPS_MAX = 200_000
TEMPLATE_DEPTH_MAX = 40
"""What one rendering may do, and how deep templates may nest: ours, AWS stops a template by time."""

PATTERN_REPEATS_MAX = 4
PATTERN_TEXT_MAX = 10_000
"""Repetitions in a regular expression, and characters that one is matched with: ours."""
