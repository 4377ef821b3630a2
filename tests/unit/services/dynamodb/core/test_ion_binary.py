"""Ion in its binary form: what Amazon's own library writes, whole and in pieces, and what is no item."""

import random

import pytest

from cumulet.services.dynamodb.core.interchange import Record, ion_reader
from cumulet.services.dynamodb.core.limits import IMPORT_RECORD_BYTES_MAX

WRITTEN = bytes.fromhex(
    # {Item:{pk:"one",n:12.5,i:-100,f:1.5e0,b:{{AQI=}},t:true,z:null,l:["q",-1d-3],m:{k:{}},
    #        ss:$dynamodb_SS::["a","b"],ns:$dynamodb_NS::[1.,2d3],bs:$dynamodb_BS::[{{AQ==}}]}}
    "e00100eaeed18183decd87beca844974656d82706b816e8169816681628174817a816c816d816b8273738c2464796e616d6f64625f5353826e"
    "738c2464796e616d6f64625f4e538262738c2464796e616d6f64625f4253dec78adec48b836f6e658c52c17d8d31648e483ff8000000000000"
    "8fa201029011910f92b5817152c38193d294d095e78196b48161816297e98198b652800152830299e5819ab2a101"
)
ITEM = {
    "pk": {"S": "one"},
    "n": {"N": "12.5"},
    "i": {"N": "-100"},
    "f": {"N": "1.5"},
    "b": {"B": "AQI="},
    "t": {"BOOL": True},
    "z": {"NULL": True},
    "l": {"L": [{"S": "q"}, {"N": "-0.001"}]},
    "m": {"M": {"k": {"M": {}}}},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2000"]},
    "bs": {"BS": ["AQ=="]},
}
MARK = WRITTEN[:4]
NO_ION = "This is no Ion that an item can be read from"


def read(data: bytes, piece_bytes: int = 1 << 20) -> list[Record]:
    reader = ion_reader()
    found: list[Record] = []
    for start in range(0, len(data), piece_bytes):
        found += reader.feed(data[start : start + piece_bytes])
    return [*found, *reader.finish()]


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 1000])
def test_what_amazons_library_writes(piece_bytes: int) -> None:
    # Each mark begins a stream anew, with symbols of its own; bytes that fill a gap are passed over.
    assert read(WRITTEN + b"\x03\x00\x00\x00" + WRITTEN, piece_bytes) == [(ITEM, 56), (ITEM, 56)]


BAD = {
    "a timestamp": ("ed8183da87b8844974656d82706bd98ad78b65c00fe48181", NO_ION),
    "a symbol": (
        "ee928183de8e87bc844974656d8373796d82706bd58ad38c710b",
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    ),
    "an s-expression": ("ee928183de8e87bc844974656d82706b81618162d88ad68bc4710c710d", NO_ION),
    "not a number": ("ed8183da87b8844974656d82706bdc8ada8b487ffefefefefefefe", NO_ION),
    "a clob": ("ed8183da87b8844974656d82706bd88ad68b94636c6f62", NO_ION),
    "a list of its own": ("b22101", NO_ION),
    "a set of another kind": (
        "ee9c8183de9887be95844974656d82706b8c2464796e616d6f64625f5353d98ad78be5818cb22101",
        NO_ION,
    ),
    "another member": ("eb8183d887b6854f74686572d38a2101", "The record has no Item"),
    "an item that is a number": ("ea8183d787b5844974656dd38a2101", "The record has no Item"),
    "a number that is too long": (
        "ea8183d787b5844974656ddec48a2ec1" + "ff" * 65,
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    ),
    "a symbol that nobody defined": ("d3ff2101", NO_ION),
    "broken UTF-8": ("d48482fffe", NO_ION),
    "an end within a value": ("d4842101", "The record ends too early"),
    "no kind that there is": ("f0", "This is no Ion"),
    "a length without an end": ("de7f7f7f7f7f7f", "This is no Ion"),
    "a record that is too long": ("de7f7f7fff", "The record is too long"),
    "symbols from elsewhere": ("e98183d6868581210100", None),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_what_is_no_item(data: str, message: str | None) -> None:
    found = read(MARK + bytes.fromhex(data))
    assert len(found) == 1
    assert isinstance(found[0], str)
    assert message is None or found[0] == message


def test_after_a_record_that_is_no_item_comes_the_next() -> None:
    timestamp = MARK + bytes.fromhex(BAD["a timestamp"][0])
    assert read(timestamp + WRITTEN) == [NO_ION, (ITEM, 56)]


def test_what_comes_behind_broken_bytes_cannot_be_read() -> None:
    assert read(WRITTEN + b"\xff" + WRITTEN) == [(ITEM, 56), "This is no Ion"]


def test_a_record_has_a_limit_before_its_end_is_there() -> None:
    head = b"\xde" + bytes(b | 0x80 * (n == 3) for n, b in enumerate([2, 0, 0, 1]))
    reader = ion_reader()
    assert list(reader.feed(MARK + head)) == ["The record is too long"]
    assert IMPORT_RECORD_BYTES_MAX <= (2 << 21)


def test_depth_is_bounded() -> None:
    data = b"\x20"
    for _ in range(200):
        data = b"\xbe" + bytes([len(data) >> 7, len(data) & 0x7F | 0x80]) + data
    assert read(MARK + data) == ["Nesting Levels have exceeded supported limits"]


def test_whatever_bytes_there_are_they_are_read_or_refused() -> None:
    chance = random.Random(1)
    for _ in range(1000):
        data = bytearray(WRITTEN)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        assert len(read(bytes(data))) <= len(data)
