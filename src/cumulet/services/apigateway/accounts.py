"""What API Gateway knows of an account in a region; both the control plane and the pipeline read it."""

import msgspec

from cumulet.store.keyspace import API_ACCOUNT
from cumulet.store.records import Records


class Account(msgspec.Struct, omit_defaults=True):
    """The settings of an account in a region."""

    log_role: str | None = None
    """The ARN of the role with which logs are written."""


ACCOUNTS = Records(API_ACCOUNT, Account)
