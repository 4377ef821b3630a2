"""Checksums: the published check values, and bodies that do not match what was sent along."""

import base64
import zlib

import pytest

from cumulet.errors import ServiceError
from cumulet.services.s3.checksums import ALGORITHMS, _crc, check_body, compute_checksum, compute_composite


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("CRC32", "cbf43926"), ("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")],
)
def test_the_check_value_of_each_crc(algorithm: str, expected: str) -> None:
    assert ALGORITHMS[algorithm](b"123456789").hex() == expected


@pytest.mark.parametrize("size", [0, 1, 3, 4, 127, 128, 129, 1000, 4099])
def test_a_folded_crc_is_the_one_of_zlib(size: int) -> None:
    data = bytes((index * 31 + index // 7) % 256 for index in range(size))
    assert _crc(data, 32, 0xEDB88320) == zlib.crc32(data).to_bytes(4, "big")


def test_a_matching_checksum_is_returned() -> None:
    sent = compute_checksum("CRC32", b"hello")
    assert check_body({"ChecksumCRC32": sent.value, "ChecksumAlgorithm": "CRC32"}, b"hello") == sent


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (
            {"ChecksumCRC32": compute_checksum("CRC32", b"other").value},
            "BadDigest",
            "The CRC32 you specified did not match the calculated checksum.",
        ),
        ({"ChecksumSHA1": "AAAA"}, "InvalidRequest", "Value for x-amz-checksum-sha1 header is invalid."),
        (
            {"ContentMD5": base64.b64encode(b"0" * 16).decode()},
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        ),
        ({"ContentMD5": "?"}, "InvalidDigest", "The Content-MD5 you specified was invalid."),
        ({"ContentMD5": "\xe9"}, "InvalidDigest", "The Content-MD5 you specified was invalid."),
        (
            {"ChecksumAlgorithm": "CRC32"},
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers"
            " were found.",
        ),
    ],
)
def test_what_does_not_match_is_refused(params: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        check_body(params, b"hello")
    assert (refusal.value.code, refusal.value.message) == (code, message)


def test_a_composite_checksum_is_of_the_parts_checksums() -> None:
    parts = [compute_checksum("SHA256", b"a"), compute_checksum("SHA256", b"b")]
    raw = b"".join(base64.b64decode(part.value) for part in parts)
    assert compute_composite("SHA256", parts).value == compute_checksum("SHA256", raw).value + "-2"
