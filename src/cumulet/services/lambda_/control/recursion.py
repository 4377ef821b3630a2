"""What becomes of a function that calls itself again and again: AWS ends it unless its owner wants it so.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
"""

import msgspec

from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.lookup import function_policy, load_function
from cumulet.services.lambda_.names import function_of, unqualified_resource
from cumulet.services.lambda_.records import FUNCTIONS
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "PutFunctionRecursionConfig",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName RecursiveLoop",
)
def put_function_recursion_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Allow a function its loops, or have them ended."""
    ref = function_of(call, params)
    function = msgspec.structs.replace(load_function(tx, ref), recursive_loop=params["RecursiveLoop"])
    FUNCTIONS.save(tx, ref.scope, ref.name, record=function)
    return {"RecursiveLoop": function.recursive_loop}


@operation(
    "GetFunctionRecursionConfig", resource=unqualified_resource, resource_policy=function_policy, params="FunctionName"
)
def get_function_recursion_config(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return whether a function's loops are ended."""
    return {"RecursiveLoop": load_function(tx, function_of(call, params)).recursive_loop}
