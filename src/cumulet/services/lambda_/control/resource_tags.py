"""The tags of functions and code signing configurations, as policies ask for them by ARN."""

import re
from collections.abc import Mapping

from cumulet.scope import Scope
from cumulet.services.kit import Call
from cumulet.services.lambda_.records import CODE_SIGNINGS, FUNCTIONS
from cumulet.store.api import ReadTx

_ARN = re.compile(r"arn:aws:lambda:([a-z0-9-]+):(\d{12}):(function|code-signing-config):([^:]+)").match


def tags_of(tx: ReadTx, call: Call, arn: str) -> Mapping[str, str]:
    """Return the tags of what an ARN names; versions and aliases have their function's. Layers have none."""
    found = _ARN(arn)
    if found is None:
        return {}
    scope = Scope(found[2], found[1])
    if found[3] == "function":
        function = FUNCTIONS.find(tx, scope, found[4])
        return {} if function is None else function.tags
    configuration = CODE_SIGNINGS.find(tx, scope, found[4])
    return {} if configuration is None else configuration.tags
