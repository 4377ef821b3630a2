"""Dynamic references, `{{resolve:ssm:...}}`: values that other services keep, and none of those is here.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
"""

import re
from typing import Any

from cumulet.errors import NotImplementedHere

_REFERENCE = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):[^}]*\}\}")


def refuse_dynamic_references(value: Any) -> None:
    """Raise NotImplementedHere for a dynamic reference anywhere in a value; as it stands it would be taken for text."""
    if isinstance(value, str):
        if (found := _REFERENCE.search(value)) is not None:
            service = "Secrets Manager" if found[1] == "secretsmanager" else "Systems Manager"
            raise NotImplementedHere(
                f"The dynamic reference {found[0]} (there is no {service} here: give the value as a parameter)"
            )
    elif isinstance(value, dict):
        for child in value.values():
            refuse_dynamic_references(child)
    elif isinstance(value, list):
        for child in value:
            refuse_dynamic_references(child)
