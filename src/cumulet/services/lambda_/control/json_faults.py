"""What is wrong with a payload that is not JSON, in the words of the parser that AWS uses (Jackson).

Clients show this text to people, who search the web for it: hence the fault, and where it is, as Jackson says it.
"""

import re

import msgspec

_SHOWN_BYTES_MAX = 500
"""Jackson cuts what it quotes of the source."""
_BYTE = re.compile(r"\(byte (\d+)\)")
_TOKEN = re.compile(rb"[A-Za-z0-9_$]+")
_EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


def describe_json_fault(payload: bytes) -> str:
    """Return Jackson's message for bytes that are not one JSON value."""
    fault, at = _find_fault(payload)
    line = payload.count(b"\n", 0, at) + 1
    column = at - (payload.rfind(b"\n", 0, at) + 1) + 1
    shown = payload[:_SHOWN_BYTES_MAX].decode(errors="replace")
    if len(payload) > _SHOWN_BYTES_MAX:
        shown += f'"[truncated {len(payload) - _SHOWN_BYTES_MAX} bytes]'
    else:
        shown += '"'
    return f'{fault}\n at [Source: (byte[])"{shown}; line: {line}, column: {column}]'


def _find_fault(payload: bytes) -> tuple[str, int]:
    """Return the fault and how many bytes Jackson had read when it met it."""
    try:
        payload.decode()
    except UnicodeDecodeError as fault:
        kind = "start" if "start" in fault.reason else "middle"
        return f"Invalid UTF-8 {kind} byte 0x{payload[fault.start]:02x}", fault.start + 1
    at = _fault_offset(payload)
    if at >= len(payload):
        return "Unexpected end-of-input", len(payload)
    if token := _TOKEN.match(payload, at):
        return f"Unrecognized token '{token[0].decode()}': was expecting {_EXPECTED}", token.end() + 1
    character = payload[at:].decode()[0]
    if ord(character) < 32:
        return (
            f"Illegal unquoted character ((CTRL-CHAR, code {ord(character)})): has to be escaped using backslash to be "
            "included in string value",
            at + 1,
        )
    return f"Unexpected character ('{character}' (code {ord(character)})): expected a valid value {_EXPECTED}", at + 1


def _fault_offset(payload: bytes) -> int:
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except msgspec.DecodeError as fault:
        place = _BYTE.search(str(fault))
        if place is None:
            # "Input data was truncated": a token that breaks off is a token, anything else the end.
            tail = re.search(rb"(?<![\w\"])[A-Za-z_]+\Z", payload)
            return tail.start() if tail else len(payload)
        at = int(place[1])
        while at > 0 and payload[at - 1 : at].isalnum():
            at -= 1
        return at
    return len(payload)
