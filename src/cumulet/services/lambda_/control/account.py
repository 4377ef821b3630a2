"""What an account may use in a region, and what it uses."""

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.records import FUNCTIONS, LAYERS, VERSIONS, reserved_total
from cumulet.store.api import ReadTx


@operation("GetAccountSettings", resource="*")
def get_account_settings(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the limits and the use of this account in this region."""
    count, code_bytes = _usage(tx, call.scope)
    return {
        "AccountLimit": {
            "TotalCodeSize": limits.CODE_STORAGE_BYTES_MAX,
            "CodeSizeUnzipped": limits.UNZIPPED_CODE_BYTES_MAX,
            "CodeSizeZipped": limits.ZIPPED_CODE_BYTES_MAX,
            "ConcurrentExecutions": limits.CONCURRENT_EXECUTIONS_MAX,
            "UnreservedConcurrentExecutions": limits.CONCURRENT_EXECUTIONS_MAX - reserved_total(tx, call.scope),
        },
        "AccountUsage": {"TotalCodeSize": code_bytes, "FunctionCount": count},
    }


def check_code_storage(tx: ReadTx, scope: Scope, more_bytes: int) -> None:
    """Raise CodeStorageExceededException if the scope's archives would take more than AWS grants."""
    if more_bytes > 0 and _usage(tx, scope)[1] + more_bytes > limits.CODE_STORAGE_BYTES_MAX:
        raise ServiceError("CodeStorageExceededException", "Code storage limit exceeded.", Type="User")


def _usage(tx: ReadTx, scope: Scope) -> tuple[int, int]:
    sizes = [function.latest.code_size for function in FUNCTIONS.scan(tx, scope)]
    return len(sizes), sum(sizes) + sum(version.code_size for version in VERSIONS.scan(tx, scope)) + sum(
        layer.code_size for layer in LAYERS.scan(tx, scope)
    )
