"""AWS's quotas for API Gateway. https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""

PAYLOAD_BYTES_MAX = 10 * 1024 * 1024
"""Of a request's body, for REST and HTTP APIs; cannot be raised on AWS."""

COMPRESSION_BYTES = range(10 * 1024 * 1024 + 1)
"""What a REST API's minimumCompressionSize may be."""

REST_TIMEOUT_MS = range(50, 29_000 + 1)
REST_STREAM_TIMEOUT_MS = range(50, 900_000 + 1)
"""Of integrations whose answers are streamed."""

STREAM_IDLE_SECONDS = 300
"""How long a streamed answer may say nothing: that of regional APIs."""

PRELUDE_BYTES_MAX = 16 * 1024
"""Before the body of a streamed answer."""

HTTP_TIMEOUT_MS = range(50, 30_000 + 1)

ANSWERS_AWAITED_MAX = 2_048
"""Of HTTP servers behind APIs, at one time: half of the connections that this server takes. Ours."""

RESOURCES_PER_API_MAX = 3_000
ROUTES_PER_API_MAX = 3_000
INTEGRATIONS_PER_API_MAX = 3_000
"""AWS begins with 300 of each and raises them on request."""

STAGES_PER_API_MAX = 100
"""AWS begins with 10 and raises them on request."""

RESOURCE_PATH_CHARS_MAX = 1_600 - 200
"""A method's ARN may have 1,600 bytes. What stands before the path has up to 200, as long as stages' names can be.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

METHOD_SETTINGS_MAX = 3_000
"""Of a stage: as many as an API may have resources; ours."""

STAGE_VARIABLES_MAX = 100
STAGE_VARIABLE_NAME_CHARS_MAX = 64
STAGE_VARIABLE_VALUE_CHARS_MAX = 512
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""

TAGS_PER_RESOURCE_MAX = 50
TAG_KEY_CHARS_MAX = 128
TAG_VALUE_CHARS_MAX = 256

DOMAINS_MAX = 120
MAPPINGS_PER_DOMAIN_MAX = 200
MAPPING_KEY_CHARS_MAX = 300
ROUTING_RULES_PER_DOMAIN_MAX = 50
"""Custom domain names of an account in a region, and what each may have. AWS raises domains and rules on request.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
"""

RULE_HEADER_CHARS_MAX = 39
RULE_VALUE_CHARS_MAX = 127
RULE_INFIX_CHARS_MAX = 39
RULE_BASE_PATH_CHARS_MAX = 127
"""Of the conditions of a routing rule: less than 40 or 128 of each.

https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-routing-rules.html#rest-api-routing-rules-restrictions
"""

DEFINITION_BYTES_MAX = 6 * 1024 * 1024
"""Of an OpenAPI document to import."""

DEFINITION_NODES_MAX = 300_000
"""Of a document in YAML, whose aliases count as what they stand for: ours."""

REFERENCES_FOLLOWED_MAX = 20
"""From one reference of an OpenAPI document to the next: ours."""

VALUES_COPIED_MAX = 100_000
"""How much may be copied for the references between the models of one document before there is no more: ours."""

DOCUMENTATION_PARTS_MAX = 2_000
"""Of a REST API."""

DOCUMENTATION_PART_CHARS_MAX = 400 * 1024
"""Ours: as large as a model."""

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

TEMPLATE_CHARS_PER_STEP, TEMPLATE_VALUES_PER_STEP, TEMPLATE_STEPS_PER_MATCH = 500, 8, 4
"""How much of long texts and large values is looked at in the time of one step, and how many steps it takes to find
what a regular expression is for: ours.
"""

TEMPLATE_CALLS_MAX = 20
"""How deep macros call each other: velocimacro.max.depth.

https://velocity.apache.org/engine/1.7/developer-guide.html#velocity-configuration-keys-and-values
"""

PATTERN_BYTES_MAX = 1024 * 1024
"""Of memory for one compiled regular expression: ours."""

RESOURCE_POLICY_BYTES_MAX = 8_192
"""Of a REST API; AWS raises it on request."""

AUTHORIZERS_PER_API_MAX = 10
AUDIENCES_PER_AUTHORIZER_MAX = 50
SCOPES_PER_ROUTE_MAX = 10
AUTHORIZER_TTL_S = range(3600 + 1)
"""Of HTTP APIs; https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""

DISCOVERY_BYTES_MAX = 60_000
JWKS_BYTES_MAX = 150_000
ISSUER_TIMEOUT_S = 1.5
"""Of what an issuer of tokens answers; cannot be raised on AWS."""

JWKS_SECONDS = 7_200
"""How long API Gateway keeps an issuer's keys, as its guide to JWT authorizers says."""

JWKS_REFRESH_SECONDS = 10
"""How soon an issuer may be asked again for a key that it did not have: ours."""

ISSUER_RETRY_SECONDS = 1
"""How soon an issuer may be asked again that did not answer: ours. Whoever waited for that answer has it, too."""

ISSUERS_KEPT_MAX = 200
AUTHORIZER_ANSWERS_KEPT_MAX = 10_000
"""How many issuers' keys and authorizers' answers are kept in memory: ours."""

AUTHORIZER_ANSWERS_BYTES_MAX = 32 * 1024 * 1024
"""How long the answers may be together, as functions wrote them: ours, since AWS gives no limit for one."""

SCHEMA_ERRORS_TOLD_MAX = 20
"""Of a body that a model does not allow: ours."""

SCHEMA_REFERENCES_FREE = 1_000
SCHEMA_REFERENCES_PER_BYTE = 4
"""How many references of a model are followed for a body of no length, and how many more for each byte: ours."""

SCHEMA_BYTES_AT_ONCE_MAX = 64 * 1024
"""A longer body is held against its model aside from the other requests: ours."""

SCHEMA_CHARS_MAX = 400 * 1024
"""Of a REST API's model."""

AUTHORIZER_TTL_DEFAULT_S = 300
"""Of a REST API's authorizer."""

AUTHORIZER_TIMEOUT_S = 10
"""Of the function of an HTTP API's authorizer; cannot be raised on AWS."""

BUCKETS_KEPT_MAX = 10_000
LOG_LINES_PENDING_MAX = 10_000
LOG_BATCH_LINES = 500
"""Buckets of tokens, and lines of logs that wait, kept in memory: ours."""

ACCOUNT_RATE = 10_000
ACCOUNT_BURST = 5_000
"""Requests a second of an account in a region: what stands in for the half of a route's throttling that is not set."""

KEY_CHARS = 40
"""Of the value of an API key that AWS makes."""

KEY_VALUE_CHARS = range(20, 128 + 1)
IMPORTED_KEY_CHARS = range(30, 128 + 1)
KEY_NAME_CHARS_MAX = 1024
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/api-key-file-format.html"""

KEYS_MAX = 10_000
PLANS_MAX = 300
PLANS_PER_KEY_MAX = 10
PLAN_METHODS_MAX = 20
"""Of an account in a region, of a key, and of a plan's stage: methods with throttling of their own."""

USAGE_DAYS_MAX = 90
"""How far apart the dates of GetUsage may lie."""

CACHE_TTL_S = range(3600 + 1)
"""Of an answer that a stage keeps; 0 keeps none."""

LOG_FINISH_S = 5
"""How long a server that stops waits until logs are written: ours."""

EXECUTION_LOG_LINE_BYTES = 1024
"""Of a line of an execution log; longer ones are cut.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

CACHED_BYTES_MAX = 1_048_576
"""Of an answer that a stage keeps; cannot be raised on AWS."""

CACHE_BYTES_MAX = 64 * 1024 * 1024
"""Of all the answers that a process keeps, whatever sizes the stages' clusters have: ours."""

CACHED_ANSWER_BYTES, CACHED_FIELD_BYTES = 1024, 192
"""What an answer takes in memory besides its text, and each of its headers: many small ones are no less than a few."""

CERTIFICATES_MAX = 60
"""Client certificates of an account in a region."""

CERTIFICATE_DAYS = 365
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/getting-started-client-side-ssl-authentication.html"""
