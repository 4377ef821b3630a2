"""Lambda's own condition keys, as its operations tell them to the authorizer.

Source: Service Authorization Reference, "AWS Lambda".
"""

from typing import Final

from cumulet.services.kit import Call, ConditionValues, Params

_KEYS: Final = {
    "AuthType": "lambda:FunctionUrlAuthType",
    "CodeSigningConfigArn": "lambda:CodeSigningConfigArn",
    "FunctionUrlAuthType": "lambda:FunctionUrlAuthType",
    "Layers": "lambda:Layer",
    "Principal": "lambda:Principal",
}


def member_keys(call: Call, params: Params) -> ConditionValues:
    """Return the keys of what a request gives a function: who may call it, layers, a code signing configuration."""
    return {key: params[member] for member, key in _KEYS.items() if params.get(member)}
