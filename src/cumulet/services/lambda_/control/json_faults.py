"""What is wrong with a payload that is not JSON, in the words of the parser that AWS uses (Jackson).

Clients show this text to people, who search the web for it: hence the fault, and where it is, as Jackson says it.
"""

import json
import re

_SHOWN_BYTES_MAX = 500
"""Jackson cuts what it quotes of the source."""
_NESTING_MAX = 1000
_TOKEN = re.compile(r"[A-Za-z0-9_$]+")
_EXPECTED = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


def find_json_fault(payload: bytes) -> str | None:
    """Return Jackson's message for bytes that are not one JSON value; None if they are."""
    fault = _find_fault(payload)
    if fault is None:
        return None
    words, at = fault
    line = payload.count(b"\n", 0, at) + 1
    column = at - (payload.rfind(b"\n", 0, at) + 1) + 1
    shown = payload[:_SHOWN_BYTES_MAX].decode(errors="replace") + '"'
    if len(payload) > _SHOWN_BYTES_MAX:
        shown += f"[truncated {len(payload) - _SHOWN_BYTES_MAX} bytes]"
    return f'{words}\n at [Source: (byte[])"{shown}; line: {line}, column: {column}]'


def _find_fault(payload: bytes) -> tuple[str, int] | None:
    """Return the fault and how many bytes Jackson had read when it met it."""
    try:
        text = payload.decode()
        json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as fault:
        kind = "start" if "start" in fault.reason else "middle"
        return f"Invalid UTF-8 {kind} byte 0x{payload[fault.start]:02x}", fault.start + 1
    except RecursionError:
        return f"Document nesting depth ({_NESTING_MAX + 1}) exceeds the maximum allowed ({_NESTING_MAX})", _NESTING_MAX
    except _Constant as constant:
        at = text.index(str(constant))
        return _unrecognized(str(constant), text, at + len(str(constant)))
    except json.JSONDecodeError as fault:
        return _describe(text, fault.pos)
    return None


class _Constant(ValueError):
    """NaN or Infinity, which Python's parser would take."""


def _refuse_constant(name: str) -> float:
    raise _Constant(name)


def _describe(text: str, at: int) -> tuple[str, int]:
    if at >= len(text) or text[at] == '"':
        # Python points at the quote of a string that is not ended.
        return "Unexpected end-of-input", len(text.encode())
    if token := _TOKEN.match(text, at):
        return _unrecognized(token[0], text, token.end())
    read = len(text[: at + 1].encode())
    code = ord(text[at])
    if code < 32:
        words = (
            f"Illegal unquoted character ((CTRL-CHAR, code {code})): has to be escaped using backslash to be included"
        )
        return f"{words} in string value", read
    return f"Unexpected character ('{text[at]}' (code {code})): expected a valid value {_EXPECTED}", read


def _unrecognized(token: str, text: str, end: int) -> tuple[str, int]:
    return f"Unrecognized token '{token}': was expecting {_EXPECTED}", len(text[:end].encode()) + 1
