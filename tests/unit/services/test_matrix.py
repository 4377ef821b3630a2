"""The comparison behind docs/operations.md."""

from cumulet.services.kit import Call, Output, Params, Service, operation
from cumulet.services.matrix import Row, compare, render_document
from cumulet.store.api import ReadTx


@operation("GetCallerIdentity", resource="*")
def get_caller_identity(call: Call, tx: ReadTx, params: Params) -> Output:
    """Takes nothing, so it honours everything."""
    return {}


@operation("GetAccessKeyInfo", resource="*", params="AccessKeyId", missing="keys of other accounts")
def get_access_key_info(call: Call, tx: ReadTx, params: Params) -> Output:
    """Honours its one parameter, and says what it does not do all the same."""
    return {}


@operation("GetSessionToken", resource="*", params="DurationSeconds")
def get_session_token(call: Call, tx: ReadTx, params: Params) -> Output:
    """Leaves two parameters out."""
    return {}


STS = Service(
    "sts",
    {one.name: one for one in (get_caller_identity, get_access_key_info, get_session_token)},
    "sts",
)


def test_each_operation_of_aws_has_its_row() -> None:
    rows = {row.name: row for row in compare(STS)}
    assert rows["GetCallerIdentity"] == Row("GetCallerIdentity", "full")
    assert rows["GetAccessKeyInfo"] == Row("GetAccessKeyInfo", "partial", (), "keys of other accounts")
    assert rows["GetSessionToken"].coverage == "partial"
    assert rows["GetSessionToken"].missing_members[:2] == ("SerialNumber", "TokenCode")
    assert rows["AssumeRoleWithSAML"] == Row("AssumeRoleWithSAML", "refused")


def test_the_document_counts_and_names() -> None:
    document = render_document([STS])
    refused = sum(row.coverage == "refused" for row in compare(STS))
    assert f"| [STS](#sts) | 1 | 2 | {refused} |" in document
    assert "| GetSessionToken | partial | `SerialNumber`, `TokenCode`" in document
    assert "| GetAccessKeyInfo | partial | keys of other accounts |" in document
    assert "Refused: AssumeRole, AssumeRoleWithSAML" in document
