"""Content-MD5: a digest of the body that a client sends along, so that what was garbled on the way is not taken."""

import base64
import hashlib

from cumulet.errors import ServiceError


def check_content_md5(sent: str, body: bytes) -> None:
    """Raise S3's BadDigest where a body is not what its Content-MD5 says, and InvalidDigest where that is none."""
    try:
        digest = base64.b64decode(sent, validate=True)
    except ValueError:  # no base64, or not even ASCII
        digest = b""
    if len(digest) != 16:
        raise ServiceError(
            "InvalidDigest", "The Content-MD5 you specified was invalid.", status=400, **{"Content-MD5": sent}
        )
    computed = hashlib.md5(body, usedforsecurity=False).digest()
    if digest != computed:
        raise ServiceError(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
            ExpectedDigest=digest.hex(),
            CalculatedDigest=base64.b64encode(computed).decode(),
        )
