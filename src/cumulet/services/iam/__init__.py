"""IAM and STS: who someone is, and what they may do.

For the edge and the dispatcher: `identify` turns an access key into a principal, `IamAuthorizer` says what it may do.
"""

from cumulet.services.iam.authorizer import IamAuthorizer
from cumulet.services.iam.identities import Identify, Identity, identify

__all__ = ["IamAuthorizer", "Identify", "Identity", "identify"]
