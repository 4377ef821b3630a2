"""The names of API Gateway's extensions to OpenAPI."""

PREFIX = "x-amazon-apigateway-"

ANY_METHOD = f"{PREFIX}any-method"
API_KEY_SOURCE = f"{PREFIX}api-key-source"
AUTH = f"{PREFIX}auth"
AUTHORIZER = f"{PREFIX}authorizer"
AUTHTYPE = f"{PREFIX}authtype"
BINARY_MEDIA_TYPES = f"{PREFIX}binary-media-types"
CORS = f"{PREFIX}cors"
DOCUMENTATION = f"{PREFIX}documentation"
ENDPOINT_CONFIGURATION = f"{PREFIX}endpoint-configuration"
ENDPOINT_ACCESS_MODE = f"{PREFIX}endpoint-access-mode"
GATEWAY_RESPONSES = f"{PREFIX}gateway-responses"
INTEGRATION = f"{PREFIX}integration"
INTEGRATIONS = f"{PREFIX}integrations"
MINIMUM_COMPRESSION_SIZE = f"{PREFIX}minimum-compression-size"
POLICY = f"{PREFIX}policy"
POSTMAN = "x-postman-meta"
"""Not API Gateway's own: what Postman keeps of a request beyond what OpenAPI tells.

https://github.com/postmanlabs/swagger2-to-postman
"""
REQUEST_VALIDATOR = f"{PREFIX}request-validator"
REQUEST_VALIDATORS = f"{PREFIX}request-validators"
SECURITY_POLICY = f"{PREFIX}security-policy"
TAG_VALUE = f"{PREFIX}tag-value"
VERSION = f"{PREFIX}importexport-version"
