"""Code archives: what is checked before one becomes a function's code.

Only the archive's directory is read; nothing is unpacked here. The execution plane unpacks, and may rely on no member's
name leaving its folder.
"""

import hashlib
import io
import zipfile
from base64 import b64encode
from dataclasses import dataclass

from cumulet.errors import ServiceError
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.configuration import invalid

_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Archive:
    """A checked code archive."""

    body: bytes
    sha256: str
    """Base64, as CodeSha256 has it."""
    unzipped_size: int


def check_archive(body: bytes) -> Archive:
    """Return the archive with its digest. Raises AWS's errors for one that is empty, no zip, unsafe or too large."""
    if not body:
        raise invalid("Uploaded file must be a non-empty zip")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise _not_unzippable() from None
    if any(leaves_its_folder(member.filename) or member.flag_bits & _ENCRYPTED for member in members):
        raise _not_unzippable()
    unzipped_size = sum(member.file_size for member in members)
    if unzipped_size > limits.UNZIPPED_CODE_BYTES_MAX:
        raise invalid(f"Unzipped size must be smaller than {limits.UNZIPPED_CODE_BYTES_MAX} bytes")
    return Archive(body, b64encode(hashlib.sha256(body).digest()).decode(), unzipped_size)


def check_upload_size(body: bytes, operation: str) -> None:
    """Raise AWS's error for an archive that is too large to be inside a request."""
    if len(body) > limits.ZIPPED_CODE_BYTES_MAX:
        raise ServiceError(
            "RequestEntityTooLargeException",
            f"Request must be smaller than {limits.ZIPPED_CODE_REQUEST_BYTES_MAX} bytes for the {operation} operation",
            status=413,
        )


def leaves_its_folder(name: str) -> bool:
    """Tell whether an archive member of that name would be written outside the folder that it is unpacked to."""
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or "\x00" in name


def _not_unzippable() -> ServiceError:
    return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
