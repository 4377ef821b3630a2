"""What may become a function's code."""

import io
import zipfile
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.lambda_.control.archives import check_archive, check_upload_size

NOT_UNZIPPABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


@pytest.mark.parametrize("name", ["../escape.py", "/etc/passwd", "a/../../b", "..\\b", "a/.."])
def test_a_member_outside_the_folder_is_refused(make_zip: Any, name: str) -> None:
    with pytest.raises(ServiceError, match=NOT_UNZIPPABLE):
        check_archive(make_zip({name: b""}))


@pytest.mark.parametrize("name", ["app.py", "package/app.py", "..data", "a..b/c"])
def test_a_member_inside_the_folder_is_taken(make_zip: Any, name: str) -> None:
    assert check_archive(make_zip({name: b""})).sha256


def test_an_archive_that_breaks_off_is_refused(make_zip: Any) -> None:
    with pytest.raises(ServiceError, match=NOT_UNZIPPABLE):
        check_archive(make_zip()[:-10])


def test_the_unpacked_size_is_what_counts() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", b"")
    directory = bytearray(packed.getvalue())
    # The size in the archive's directory: at byte 24 of its first entry.
    at = directory.index(b"PK\x01\x02") + 24
    directory[at : at + 4] = (250 * 1024 * 1024 + 1).to_bytes(4, "little")
    with pytest.raises(ServiceError, match="Unzipped size must be smaller than 262144000 bytes"):
        check_archive(bytes(directory))


def test_an_upload_over_fifty_megabytes_is_refused() -> None:
    check_upload_size(bytes(50 * 1024 * 1024), "CreateFunction")
    with pytest.raises(
        ServiceError, match="Request must be smaller than 69905067 bytes for the CreateFunction operation"
    ) as caught:
        check_upload_size(bytes(50 * 1024 * 1024 + 1), "CreateFunction")
    assert (caught.value.code, caught.value.status) == ("RequestEntityTooLargeException", 413)
