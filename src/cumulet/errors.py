"""The few errors of Cumulet, named for what happened to the caller.

`ServiceError` is AWS's answer to a bad request; `Conflict` means "run the transaction again"; `InvariantViolated` is a
bug of ours and becomes an InternalFailure.
"""

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """An AWS error: its shape name, its words, and the modelled members besides the message.

    `status` is needed only where the service's model does not say it (the wire layer looks it up by `code`, and falls
    back to 400). `message` may be empty where AWS sends none.
    """

    def __init__(self, code: str, message: str = "", *, status: int | None = None, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields: Mapping[str, Any] = fields


class NotImplementedHere(ServiceError):
    """What AWS has and Cumulet has not (yet): refused by its name, never ignored.

    Status 501, since the SDKs retry 500, 502, 503 and 504 but not this one.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            "NotImplementedException",
            f"{what} is not implemented by Cumulet. docs/operations.md lists what is.",
            status=501,
        )


class Conflict(Exception):
    """The transaction met a concurrent one and may succeed when it is run again."""


class InvariantViolated(Exception):
    """Something that cannot be true is: a bug in Cumulet. Becomes an InternalFailure with the request id."""
