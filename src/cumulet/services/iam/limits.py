"""IAM's and STS's limits, with AWS's numbers.

Source: IAM user guide, "IAM and AWS STS quotas". Lengths that the service model states are checked from the model.
"""

from typing import Final

ROLES_MAX: Final = 1000
USERS_MAX: Final = 5000
POLICIES_MAX: Final = 1500

ATTACHED_POLICIES_MAX: Final = 10
"""Managed policies per role or user."""

ROLE_INLINE_CHARACTERS_MAX: Final = 10_240
"""All inline policies of a role together, without white space."""
USER_INLINE_CHARACTERS_MAX: Final = 2_048
MANAGED_POLICY_CHARACTERS_MAX: Final = 6_144
TRUST_POLICY_CHARACTERS_MAX: Final = 2_048
POLICY_VERSIONS_MAX: Final = 5

ACCESS_KEYS_MAX: Final = 2
"""Per user."""
TAGS_MAX: Final = 50
"""Per resource."""

PAGE_ITEMS_DEFAULT: Final = 100

SESSION_S_DEFAULT: Final = 3600
CHAINED_SESSION_S_MAX: Final = 3600
SERVICE_SESSION_S_MAX: Final = 43_200
"""An AWS service (Lambda) gets sessions longer than the role's MaxSessionDuration, which is for those who ask STS."""
PACKED_SESSION_POLICY_BYTES_MAX: Final = 2_048
"""AWS does not say how it packs session policies; this is the limit on their characters."""
SESSION_POLICY_ARNS_MAX: Final = 10
