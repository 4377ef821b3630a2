"""Finding a function, in AWS's words when there is none."""

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Params
from cumulet.services.lambda_.names import LATEST, FunctionRef, function_of
from cumulet.services.lambda_.records import FUNCTIONS, FunctionRecord
from cumulet.store.api import ReadTx


def load_function(tx: ReadTx, ref: FunctionRef) -> FunctionRecord:
    """Return the function and thereby its $LATEST. Raises ResourceNotFoundException for it or any other qualifier."""
    function = FUNCTIONS.find(tx, ref.scope, ref.name)
    if function is None or ref.qualifier not in (None, LATEST):
        if ref.qualifier == "$LATEST.PUBLISHED":
            raise NotImplementedHere("The qualifier $LATEST.PUBLISHED")
        raise ServiceError("ResourceNotFoundException", f"Function not found: {ref.arn}", Type="User")
    return function


def function_policy(tx: ReadTx, call: Call, params: Params) -> str | None:
    """Return the resource policy of the function that the call names; None without policy or function."""
    ref = function_of(call, params)
    function = FUNCTIONS.find(tx, ref.scope, ref.name)
    return None if function is None else function.policy
