"""What docs/stacks.md says of types is so."""

import re

from cumulet.services.cloudformation.resources import TYPES
from running import ROOT


def test_every_type_is_listed() -> None:
    text = (ROOT / "docs/stacks.md").read_text().partition("## Types of resources")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (.+) \|$", text, re.MULTILINE)
    listed = [f"AWS::{service}::{kind}" for service, kinds in rows[1:] for kind in kinds.split(", ")]
    assert listed == sorted(TYPES)
