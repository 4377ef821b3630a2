"""$input, $util and the other names that a mapping template sees (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import msgspec

from cumulet.services.apigateway.mapping import jsonpath
from cumulet.services.apigateway.mapping.effort import TemplateError
from cumulet.services.apigateway.mapping.values import Methods, text

_JAVASCRIPT = {
    "'": "\\'",
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\n": "\\n",
    "\t": "\\t",
    "\f": "\\f",
    "\r": "\\r",
}

_ESCAPED = re.compile(r"""[^ -~]|['"\\/]""")

_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/_-]+")
_URL_SAFE = str.maketrans("+/", "-_")

_CONTAINERS = (b"{", b"[", b'"')


class UnreadableBody(Exception):
    """A template asked for the JSON of a body that is none."""


@dataclass
class Body:
    """The payload that a template transforms; parsed when a template first asks, and once."""

    raw: bytes

    @cached_property
    def text(self) -> str:
        """The payload as text."""
        return self.raw.decode("utf-8", "replace")

    @cached_property
    def json(self) -> Any:
        """The payload as a value: an empty one is an empty object, and what does not begin like JSON is a text.

        Templates for forms live on that: https://newbe.dev/how-to-pass-a-params-from-post-to-aws-lambda-from-amazon-api-gateway
        Raises UnreadableBody for what does begin like JSON, and is none.
        """
        begins = self.raw.lstrip()[:1]
        if not begins:
            return {}
        try:
            return msgspec.json.decode(self.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if begins not in _CONTAINERS:
                return self.text
            raise UnreadableBody(str(error)) from None

    def find(self, path: str) -> Any:
        """Return what a JSONPath leads to."""
        return jsonpath.find(path, self.json)


def names(
    body: Body, parameters: Mapping[str, dict[str, str]], context: dict[str, Any], stage_variables: Mapping[str, str]
) -> dict[str, Any]:
    """Return the names of a template. `parameters` has path, querystring and header; `context` takes the overrides."""

    def params(name: str | None = None) -> Any:
        if name is None:
            return dict(parameters)
        if name in parameters:
            return parameters[name]
        for place in ("path", "querystring"):
            if name in parameters.get(place, ()):
                return parameters[place][name]
        # Names of headers do not tell upper from lower case.
        wanted = name.lower()
        return next((value for key, value in parameters.get("header", {}).items() if key.lower() == wanted), "")

    def as_json(path: str) -> str:
        found = body.find(path)
        return '""' if found is None else msgspec.json.encode(found).decode()

    def at_path(path: str) -> Any:
        found = body.find(path)
        return "" if found is None else found

    return {
        "input": Methods({"params": params, "json": as_json, "path": at_path}, {"body": body.text}),
        "util": _UTIL,
        "context": context,
        "stageVariables": dict(stage_variables),
    }


def _escape_javascript(given: Any) -> str | None:
    if given is None:
        return None  # as Apache's StringEscapeUtils has it
    return _ESCAPED.sub(_escape, text(given))


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if (short := _JAVASCRIPT.get(char)) is not None:
        return short
    units = char.encode("utf-16-be")
    return "".join([f"\\u{units[at]:02X}{units[at + 1]:02X}" for at in range(0, len(units), 2)])


def _parse_json(given: Any) -> Any:
    try:
        return msgspec.json.decode(text(given))
    except (msgspec.DecodeError, RecursionError):
        raise TemplateError("$util.parseJson of what is no JSON") from None


def _base64_decode(given: Any) -> str:
    # As Java's usual decoder has it: both alphabets, with padding or without, and what is of neither is left out. So
    # templates take apart tokens, which strangers send.
    digits = _NO_BASE64.sub("", text(given).partition("=")[0])
    whole = digits[: len(digits) - (len(digits) % 4 == 1)]
    return base64.urlsafe_b64decode(whole.translate(_URL_SAFE) + "=" * (-len(whole) % 4)).decode("utf-8", "replace")


_UTIL = Methods(
    {
        "escapeJavaScript": _escape_javascript,
        "parseJson": _parse_json,
        # Java's URLEncoder has other exceptions than Python's: * is kept, ~ is not.
        "urlEncode": lambda given: quote_plus(text(given), safe="*").replace("~", "%7E"),
        "urlDecode": lambda given: unquote_plus(text(given)),
        "base64Encode": lambda given: base64.b64encode(text(given).encode()).decode(),
        "base64Decode": _base64_decode,
    }
)
