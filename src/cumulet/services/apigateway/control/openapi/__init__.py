"""OpenAPI 2 and 3 documents with API Gateway's extensions: read into a plan, and written of an API (all pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html
"""
